"""Generate the next migration, from the differences between the models and the last migration:

python -m db.migrations "what changes"
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from db.engine import Database, alembic_config


def main(message: str) -> None:
    config = alembic_config()
    number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    with (
        tempfile.TemporaryDirectory() as folder,
        Database.open(None, Path(folder)) as database,
        database.engine.connect() as connection,
    ):
        config.attributes["connection"] = connection
        command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
