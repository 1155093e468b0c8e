from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from db.engine import Database


@pytest.fixture
def tx(database: Database) -> Iterator[Session]:
    """A transaction of which nothing stays, whatever the test commits."""
    with (
        database.engine.connect() as connection,
        connection.begin() as outer,
        Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as tx,
    ):
        yield tx
        outer.rollback()
