"""Make the golden files again, with the program as it is now: `python -m tests.golden.make [BEGINNING]...`.

Without arguments all of them, else those whose names begin with one of the arguments. No test runs this.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tests.conftest  # noqa: F401 - the same surroundings as of the tests, first of all
from tests.golden import files, listings
from tests.golden.internals import Database
from tests.golden.jobs import DATA


def main(wanted: list[str]) -> int:
    def asked(name: str) -> bool:
        return not wanted or any(name.startswith(beginning) for beginning in wanted)

    for name, make in files.MADE.items():
        if asked(name):
            make()
    for name, listing in listings.STANDALONE.items():
        if asked(f"{name}.json"):
            write(f"{name}.json", listing())
    if asked("help.json"):
        write("help.json", {command: listings.helped(command) for command in listings.HELPED})
    if asked("served.json") or asked("tables.json"):
        with (
            tempfile.TemporaryDirectory() as folder,
            Database.open(None, Path(folder, "database")) as database,
        ):
            if asked("tables.json"):
                write("tables.json", listings.tables(database.engine))
            if asked("served.json"):
                url = database.engine.url.render_as_string(hide_password=False)
                write("served.json", listings.served(Path(folder, "home"), url))
    return 0


def write(name: str, value: object) -> None:
    (DATA / name).write_text(listings.written(value), encoding="utf-8")
    print(f"{name}: {(DATA / name).stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
