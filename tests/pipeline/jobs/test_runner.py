"""Jobs in a line."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs import runner as runners
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.jobs.executor import STOP_SECONDS
from pipeline.jobs.runner import STOPPED, Runner
from pipeline.keys import matte_key
from pipeline.languages.messages import Message
from pipeline.process import process
from tests import ffprobe
from tests.executors import Here
from tests.pipeline.stand_in import stopped_within
from tests.waiting import DEADLINE, until

pytestmark = pytest.mark.usefixtures("stand_ins")


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def started(self, key: str) -> None:
        self.told.append(("started", key))

    def progressed(self, key: str, progress: Progress) -> None:
        self.told.append(("progressed", key, progress))

    def checked(self, key: str, points: MatteChecked) -> None:
        self.told.append(("checked", key, points))

    def finished(self, key: str, result: RunFinished) -> None:
        self.told.append(("finished", key, result))

    def failed(self, key: str, message: Message) -> None:
        self.told.append(("failed", key, message))

    def interrupted(self, key: str, message: Message) -> None:
        self.told.append(("interrupted", key, message))

    def cancelled(self, key: str) -> None:
        self.told.append(("cancelled", key))

    def said(self, key: str) -> str:
        """The sentence with which a job ended."""
        return str(next(told[2] for told in self.told if told[:2] in (("failed", key), ("interrupted", key))))

    def ends(self) -> list[tuple[str, str]]:
        return [
            (what, key) for what, key, *_ in self.told if what not in ("started", "progressed", "checked")
        ]


class Broken(Sink):
    """Writes down, then raises."""

    def __getattribute__(self, name: str) -> Any:
        attribute = super().__getattribute__(name)
        if name not in ("started", "progressed", "checked", "finished", "failed", "interrupted", "cancelled"):
            return attribute

        def call(*what: Any) -> None:
            attribute(*what)
            raise ConnectionError("the database is away")

        call.__name__ = name
        return call


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def runner(sink: Sink) -> Iterator[Runner]:
    runner = Runner(sink, [Here(process)])
    yield runner
    runner.close()
    assert not [thread for thread in threading.enumerate() if thread.name in ("runner", "ahead")]


@pytest.fixture
def quick(counted_path: Path, tmp_path: Path) -> Job:
    return Job(counted_path, tmp_path / "quick.mp4", model="threshold")


@pytest.fixture
def slow(long_path: Path, tmp_path: Path) -> Job:
    return Job(long_path, tmp_path / "slow.mp4", model="slow")


def test_jobs_run_in_order_one_at_a_time(runner: Runner, sink: Sink, quick: Job, tmp_path: Path) -> None:
    for key in ("c", "a", "b"):
        runner.submit(key, replace(quick, output=tmp_path / f"{key}.mp4"))
    until(lambda: len(sink.ends()) == 3)
    steps = [(what, key) for what, key, *_ in sink.told if what != "progressed"]
    assert steps == [(what, key) for key in "cab" for what in ("started", "checked", "finished")]
    result = sink.told[-1][2]
    assert len(ffprobe.frame_times(tmp_path / "b.mp4")) == result.frames == 40
    assert (result.file, result.bytes) == ("b.mp4", (tmp_path / "b.mp4").stat().st_size)
    until(lambda: runner.position("b") is None)


@pytest.mark.parametrize("crop", [None, "9:16"])
def test_review_times_are_reported_with_the_key_of_the_matte(
    runner: Runner, sink: Sink, quick: Job, clip_path: Path, tmp_path: Path, crop: str | None
) -> None:
    job = replace(quick, source=clip_path, model="doubting", matte=tmp_path / "m.mkv", crop=crop)
    runner.submit("a", job)
    until(lambda: len(sink.ends()) == 1)
    ((_, _, checks),) = [told for told in sink.told if told[0] == "checked"]
    assert checks.matte == matte_key(job)
    assert checks.times == pytest.approx([5 / 24, 20 / 24], abs=1e-3)  # one for each run of doubts
    runner.submit("b", replace(job, output=tmp_path / "again.mp4"))
    until(lambda: len(sink.ends()) == 2)
    assert [told[1] for told in sink.told if told[0] == "checked"] == ["a"]  # the kept matte was laid again


def test_position_and_progress(runner: Runner, sink: Sink, slow: Job, quick: Job) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    assert [runner.position(key) for key in ("one", "two", "three")] == [0, 1, None]
    assert runner.progress("two") is None and runner.progress("three") is None
    with pytest.raises(ValueError, match="one"):
        runner.submit("one", quick)
    until(lambda: any(what == "progressed" for what, *_ in sink.told))


def test_cancelling_the_running_job(
    runner: Runner, sink: Sink, slow: Job, quick: Job, tmp_path: Path
) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    with stopped_within(seconds=2):
        assert runner.cancel("one")
        until(lambda: ("cancelled", "one") in sink.ends())
    until(lambda: ("finished", "two") in sink.ends())
    assert [entry.name for entry in tmp_path.iterdir()] == ["quick.mp4"]


def test_cancelling_a_queued_job(runner: Runner, sink: Sink, slow: Job, quick: Job) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    assert runner.cancel("two")
    until(lambda: ("cancelled", "two") in sink.ends())
    assert runner.position("two") is None and runner.position("one") == 0
    runner.submit("two", quick)  # and again
    runner.cancel("one")
    until(lambda: ("finished", "two") in sink.ends())
    assert sink.ends() == [("cancelled", "two"), ("cancelled", "one"), ("finished", "two")]
    assert not runner.cancel("three")


def test_errors_are_reported_as_sentences(runner: Runner, sink: Sink, quick: Job) -> None:
    runner.submit("input", replace(quick, start=9.0))
    runner.submit("inside", replace(quick, model="failing"))
    runner.submit("good", quick)
    until(lambda: len(sink.ends()) == 3)
    sentences = {key: str(what) for kind, key, what, *_ in (t for t in sink.told if t[0] == "failed")}
    assert sentences["input"] == "The start, 9 s, lies outside counted.mp4, which is 2.00 s long."
    assert "Something went wrong" in sentences["inside"] and "ZeroDivision" not in sentences["inside"]
    assert sink.ends()[-1] == ("finished", "good")


def test_a_sink_that_raises_changes_nothing(quick: Job, slow: Job, tmp_path: Path) -> None:
    sink = Broken()
    runner = Runner(sink, [Here(process)])
    runner.submit("bad", replace(quick, start=9.0))
    runner.submit("good", quick)
    runner.submit("slow", slow)
    until(lambda: runner.progress("slow") is not None)
    runner.cancel("slow")
    until(lambda: len(sink.ends()) == 3)
    runner.close()
    assert sink.ends() == [("failed", "bad"), ("finished", "good"), ("cancelled", "slow")]
    assert (tmp_path / "quick.mp4").exists()


def test_close_stops_the_running_job_and_leaves_queued_ones(
    sink: Sink, slow: Job, quick: Job, tmp_path: Path
) -> None:
    runner = Runner(sink, [Here(process)])
    for key, job in (("one", slow), ("two", quick), ("three", quick)):
        runner.submit(key, job)
    until(lambda: runner.progress("one") is not None)
    runner.cancel("three")
    with stopped_within(seconds=2):
        runner.close()
    assert sorted(sink.ends()) == [("cancelled", "three"), ("interrupted", "one")]
    assert sink.said("one") == str(STOPPED)
    assert not list(tmp_path.iterdir())
    runner.close()


# ---------------------------------------------------------------- models that do not do as they should


@pytest.mark.parametrize("model", ["failing", "short", "greedy", "small"])
def test_a_failing_model_fails_only_its_own_job(runner: Runner, sink: Sink, quick: Job, model: str) -> None:
    """One that raises, and such as return too few mattes or others than they were asked for."""
    runner.submit("bad", replace(quick, model=model))
    runner.submit("good", quick)
    until(lambda: len(sink.ends()) == 2)
    assert sink.ends() == [("failed", "bad"), ("finished", "good")]
    assert sink.said("bad").endswith(".")
    assert [entry.name for entry in quick.output.parent.iterdir()] == ["quick.mp4"]


# ---------------------------------------------------------------- jobs that are played


class Played:
    """Runs jobs as it is told, in place of `process`; what is killed is told so at once."""

    node = None

    def __init__(self, name: str = "played", order: list[str] | None = None) -> None:
        """`order` gets the names of the jobs, as they begin."""
        self.name = name
        self.stop_seconds = STOP_SECONDS
        self.order: list[str] = [] if order is None else order
        self.killed = threading.Event()
        self.kills = 0
        self.gate = threading.Semaphore(0)
        """Released once for each job that may end."""

    def run(self, job: Job) -> Generator[Progress, None, None]:
        self.order.append(job.output.stem)
        self.killed.clear()
        yield Progress("matte", 0, 10, 1.0, 10.0)
        while not self.gate.acquire(timeout=0.01):
            if self.killed.is_set():
                raise WorkerLost("runs.lost", how=Message("runs.killed"))
            if job.model != "hanging":
                yield Progress("matte", 1, 10, 1.0, 9.0)
        job.output.write_bytes(b"made")
        yield Progress("matte", 10, 10, 1.0, 0.0)

    def kill(self) -> None:
        self.kills += 1
        self.killed.set()


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def line(sink: Sink, played: Played) -> Iterator[Runner]:
    runner = Runner(sink, [played], stall_seconds=60)
    yield runner
    runner.close()


@pytest.fixture
def named(counted_path: Path, tmp_path: Path) -> Callable[..., Job]:
    return lambda name, model="threshold": Job(counted_path, tmp_path / f"{name}.mp4", model=model)


def test_users_take_turns(line: Runner, sink: Sink, played: Played, named: Callable[..., Job]) -> None:
    for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        line.submit(name, named(name), user=name[0])
    until(lambda: line.position("a1") == 0)
    order = ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert [line.position(name) for name in order] == list(range(7))
    assert line.queue_length() == 6
    played.gate.release(2)
    until(lambda: line.position("c1") == 0)
    line.submit("d1", named("d1"), user="d")  # new here, and so the next
    line.submit("c2", named("c2"), user="c")
    line.cancel("a3")
    order = ["a1", "b1", "c1", "d1", "a2", "b2", "c2", "a4"]
    until(lambda: line.position("a3") is None)
    assert [line.position(name) for name in order[2:]] == list(range(6))
    played.gate.release(6)
    until(lambda: len(sink.ends()) == 9)
    assert played.order == order


def test_a_user_with_many_jobs_does_not_starve_others(
    line: Runner, played: Played, named: Callable[..., Job]
) -> None:
    for name in ("a1", "a2", "b1"):
        line.submit(name, named(name), user=name[0])
    until(lambda: line.position("a1") == 0)
    played.gate.release()
    until(lambda: line.position("b1") == 0)
    line.submit("b2", named("b2"), user="b")
    assert line.position("a2") == 1 and line.position("b2") == 2
    played.gate.release(3)
    until(lambda: line.position("b2") is None)
    assert played.order == ["a1", "b1", "a2", "b2"]


def test_a_key_is_accepted_once(line: Runner, played: Played, named: Callable[..., Job]) -> None:
    line.submit("a", named("a"))
    until(lambda: line.position("a") == 0)
    line.submit("b", named("b"))
    for key in ("a", "b"):
        with pytest.raises(ValueError, match=f"a job of {key} is under way"):
            line.submit(key, named("other"), user="another")
    played.gate.release(2)
    until(lambda: line.position("b") is None)
    assert played.order == ["a", "b"]


def test_eta_of_queued_jobs(line: Runner, named: Callable[..., Job]) -> None:
    for name, seconds in (("a", 100.0), ("b", 20.0), ("c", 30.0), ("d", None), ("e", 1.0)):
        line.submit(name, named(name), seconds=seconds)
    until(lambda: line.progress("a") is not None and line.progress("a").done == 1)
    # The running one says itself what is left; of one in line it is known or not.
    assert [line.eta(key) for key in ("a", "b", "c", "d", "e", "x")] == [0, 9, 29, 59, None, None]


def test_expected_seconds_are_used_before_the_first_frame(sink: Sink, named: Callable[..., Job]) -> None:
    loading = threading.Event()

    def process(job: Job) -> Generator[Progress, None, None]:
        loading.wait(DEADLINE)
        yield Progress("matte", 0, 1, 0.0, None)

    runner = Runner(sink, [Here(process)])
    for name, seconds in (("a", 50.0), ("b", 5.0), ("c", 5.0)):
        runner.submit(name, named(name), seconds=seconds)
    until(lambda: runner.position("a") == 0)
    wait = runner.eta("c")
    assert wait is not None and 50 < wait <= 55
    loading.set()
    runner.close()


@pytest.fixture
def cards() -> list[Played]:
    order: list[str] = []
    return [Played("cuda:0", order), Played("cuda:1", order)]


@pytest.fixture
def wide(sink: Sink, cards: list[Played]) -> Iterator[Runner]:
    """A runner with two executors."""
    runner = Runner(sink, cards, stall_seconds=60)
    yield runner
    runner.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "runner"]


def test_whichever_executor_is_free_takes_the_next_job(
    wide: Runner, sink: Sink, cards: list[Played], named: Callable[..., Job]
) -> None:
    for name in ("a1", "a2", "a3", "b1"):
        wide.submit(name, named(name), user=name[0])
    until(lambda: len(cards[0].order) == 2)
    running = {state.key: state.name for state in wide.executors()}
    assert sorted(running.values()) == ["cuda:0", "cuda:1"]
    second = next(key for key in running if key != "a1")
    assert wide.position("a1") == wide.position(second) == 0
    assert wide.queue_length() == 2 and not wide.is_idle()
    for card in cards:
        if card.name == running[second]:
            card.gate.release(3)  # it does the rest by itself
    until(lambda: len(sink.ends()) == 3)
    assert {state.name: state.key for state in wide.executors()}[running["a1"]] == "a1"
    assert wide.position("a1") == 0 and wide.queue_length() == 0
    for card in cards:
        card.gate.release()
    until(lambda: wide.is_idle())
    assert sorted(sink.ends()) == [("finished", name) for name in ("a1", "a2", "a3", "b1")]


def test_an_executor_that_is_not_used_any_more_ends_its_job_and_takes_no_other(
    wide: Runner, sink: Sink, cards: list[Played], named: Callable[..., Job]
) -> None:
    first, second = cards
    wide.use([first])
    for name in ("a1", "a2"):
        wide.submit(name, named(name), seconds=5.0)
    until(lambda: first.order == ["a1"])
    wide.use([first, second])
    until(lambda: len(first.order) == 2)
    wide.use([second])
    states = {state.name: state.key for state in wide.executors()}
    assert states == {"cuda:0": "a1", "cuda:1": "a2"}
    wide.submit("a3", named("a3"))
    first.gate.release(3)
    until(lambda: ("finished", "a1") in sink.ends())
    assert wide.position("a3") == 1 and [state.name for state in wide.executors()] == ["cuda:1"]
    wide.use([first, second])  # it is used again
    until(lambda: ("finished", "a3") in sink.ends())
    second.gate.release(3)
    until(wide.is_idle)


def test_a_kill_ends_the_job_of_one_executor_only(
    wide: Runner, sink: Sink, cards: list[Played], named: Callable[..., Job]
) -> None:
    for card in cards:
        card.stop_seconds = 0.5
    wide.submit("stuck", named("stuck", "hanging"))
    wide.submit("good", named("good"))
    until(lambda: all(wide.progress(key) is not None for key in ("stuck", "good")))
    wide.cancel("stuck")
    until(lambda: ("cancelled", "stuck") in sink.ends())
    until(lambda: not wide.holds("stuck"))
    assert wide.position("good") == 0 and sum(card.kills for card in cards) == 1
    for card in cards:
        card.gate.release()
    until(lambda: ("finished", "good") in sink.ends())


def test_eta_with_two_executors_is_when_the_first_of_them_is_free(
    wide: Runner, named: Callable[..., Job]
) -> None:
    for name, seconds in (("a", 5.0), ("b", 5.0), ("c", 20.0), ("d", None), ("e", 1.0), ("f", 1.0)):
        wide.submit(name, named(name), seconds=seconds)
        if name in "ab":
            until(lambda name=name: (seen := wide.progress(name)) is not None and seen.done == 1)  # type: ignore[misc]
    # Both running ones have nine seconds left; then come "c" and, on the other executor, "d".
    assert [wide.eta(key) for key in "abcdef"] == [0, 0, 9, 9, 29, 30]


def test_a_stalled_run_is_killed(sink: Sink, played: Played, named: Callable[..., Job]) -> None:
    runner = Runner(sink, [played], stall_seconds=3)
    runner.submit("slow", named("slow"))  # which it is, and gives signs
    runner.submit("stuck", named("stuck", "hanging"))
    runner.submit("good", named("good"))
    time.sleep(4)
    assert sink.ends() == [] and played.kills == 0
    played.gate.release()
    until(lambda: ("interrupted", "stuck") in sink.ends())
    played.gate.release()
    until(lambda: ("finished", "good") in sink.ends())
    runner.close()
    assert played.kills == 1
    assert sink.said("stuck").startswith("Not one frame was finished for 0.05 minutes, so this was ended")


def test_a_hanging_run_can_be_cancelled_and_closed(
    sink: Sink, named: Callable[..., Job], played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.stop_seconds = 0.5
    monkeypatch.setattr(runners, "STOP_SECONDS", 0.5)  # at the end no executor has more
    runner = Runner(sink, [played])
    for name in ("one", "two", "three"):
        runner.submit(name, named(name, "hanging"))
    until(lambda: runner.progress("one") is not None)
    runner.cancel("two")  # is told at once, whatever the running one does
    until(lambda: ("cancelled", "two") in sink.ends())
    runner.cancel("one")
    until(lambda: ("cancelled", "one") in sink.ends())
    until(lambda: runner.progress("three") is not None)
    runner.close()
    assert sink.ends() == [("cancelled", "two"), ("cancelled", "one"), ("interrupted", "three")]


def test_a_cancelled_run_is_told_while_it_stops_and_its_executor_takes_no_other(
    sink: Sink, named: Callable[..., Job]
) -> None:
    """As within a frame that takes long, or a file that is on its way."""
    order, stopped = list[str](), threading.Event()

    def process(job: Job) -> Generator[Progress, None, None]:
        order.append(job.output.stem)
        try:
            yield Progress("matte", 1, 10, 1.0, 9.0)
            yield Progress("matte", 2, 10, 1.0, 8.0)
        finally:
            stopped.wait(DEADLINE)
            order.append("stopped")
            job.output.write_bytes(b"made in the last moment")

    runner = Runner(sink, [Here(process)])
    runner.submit("a", named("a"))
    runner.submit("b", named("b"))
    until(lambda: runner.position("a") == 0)
    assert runner.cancel("a")
    until(lambda: ("cancelled", "a") in sink.ends())
    assert order == ["a"] and runner.holds("a") and not runner.cancel("a")
    assert runner.position("a") is None and runner.progress("a") is None
    runner.submit("a", named("again"))
    assert runner.position("b") == 1 and runner.position("a") == 2 and not runner.is_idle()
    assert runner.eta("b") == 0
    stopped.set()
    until(lambda: len(sink.ends()) == 3)
    assert order[:4] == ["a", "stopped", "b", "stopped"] and order[4] == "again"
    until(runner.is_idle)
    assert not named("a").output.exists() and named("b").output.exists()
    runner.close()
    assert sink.ends() == [("cancelled", "a"), ("finished", "b"), ("finished", "a")]


def test_no_job_begins_beside_one_of_its_key_that_is_being_stopped(
    wide: Runner, sink: Sink, cards: list[Played], named: Callable[..., Job]
) -> None:
    wide.submit("a", named("a", "hanging"))
    until(lambda: wide.progress("a") is not None)
    wide.cancel("a")
    until(lambda: ("cancelled", "a") in sink.ends())
    wide.submit("a", named("again"))
    wide.submit("b", named("b"))
    until(lambda: wide.position("b") == 0)
    assert wide.position("a") == 1 and cards[0].order == ["a", "b"]
    for card in cards:
        card.gate.release(2)
    until(lambda: len(sink.ends()) == 3)
    assert cards[0].order == ["a", "b", "again"]


def test_a_lost_worker_interrupts_the_run_and_no_other(
    line: Runner, sink: Sink, played: Played, named: Callable[..., Job]
) -> None:
    line.submit("one", named("one"))
    line.submit("two", named("two"))
    until(lambda: line.progress("one") is not None)
    played.killed.set()  # by the kernel, for one
    until(lambda: ("interrupted", "one") in sink.ends())
    assert sink.said("one") == (
        "The process that worked on this was lost: it was killed, and memory may have run out. "
        "Start it again to continue."
    )
    played.gate.release()
    until(lambda: ("finished", "two") in sink.ends())


def test_a_runner_is_alive_until_it_is_closed(sink: Sink) -> None:
    runner = Runner(sink, [Here(lambda job: iter(()))])  # type: ignore[arg-type, return-value]
    assert runner.is_alive()
    runner.close()
    assert not runner.is_alive()
