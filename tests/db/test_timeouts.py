"""A PostgreSQL that does not answer."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from db import repository, timeouts
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import DatabaseAway


@contextmanager
def stopped(folder: Path) -> Iterator[None]:
    """While its processes stand still, as on a machine that is frozen."""
    server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def asked(database: Database) -> float:
    """Measure the seconds that it takes to hear that the database is away."""
    began = time.monotonic()
    with pytest.raises(DatabaseAway), database.begin() as tx:
        repository.now(tx)
    return time.monotonic() - began


def test_a_frozen_server_raises_database_away_until_it_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_SECONDS", 1.5)
    monkeypatch.setattr(timeouts, "CONNECT_SECONDS", 1.0)
    with EmbeddedServer(tmp_path), Database.open(None, tmp_path) as database:
        with database.begin() as tx:
            repository.now(tx)
        with stopped(tmp_path):
            assert 1 < asked(database) < 12  # by a connection that was there, and then by a new one
            assert asked(database) < 6
        with pytest.raises(DatabaseAway), database.begin() as tx:  # in the middle of a transaction
            repository.now(tx)
            with stopped(tmp_path):
                repository.now(tx)
        with database.begin() as tx:
            assert repository.now(tx)


def test_a_statement_that_exceeds_the_timeout_is_cancelled(database: Database) -> None:
    with database.begin() as tx:
        assert tx.scalar(text("SHOW statement_timeout")) == f"{timeouts.STATEMENT_SECONDS:.0f}s"
    began = time.monotonic()
    with pytest.raises(DatabaseAway), database.begin() as tx:
        tx.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - began < 20
    with database.begin() as tx:  # and the next one is not
        assert repository.now(tx)


def test_timeouts_are_set_per_thread(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_SECONDS", 0.3)
    with timeouts.wait_limit(30), database.begin() as tx:
        tx.execute(text("SELECT pg_sleep(1)"))
    with pytest.raises(DatabaseAway, match="did not answer"), database.begin() as tx:
        tx.execute(text("SELECT pg_sleep(1)"))
