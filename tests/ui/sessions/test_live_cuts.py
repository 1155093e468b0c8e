"""Live cuts: computed while somebody looks, one user after the other, and given way to runs and requests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db import repository
from db.engine import Database
from db.ledger import Ledger
from db.models import User
from pipeline import models
from pipeline.jobs import speeds
from pipeline.propagation import resume
from tests.ui import line
from tests.waiting import until
from ui.sessions import live_cuts
from ui.sessions.live_cuts import LiveCut
from ui.sessions.rendering.turns import MatteWriters, ModelTurns
from ui.sessions.service import SessionService

pytestmark = pytest.mark.usefixtures("at_once", "stand_ins")


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget how fast the stand-ins were in other tests, at other sizes."""
    monkeypatch.setattr(speeds, "expected_seconds", lambda *_: None)


@pytest.fixture
def queue(own: Database) -> Iterator[line.ManualRunner]:
    with closing(Ledger(own)) as ledger:
        yield line.ManualRunner(ledger)


@pytest.fixture
def service(own: Database, tmp_path: Path, queue: line.ManualRunner) -> Iterator[SessionService]:
    with closing(line.make_service(tmp_path, own, queue)) as service:
        yield service


@pytest.fixture
def make(own: Database, tmp_path: Path, clip: Path, service: SessionService) -> Callable[..., str]:
    create = line.session_maker(tmp_path, own, clip)

    def make(owner: Any = None, model: str = "threshold") -> str:
        id = create(owner)
        service.for_owner(owner).choices.choose_model(id, model)
        return id

    return make


def ask(service: SessionService, id: str, near: int = 0) -> LiveCut:
    return service.live_cut(id, near)[1]


def test_a_session_is_cut_while_it_is_looked_at(service: SessionService, make: Callable[..., str]) -> None:
    id = make()
    first = ask(service, id)
    assert (first.status, first.cut.done, first.cut.total) == ("waiting", 0, 24)
    until(lambda: ask(service, id).status == "done")
    assert ask(service, id).cut.ready == [(0, 24)]
    session = service.open(id)
    picture = service.frames.render_frame(session, 20, "mask")
    assert picture.cut and picture.final
    assert not session.can_resume  # a run that never was is not to be continued
    assert resume.can_resume(session.effective_job, session.clip)


def test_asking_alone_computes_nothing(service: SessionService, make: Callable[..., str]) -> None:
    id = make()
    assert service.live_cut(id, 0, wanted=False)[1].status == "idle"
    model: Any = models.load("threshold", "auto")
    assert model.frames == 0 and not service.open(id).folder.joinpath("matte.mkv.parts").exists()


def test_a_frame_that_is_not_cut_is_not_called_so(service: SessionService, make: Callable[..., str]) -> None:
    session = service.open(make(model="carrying"))
    assert not service.frames.render_frame(session, 20, "cutout").cut
    assert service.frames.render_frame(session, 20, "original").cut


@pytest.mark.parametrize(("model", "prepared"), [("shy", "no mark"), ("rmbg", "no weights")])
def test_what_cannot_be_cut_waits_for_nothing(
    service: SessionService, make: Callable[..., str], model: str, prepared: str
) -> None:
    assert ask(service, make(model=model)).status == "idle"


def test_it_stops_when_nobody_looks_and_goes_on_when_somebody_does(
    service: SessionService, own: Database, tmp_path: Path, long_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = line.session_maker(tmp_path, own, long_clip)()
    service.choices.choose_model(id, "dwelling")
    until(lambda: ask(service, id).cut.done > 1)
    monkeypatch.setattr(live_cuts, "ATTENTION_SECONDS", 0)
    model: Any = models.load("dwelling", "auto")
    stops = threading.Event()

    def has_stopped() -> bool:
        before = model.frames
        stops.wait(10 * model.seconds)
        return bool(model.frames == before)

    until(has_stopped)
    done = ask(service, id).cut.done
    assert 0 < done < 180
    monkeypatch.setattr(live_cuts, "ATTENTION_SECONDS", 60)
    until(lambda: ask(service, id).status == "done")


def test_it_gives_way_to_runs(
    service: SessionService, make: Callable[..., str], queue: line.ManualRunner
) -> None:
    id, other = make(), make()
    service.run(other)
    assert [ask(service, id).status for _ in range(3)] == ["waiting"] * 3
    queue.step()
    until(lambda: ask(service, id).status == "done")


def test_users_take_turns(
    service: SessionService, make: Callable[..., str], own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_cuts, "_TURN_SECONDS", 0)
    with own.begin() as tx:
        users = [User(name=f"user {n}", password="") for n in range(2)]
        tx.add_all(users)
        tx.flush()
        owners = [user.id for user in users]
    ids = {owner: make(owner, "dwelling") for owner in owners}

    def done() -> list[int]:
        return [ask(service.for_owner(owner), id).cut.done for owner, id in ids.items()]

    until(lambda: all(done()))
    for owner, id in ids.items():
        service.for_owner(owner).delete(id)


def test_marks_that_change_are_followed(service: SessionService, make: Callable[..., str]) -> None:
    id = make(model="remembering")
    until(lambda: ask(service, id).status == "done")
    before = service.frames.revision(service.open(id))
    service.choices.save_marks(id, [{"time": 0.5, "points": [{"x": 9, "y": 9, "keep": False}]}])
    session, live = service.live_cut(id, 12)
    assert service.frames.revision(session) != before
    assert live.cut.ready == [(0, 12)], "the frames before the mark, which it cannot change"
    until(lambda: ask(service, id).status == "done")


def test_what_a_mark_cannot_change_stays_cut(service: SessionService, make: Callable[..., str]) -> None:
    id = make(model="remembering")
    first = {"time": 0, "points": [{"x": 9, "y": 9, "keep": True}]}
    service.choices.save_marks(id, [first])
    until(lambda: ask(service, id).status == "done")
    service.choices.save_marks(id, [first, {"time": 0.5, "points": [{"x": 9, "y": 9, "keep": False}]}])
    session, live = service.live_cut(id, 0, wanted=False)
    assert live.cut.ready == [(0, 12)]
    kept, gone = (service.frames.render_frame(session, number, "cutout") for number in (11, 13))
    assert kept.cut and kept.final and not gone.cut
    until(lambda: ask(service, id).status == "done")
    assert service.frames.render_frame(service.open(id), 11, "cutout") == kept


def test_a_fault_of_the_model_is_told_once(service: SessionService, make: Callable[..., str]) -> None:
    id = make(model="short")
    until(lambda: ask(service, id).status == "failed")
    assert str(ask(service, id).message) == "The model returned fewer mattes than there are frames."
    service.choices.choose_model(id, "threshold")
    until(lambda: ask(service, id).status == "done")


def test_of_a_slow_model_only_the_previews_are_computed(
    service: SessionService, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "expected_seconds", lambda *_: 12.0)
    id = make(model="pointing")
    service.choices.save_marks(id, [{"time": 0, "points": [{"x": 90, "y": 90, "keep": True}]}])
    assert ask(service, id).status == "slow"
    session = service.open(id)
    until(lambda: len(service.frames.cached_previews(session)) == 6)
    assert ask(service, id).status == "slow" and ask(service, id).cut.done == 0
    until(lambda: ask(service, id).left == 0.0)
    previews = service.frames.preview_frames(session)
    assert ask(service, id).ready == [(number, number + 1) for number in previews]


def test_a_model_that_was_slow_on_a_busy_machine_is_tried_again(
    service: SessionService, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "expected_seconds", lambda *_: 12.0)
    id = make(model="carrying")
    until(lambda: ask(service, id).status == "done")


def test_a_model_that_is_slow_while_it_computes_is_measured_again(
    service: SessionService, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = threading.Event()
    busy.set()
    monkeypatch.setattr(live_cuts, "_MEASURED_AGAIN_SECONDS", (0.0, 600.0))
    monkeypatch.setattr(live_cuts, "_is_slow", lambda progress: busy.is_set())
    id = make()
    until(lambda: (ask(service, id).again or 0) > 500)  # slow at first, and slow when it was measured again
    slow = ask(service, id)
    assert slow.status == "slow" and slow.left == 0.0 and slow.cut.done == 18
    assert len(service.frames.cached_previews(service.open(id))) == 6
    busy.clear()
    (entry,) = service._live_cuts._entries.values()
    entry.not_before = 0.0  # the wait is over
    until(lambda: ask(service, id).status == "done")


def test_a_model_that_stays_slow_is_left_alone_after_some_times(
    service: SessionService, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    monkeypatch.setattr(live_cuts, "_MEASURED_AGAIN_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(live_cuts, "_MEASURED_FRAMES", 2)
    monkeypatch.setattr(live_cuts, "_is_slow", lambda progress: measured.append(progress.done) or True)
    monkeypatch.setattr(live_cuts, "_expects_slow", lambda session: True)
    id = make()
    until(lambda: ask(service, id).left == 0.0 and ask(service, id).again is None)
    assert ask(service, id).status == "slow" and measured == [3, 6]
    model: Any = models.load("threshold", "auto")
    before = model.frames
    ask(service, id)
    assert model.frames == before


def test_a_speed_that_was_measured_on_a_busy_machine_is_corrected(
    service: SessionService, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[tuple[Any, ...]] = []
    monkeypatch.setattr(speeds, "record", lambda *entry: recorded.append(entry))
    monkeypatch.setattr(speeds, "expected_seconds", lambda *_: 1e-9)
    id = make()
    until(lambda: ask(service, id).status == "done")
    assert recorded == []  # nothing is as fast
    monkeypatch.setattr(speeds, "expected_seconds", lambda *_: 1e9)
    id = make()
    until(lambda: ask(service, id).status == "done")
    until(lambda: len(recorded) == 1)
    ((model, device, size, rate),) = recorded
    clip = service.open(id).clip
    assert (model, device, size) == ("threshold", "cpu", (clip.width, clip.height)) and rate > 0


def test_a_quota_that_is_used_up_is_told(
    service: SessionService, make: Callable[..., str], own: Database
) -> None:
    service.quota.limit_bytes = 1
    id = make()
    until(lambda: ask(service, id).status == "failed")
    assert "Delete sessions that you no longer need." in str(ask(service, id).message)


def test_a_deleted_session_is_forgotten(service: SessionService, make: Callable[..., str]) -> None:
    id = make(model="slow")
    until(lambda: ask(service, id).cut.done > 1)
    folder = service.open(id).folder
    service.delete(id)
    assert not folder.exists()
    other = make()
    until(lambda: ask(service, other).status == "done")
    assert not folder.exists()


def test_a_request_goes_before_the_background() -> None:
    turns, order = ModelTurns(), []
    started = threading.Event()

    def work(name: str, turn: Any) -> None:
        started.set()
        with turn():
            order.append(name)

    with turns.background():
        threads = []
        for name, turn in (("background", turns.background), ("request", turns.request)):
            started.clear()
            threads.append(threading.Thread(target=work, args=(name, turn)))
            threads[-1].start()
            assert started.wait(10)
        until(lambda: len(turns._waiting) == 1)
    for thread in threads:
        thread.join()
    assert order == ["request", "background"]


def test_a_run_takes_a_matte_from_the_cut_ahead_of_it() -> None:
    writers, events = MatteWriters(), []

    def run() -> None:
        with writers.run("m"):
            events.append("run")

    with writers.ahead("m"), writers.ahead("other"):
        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: writers.wanted("m"))
        assert not writers.wanted("other") and events == []
        events.append("let go")
    thread.join()
    assert events == ["let go", "run"] and not writers.wanted("m")


def test_a_run_continues_what_was_computed_ahead(
    service: SessionService, make: Callable[..., str], queue: line.ManualRunner
) -> None:
    id = make(model="remembering")
    until(lambda: ask(service, id).status == "done")
    model: Any = models.load("remembering", "auto")
    model.frames = 0
    session = service.open(id)
    job = replace(session.effective_job, output=session.folder / "result-1.mp4")
    inference: Any = service.frames._inference
    assert list(inference.process(job))[-1].frames == 24
    assert model.frames == 0 and not session.folder.joinpath("matte.mkv.parts").exists()
    assert ask(service, id).status == "done"
    with service._store.database.begin() as tx:
        assert repository.get(tx, id=id, owner=None).state == "ready"
