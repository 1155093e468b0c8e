"""What tests of several packages share."""

from collections.abc import Iterator

import pytest

from db.engine import Database


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real PostgreSQL with its tables, for the whole run: who commits to it tidies up."""
    with Database.open(None, tmp_path_factory.mktemp("database")) as database:
        yield database
