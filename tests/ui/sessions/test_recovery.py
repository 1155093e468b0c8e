"""Recovery by the next server of what a killed one left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.ledger import Ledger
from db.models import State, User
from pipeline.propagation import resume
from tests import children
from tests.ui import line
from tests.waiting import until
from ui import text
from ui.page.sections.result import ResultSection
from ui.sessions.service import SessionService

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


@pytest.fixture
def service(own: Database, tmp_path: Path) -> SessionService:
    return line.make_service(tmp_path, own, line.ManualRunner(None))


def owner(database: Database) -> Any:
    with database.begin() as tx:
        tx.add(row := User(name="Ana", password=""))
        tx.flush()
        return row.id


def kept(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_consistent_rows_and_files_are_unchanged(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    ana = owner(own)
    for who in (None, ana):
        line.add_result(own, tmp_path, make(who))
    before = kept(tmp_path)
    service.recover()
    assert kept(tmp_path) == before
    assert all(len(service.for_owner(who).list_sessions()[0].row.results) == 1 for who in (None, ana))


def test_folders_without_rows_are_set_aside_and_rows_without_folders_deleted(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    ana = owner(own)
    whole, rowless, folderless, deleted = make(), make(ana), make(ana), make(ana)
    home = tmp_path / "sessions"
    with own.begin() as tx:
        repository.delete_any(tx, id=rowless)
        now = repository.now(tx)
    shutil.rmtree(home / folderless)
    (home / deleted).rename(home / f".deleted-{deleted}")
    (home / "no id at all").mkdir()
    (home / "a file").write_text("of nobody")
    os.utime(home / rowless, (0, 0))
    service.recover()
    assert {path.name for path in home.iterdir()} == {whole, deleted}
    assert {str(row.id) for row in rows(own)} == {whole, deleted}
    assert (home / deleted / "source.mp4").exists()
    lost = tmp_path / "lost"
    assert {path.name for path in lost.iterdir()} == {rowless, "no id at all", "a file"}
    assert (lost / rowless / "source.mp4").exists()
    # It is kept from now on, by the clock of the database.
    assert abs((lost / rowless).stat().st_mtime - now.timestamp()) < 60
    # The same once more is set aside beside the first.
    shutil.copytree(lost / rowless, home / rowless)
    service.recover()
    assert len(list(lost.glob(f"{rowless}*"))) == 2


def rows(database: Database) -> Any:
    with database.begin() as tx:
        return repository.list_all(tx)


def test_no_row_is_deleted_in_another_data_folder(own: Database, make: Any, tmp_path: Path) -> None:
    ids = {make(), make()}
    elsewhere = line.make_service(tmp_path / "elsewhere", own, line.ManualRunner(None))
    elsewhere.recover()
    elsewhere.recover()
    assert {str(row.id) for row in rows(own)} == ids


def test_results_without_files_and_files_without_results_are_deleted(
    service: SessionService, own: Database, make: Any, tmp_path: Path
) -> None:
    id = make()
    folder = tmp_path / "sessions" / id
    line.add_result(own, tmp_path, id, "result-1.mp4")
    line.add_result(own, tmp_path, id, "result-2.mp4")
    (folder / "result-1.mp4").unlink()
    (folder / "result-3.mp4").write_bytes(b"whole, but nobody was told")
    (folder / "result-4.zip").mkdir()
    (folder / ".result-2-x.part").write_bytes(b"half")
    (folder / "background-1.png").write_bytes(b"kept")
    (folder / "matte.mkv").write_bytes(b"kept")
    (folder / "matte.mkv.parts").mkdir()
    service.recover()
    assert [result.file for result in service.open(id).row.results] == ["result-2.mp4"]
    assert {path.name for path in folder.iterdir()} == {
        "source.mp4",
        "source.mp4.index",
        "result-2.mp4",
        "background-1.png",
        "matte.mkv",
        "matte.mkv.parts",
    }


def test_a_killed_recovery_is_finished_by_the_next(
    service: SessionService, own: Database, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    whole = make()
    gone = [make() for _ in range(2)]
    orphans = [make() for _ in range(2)]
    home = tmp_path / "sessions"
    for id in orphans:
        with own.begin() as tx:
            repository.delete_any(tx, id=id)
    for id in gone:
        shutil.rmtree(home / id)
    line.add_result(own, tmp_path, whole)
    (home / whole / "result-1.mp4").unlink()
    (home / whole / "result-2.mp4").write_bytes(b"of nobody")
    rename, utime, begin = Path.rename, os.utime, type(own).begin
    step = at = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            nonlocal step
            step += 1
            if step == at:
                raise Killed
            return call(*args, **kwargs)

        return counting

    monkeypatch.setattr(Path, "rename", counted(rename))
    monkeypatch.setattr(os, "utime", counted(utime))
    monkeypatch.setattr(type(own), "begin", counted(begin))
    while True:
        step, at = 0, at + 1
        try:
            service.recover()
            break
        except Killed:
            continue
    monkeypatch.undo()
    assert at > 4
    assert {path.name for path in home.iterdir()} == {whole} == {str(row.id) for row in rows(own)}
    assert {path.name for path in (tmp_path / "lost").iterdir()} == {*orphans}
    assert service.open(whole).row.results == [] and not (home / whole / "result-2.mp4").exists()


# ---------------------------------------------------------------- what the page says of it


def said(service: SessionService, id: str, language: str) -> tuple[str, str]:
    """The label of the button that makes the video, and how the run stands."""
    section = ResultSection(*map(str, range(len(fields(ResultSection)))))  # type: ignore[arg-type]
    shown = section.show_run(service.open(id), service, language)
    return str(shown[section.make].value), str(shown[section.progress].value)


def test_an_interrupted_run_can_be_resumed(
    service: SessionService, own: Database, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = [False]
    monkeypatch.setattr(resume, "can_resume", lambda job, clip: begun[0] and job.model == "grabcut")
    id = make()
    assert said(service, id, "en") == ("Make the video", "")
    with own.begin() as tx:
        for state in (State.QUEUED, State.RUNNING, State.CANCELLED):
            repository.change_state(tx, id=id, state=state)
    assert "Nothing was changed" in said(service, id, "en")[1]
    begun[0] = True
    assert [said(service, id, tongue)[0] for tongue in ("en", "es")] == ["Continue", "Continuar"]
    assert "can be continued" in said(service, id, "en")[1]
    service.choices.choose_model(id, "recorte")  # another cut begins anew
    assert said(service, id, "en")[0] == "Make the video"


def test_queue_position_and_eta_are_returned(service: SessionService, make: Any) -> None:
    ids = [make() for _ in range(3)]
    for id in ids:
        service.run(id)
    assert "Waiting: number 3 in line · starts in about 4 min" in said(service, ids[2], "en")[1]
    assert "En espera: número 1 en la cola · empieza en unos 2 min" in said(service, ids[0], "es")[1]
    rough = [text.format_estimate(seconds) for seconds in (0, 22, 59, 200, 7300)]
    assert rough == ["5 s", "20 s", "1 min", "3 min", "2 h"]


# ---------------------------------------------------------------- the line after a restart


SERVER = """
import sys, time
from pathlib import Path
from uuid import UUID

from db.engine import Database
from db.ledger import Ledger
from db.models import State
from tests.ui import line

home, url, *ids = sys.argv[1:]
database = Database.open(url, Path(home))
ledger = Ledger(database)
service = line.make_service(Path(home), database, line.ManualRunner(ledger))
for id, owner in (pair.split("=") for pair in ids):
    service.for_owner(UUID(owner) if owner else None).run(id)
first, owner = ids[0].split("=")
ledger.started(first)
ledger.progressed(first, line.progress_of(3))
mine = service.for_owner(UUID(owner) if owner else None)
while mine.open(first).row.progress is None:
    time.sleep(0.02)
print("ready", flush=True)
time.sleep(600)
"""


def address(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready."""
    command = [sys.executable, "-c", program, *arguments]
    with children.running(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process


def test_queued_sessions_are_requeued_in_order_and_running_ones_interrupted(
    own: Database, make: Any, tmp_path: Path
) -> None:
    ana = owner(own)
    ids = [make(who, f"{n}.mp4") for n, who in enumerate((None, ana, None, ana, None, ana))]
    whose = dict(zip(ids, (None, ana) * 3, strict=True))
    order = [ids[n] for n in (3, 0, 5, 1, 4)]
    with started(SERVER, str(tmp_path), address(own), *(f"{id}={whose[id] or ''}" for id in order)) as server:
        server.kill()  # when one runs and four wait: nobody is told anything
    next((tmp_path / "sessions" / order[2]).glob("source.mp4")).unlink()  # somebody removes a video meanwhile
    with closing(Ledger(own)) as ledger:
        second = line.make_service(tmp_path, own, queue := line.ManualRunner(ledger))
        second.recover()
        second.requeue()
        assert queue.submitted == [order[1], order[3], order[4]]
        assert queue.users == [str(whose[id] or "") for id in queue.submitted]
        states = {str(row.id): row for row in rows(own)}
        interrupted, failed = states[order[0]], states[order[2]]
        assert (interrupted.state, interrupted.error) == (State.INTERRUPTED, str(repository.INTERRUPTED))
        assert interrupted.progress == line.progress_of(3).to_json()  # how far it came
        assert failed.state is State.FAILED and "no longer on the disk" in failed.error
        assert states[ids[2]].state is State.READY
        for place, id in enumerate(queue.submitted, 1):
            mine = second.for_owner(whose[id])
            assert mine.open(id).row.state is State.QUEUED and mine.queue_position(id) == place
            assert second.for_owner(ana if whose[id] is None else None).queue_position(id) is None
        second.for_owner(whose[order[0]]).run(order[0])  # and may be made again
        while queue.step():
            pass
        until(lambda: not {State.QUEUED, State.RUNNING} & {row.state for row in rows(own)})
        done = {str(row.id) for row in rows(own) if row.state is State.DONE}
        assert done == {order[0], order[1], order[3], order[4]}
        second.requeue()
        assert not queue.jobs


def test_sessions_can_be_cancelled_in_every_state(own: Database, make: Any, tmp_path: Path) -> None:
    with closing(Ledger(own)) as ledger:
        service = line.make_service(tmp_path, own, queue := line.ManualRunner(ledger))
        ways: dict[State, list[State]] = {
            State.READY: [],
            State.QUEUED: [State.QUEUED],
            State.RUNNING: [State.QUEUED, State.RUNNING],
            State.DONE: [State.QUEUED, State.RUNNING, State.DONE],
            State.FAILED: [State.QUEUED, State.RUNNING, State.FAILED],
            State.CANCELLED: [State.QUEUED, State.RUNNING, State.CANCELLED],
            State.INTERRUPTED: [State.QUEUED, State.RUNNING, State.INTERRUPTED],
        }
        for state, way in ways.items():  # in the database, and not in the runner
            id = make()
            for step in way:
                with own.begin() as tx:
                    repository.change_state(tx, id=id, state=step)
            service.cancel(id)
            expected = State.CANCELLED if state is State.QUEUED else state
            assert service.open(id).row.state is expected
        id = make()
        service.run(id)
        service.cancel(id)
        until(lambda: service.open(id).row.state is State.CANCELLED)
        assert not queue.jobs
        with pytest.raises(NotFound):
            service.cancel("no id")
