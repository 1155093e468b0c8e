"""The PostgreSQL server behind a database of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine

from db.engine import Database


@contextmanager
def administrator(database: Database) -> Iterator[Connection]:
    """A connection that may make and drop databases on the same server."""
    engine = create_engine(database.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
