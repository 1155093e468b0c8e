"""The PostgreSQL server behind a database of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine

from db.embedded import EmbeddedServer
from db.engine import Database


@contextmanager
def on_a_server_of_its_own(folder: Path) -> Iterator[Database]:
    """A database whose server is somebody else's, so that it stays away until they start it again."""
    with (
        EmbeddedServer(folder) as server,
        Database.open(server.url.render_as_string(hide_password=False), folder) as database,
    ):
        yield database


@contextmanager
def administrator(database: Database) -> Iterator[Connection]:
    """A connection that may make and drop databases on the same server."""
    engine = create_engine(database.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
