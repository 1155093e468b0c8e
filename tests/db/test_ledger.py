"""The ledger of runs, also when the database goes and comes."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psutil
import pytest

from db import ledger as module
from db import repository
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import DatabaseAway
from db.ledger import Ledger
from db.models import SessionRow, State
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.languages.messages import Message
from tests.postgres import on_a_server_of_its_own
from tests.waiting import DEADLINE, until

RESULT = RunFinished("mp4", "#00ff00", "recorte", "result-1.mp4", bytes=1, frames=2, seconds=1.0)


class Done(NamedTuple):
    """Progress of so many frames."""

    done: int

    def to_json(self) -> dict[str, int]:
        return {"done": self.done}


def queued(database: Database) -> str:
    with database.begin() as tx:
        row = repository.create(tx, name="a", source="a.mp4", clip={}, job={})
        repository.queue(tx, id=row.id)
        return str(row.id)


def read(database: Database, id: str) -> SessionRow:
    with database.begin() as tx:
        return repository.get(tx, id=id)


def stop(folder: Path) -> None:
    """PostgreSQL's fast shutdown."""
    server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
    server.send_signal(signal.SIGINT)
    server.wait(DEADLINE)


@pytest.fixture
def id(database: Database) -> Iterator[str]:
    """A session in line, which goes again."""
    id = queued(database)
    yield id
    with database.begin() as tx:
        repository.delete_any(tx, id=id)


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    with closing(Ledger(database)) as ledger:
        yield ledger


FULL = Message("writing.disk_full", {"name": "a.mp4"})
STOPPED = Message("runs.stopped")


def failure(number: int) -> Message:
    return Message("choices.rate", {"most": number})


def test_every_end_of_a_run_is_written(database: Database, ledger: Ledger, id: str) -> None:
    for tell, state, error in (
        (lambda: ledger.failed(id, FULL), State.FAILED, FULL),
        (lambda: ledger.cancelled(id), State.CANCELLED, None),
        (lambda: ledger.interrupted(id, STOPPED), State.INTERRUPTED, STOPPED),
        (lambda: ledger.finished(id, RESULT), State.DONE, None),
    ):
        ledger.started(id)
        until(lambda: read(database, id).state is State.RUNNING)
        tell()
        until(lambda state=state: read(database, id).state is state)
        row = read(database, id)
        assert row.error == (error and str(error)) and row.error_message == (error and error.to_json())
        assert row.finished_at and not ledger._heartbeats
        with database.begin() as tx:
            repository.queue(tx, id=id)
    assert [result.file for result in row.results] == ["result-1.mp4"]


def test_a_live_run_has_a_heartbeat_and_a_dead_one_has_none(
    database: Database, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.2)
    with closing(Ledger(database)) as ledger:
        ledger.started(id)
        until(lambda: read(database, id).beat_at)
        signs: set[Any] = set()
        until(lambda: signs.add(read(database, id).beat_at) or len(signs) > 3)
        changed = read(database, id).updated_at
        assert changed < max(signs)
    last = read(database, id).beat_at
    time.sleep(0.6)
    assert read(database, id).beat_at == last and read(database, id).state is State.RUNNING


def test_a_running_session_is_not_queued_by_another_server(
    database: Database, ledger: Ledger, id: str
) -> None:
    """Several ask at once, each in a transaction: one is told to run it."""
    ledger.started(id)
    ledger.cancelled(id)
    until(lambda: read(database, id).state is State.CANCELLED)
    told: list[bool] = []
    gate = threading.Barrier(6)

    def ask() -> None:
        gate.wait()
        with database.begin() as tx:
            told.append(repository.queue(tx, id=id))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False] * 5 + [True]


def test_a_commit_whose_connection_broke_is_not_repeated(
    database: Database, ledger: Ledger, id: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    ledger.started(id)
    until(lambda: read(database, id).state is State.RUNNING)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.05)
    whole, broken = repository.change_state, []

    def change_state(tx: Any, **what: Any) -> Any:
        if broken:
            return whole(tx, **what)
        broken.append(True)
        whole(tx, **what)
        tx.commit()
        raise DatabaseAway("database.silent")

    monkeypatch.setattr(repository, "change_state", change_state)
    ledger.finished(id, RESULT)
    ledger.checked(id, MatteChecked("key", []))  # what comes after it is written
    until(lambda: read(database, id).checks is not None)
    row = read(database, id)
    assert row.state is State.DONE and len(row.results) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_of_progress_that_waits_only_the_latest_is_written(
    database: Database, ledger: Ledger, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.started(id)
    until(lambda: read(database, id).state is State.RUNNING)
    whole, written = repository.save_progress, []
    taken, go_on = threading.Event(), threading.Event()

    def save_progress(tx: Any, *, id: str, progress: Any) -> None:
        taken.set()
        assert go_on.wait(DEADLINE)
        written.append(progress.done)
        whole(tx, id=id, progress=progress)

    monkeypatch.setattr(repository, "save_progress", save_progress)
    ledger.progressed(id, Done(1))
    assert taken.wait(DEADLINE)
    for done in range(2, 1000):
        ledger.progressed(id, Done(done))
    go_on.set()
    until(lambda: read(database, id).progress == {"done": 999})
    ledger.progressed(id, Done(1000))
    ledger.finished(id, RESULT)
    until(lambda: read(database, id).state is State.DONE)
    assert written == [1, 999, 1000]


def test_a_run_survives_five_database_outages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run itself never waits; all that happened is written in order, and nothing twice."""
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.1)
    waited = 0.0

    def told(call: Callable[..., None], *what: Any) -> None:
        nonlocal waited
        began = time.thread_time()
        call(*what)
        waited = max(waited, time.thread_time() - began)

    with (
        ExitStack() as servers,
        on_a_server_of_its_own(tmp_path) as database,
        closing(Ledger(database)) as ledger,
    ):
        ids = [queued(database) for _ in range(11)]
        told(ledger.started, ids[0])
        for accident in range(5):
            one, other, following = ids[2 * accident : 2 * accident + 3]
            told(ledger.progressed, one, Done(1))
            until(lambda one=one: read(database, one).progress)
            stop(tmp_path)
            for done in range(2, 50):
                told(ledger.progressed, one, Done(done))
            told(ledger.checked, one, MatteChecked("key", [accident]))
            told(ledger.finished, one, RESULT)
            told(ledger.started, other)
            told(ledger.failed, other, failure(accident))
            told(ledger.started, following)
            with pytest.raises(DatabaseAway):
                read(database, one)
            servers.enter_context(EmbeddedServer(tmp_path))
            until(lambda following=following: read(database, following).state is State.RUNNING)
            row = read(database, one)
            assert row.state is State.DONE and row.checks == {"matte": "key", "times": [accident]}
            assert len(row.results) == 1 and row.started_at
            assert read(database, other).error == str(failure(accident))
    assert waited < 0.5


def test_closing_without_a_database_discards_pending_events_and_returns(tmp_path: Path) -> None:
    with on_a_server_of_its_own(tmp_path) as database:
        id = queued(database)
        ledger = Ledger(database)
        stop(tmp_path)
        ledger.started(id)
        ledger.finished(id, RESULT)
        ledger.close()
        with EmbeddedServer(tmp_path):
            row = read(database, id)  # to be queued again by who starts next
            assert (row.state, row.results) == (State.QUEUED, [])
            assert UUID(id) == row.id
