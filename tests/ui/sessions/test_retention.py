"""Old sessions go, rows and files together, whatever happens meanwhile."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db import repository
from db.engine import Database
from db.errors import DatabaseAway
from tests.postgres import administrator
from tests.ui import line
from tests.waiting import until
from ui.sessions import retention as module
from ui.sessions.retention import RetentionThread
from ui.sessions.service import SessionService

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    """A session that was changed some days ago."""
    plain = line.session_maker(tmp_path, own, small_clip)

    def aged(days: float, **more: Any) -> str:
        id = plain(**more)
        age(own, id, days)
        return id

    return aged


@pytest.fixture
def service(own: Database, tmp_path: Path) -> SessionService:
    return line.make_service(tmp_path, own, line.ManualRunner(None))


def age(database: Database, id: str, days: float) -> None:
    with database.begin() as tx:
        tx.execute(
            text("UPDATE sessions SET updated_at = now() - :age WHERE id = :id"),
            {"age": timedelta(days=days), "id": id},
        )


def left(database: Database, home: Path) -> set[str]:
    """The sessions that are there, rows and folders alike."""
    with database.begin() as tx:
        rows = {str(row.id) for row in repository.list_all(tx)}
    assert {path.name for path in (home / "sessions").iterdir()} == rows
    return rows


def test_expired_sessions_are_deleted_with_their_files(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    old, young, starred, queued = make(8), make(6), make(80), make(80)
    service.star(starred, True)
    service.run(queued)
    for id in (starred, queued):
        age(own, id, 80)
    assert list(service.delete_expired(timedelta(days=7))) == [old]
    assert left(own, tmp_path) == {young, starred, queued}
    assert list(service.delete_expired(timedelta(days=7))) == []


def test_expired_set_aside_folders_are_deleted(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    kept, other = make(0), make(0)
    with own.begin() as tx:
        repository.delete_any(tx, id=other)
    shutil.copytree(tmp_path / "sessions" / other, tmp_path / "sessions" / "another")
    service.recover()
    lost = tmp_path / "lost"
    assert list(service.delete_expired(timedelta(days=7))) == []
    week_ago = time.time() - 8 * 86400
    os.utime(lost / other, (week_ago, week_ago))
    assert list(service.delete_expired(timedelta(days=7))) == [other]
    assert [path.name for path in lost.iterdir()] == ["another"] and left(own, tmp_path) == {kept}


def test_a_session_changed_meanwhile_is_kept(
    service: SessionService, own: Database, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(9), make(8)
    for id in service.delete_expired(timedelta(days=7)):
        assert id == first
        service.star(second, True)
    assert left(own, tmp_path) == {second} and service.open(second).row.starred


@pytest.mark.parametrize("years", [-50, 50])
def test_the_database_clock_is_used(
    service: SessionService,
    own: Database,
    make: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    years: int,
) -> None:
    old, young, future = make(8), make(1), make(-400)  # the last from before the database's was set back
    rowless = make(0)
    with own.begin() as tx:
        repository.delete_any(tx, id=rowless)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + years * 365 * 86400)
    service.recover()
    assert list(service.delete_expired(timedelta(days=7))) == [old]
    assert left(own, tmp_path) == {young, future}
    assert (tmp_path / "lost" / rowless).exists()


# ---------------------------------------------------------------- the thread


@contextmanager
def cleaner(service: Any, days: int) -> Iterator[RetentionThread]:
    with closing(RetentionThread(service, days)) as cleaner:
        yield cleaner


def test_the_thread_runs_periodically(
    service: SessionService, own: Database, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROUND_SECONDS", 0.05)
    make(8)
    young = make(1)
    with cleaner(service, 7):
        until(lambda: len(service.list_sessions()) == 1)
        make(30)
        until(lambda: [session.id for session in service.list_sessions()] == [young])
    assert left(own, tmp_path) == {young}


def test_nothing_is_deleted_with_0_days(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    id = make(10_000)
    with cleaner(service, 0) as made:
        assert not made._thread.is_alive()
    assert left(own, tmp_path) == {id}


def test_the_thread_survives_errors(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(module, "_ROUND_SECONDS", 0.01)
    rounds: list[int] = []

    class Troubled:
        def delete_expired(self, age: timedelta) -> Iterator[str]:
            rounds.append(age.days)
            if len(rounds) == 1:
                raise DatabaseAway("database.silent")
            if len(rounds) == 2:
                raise OSError("the disk")
            yield "a name"

    with caplog.at_level(logging.INFO), cleaner(Troubled(), 3):
        until(lambda: len(rounds) > 3)
    assert set(rounds) == {3}
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and "a name was not changed for 3 days" in caplog.text


# ---------------------------------------------------------------- killed in the middle

# A process that forks before it has a thread or a connection, so that what takes long is done but once. Each
# child ends itself with -9 before the first, the second, … thing that it does to a file or to the database.
DYING = """
import os, signal, sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from db.engine import Database
from tests.ui import line

place, url = Path(sys.argv[1]), sys.argv[2]
moment = 0


def dying(call):
    def wrapped(*args, **kwargs):
        step()
        return call(*args, **kwargs)
    return wrapped


def step():
    global moment
    moment -= 1
    if moment == 0:
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def begin(self):
    with whole(self) as tx:
        yield tx
        step()
    step()


for home in sorted(place.iterdir()):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    database = Database.open(url.replace("DATABASE", home.name), home)
    service = line.make_service(home, database, line.ManualRunner(None))
    moment = int(home.name.removeprefix("moment"))
    whole, Database.begin = Database.begin, begin
    Path.rename, os.unlink, os.rmdir = map(dying, (Path.rename, os.unlink, os.rmdir))
    for _ in service.delete_expired(timedelta(days=7)):
        pass
    os._exit(0)
"""
MOMENTS = (*range(2, 12), 13, 16, 40)


def test_a_killed_deletion_is_finished_at_the_next_start(own: Database, make: Any, tmp_path: Path) -> None:
    old, young = [make(9), make(8)], make(1)
    for id in old:
        line.add_result(own, tmp_path, id)
        age(own, id, 8)
    names = [f"moment{number:02}" for number in MOMENTS]
    places = tmp_path / "places"
    address = own.engine.url.set(database="DATABASE").render_as_string(hide_password=False)
    own.engine.dispose()
    with administrator(own) as connection:
        for name in names:
            shutil.copytree(tmp_path / "sessions", places / name / "sessions")
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {own.engine.url.database}"))
        try:
            done = subprocess.run(
                [sys.executable, "-c", DYING, str(places), address],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            ended = done.stdout.split()
            assert ended == ["-9"] * (len(MOMENTS) - 1) + ["0"], done.stderr
            untouched = 0
            for name in names:
                home = places / name
                with Database.open(address.replace("DATABASE", name), home) as database:
                    service = line.make_service(home, database, line.ManualRunner(None))
                    service.recover()
                    assert left(database, home) >= {young} and not (home / "lost").exists()
                    untouched += len(left(database, home)) == 3
                    for session in service.list_sessions():
                        assert session.job.source.exists() and len(list(session.folder.iterdir())) >= 2
                        assert all((session.folder / result.file).exists() for result in session.row.results)
                    list(service.delete_expired(timedelta(days=7)))
                    assert left(database, home) == {young}
                    assert not list(home.rglob(".*"))
            assert 1 < untouched < 8
        finally:
            for name in names:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
