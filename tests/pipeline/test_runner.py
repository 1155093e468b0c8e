"""Jobs in a line."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.job import Job
from pipeline.runner import Runner
from tests import ffprobe

pytestmark = pytest.mark.usefixtures("stand_ins")


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def started(self, key: str) -> None:
        self.told.append(("started", key))

    def progressed(self, key: str, progress: dict[str, Any]) -> None:
        self.told.append(("progressed", key, progress))

    def checked(self, key: str, checks: dict[str, Any]) -> None:
        self.told.append(("checked", key, checks))

    def finished(self, key: str, result: dict[str, Any]) -> None:
        self.told.append(("finished", key, result))

    def failed(self, key: str, sentence: str) -> None:
        self.told.append(("failed", key, sentence))

    def cancelled(self, key: str) -> None:
        self.told.append(("cancelled", key))

    def ends(self) -> list[tuple[str, str]]:
        return [
            (what, key) for what, key, *_ in self.told if what not in ("started", "progressed", "checked")
        ]


class Broken(Sink):
    """Writes down, then raises."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("started", "progressed", "checked", "finished", "failed", "cancelled"):
            return found

        def call(*what: Any) -> None:
            found(*what)
            raise ConnectionError("the database is away")

        call.__name__ = name
        return call


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def runner(sink: Sink) -> Iterator[Runner]:
    runner = Runner(sink)
    yield runner
    runner.close()
    assert not [thread for thread in threading.enumerate() if thread.name in ("runner", "ahead")]


def until(true: Callable[[], bool], seconds: float = 20) -> float:
    """Wait until something is so, and tell how long it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it never came"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def quick(counted_path: Path, tmp_path: Path) -> Job:
    return Job(counted_path, tmp_path / "quick.mp4", model="threshold")


@pytest.fixture
def slow(long_path: Path, tmp_path: Path) -> Job:
    return Job(long_path, tmp_path / "slow.mp4", model="slow")


def test_in_order_and_one_at_a_time(runner: Runner, sink: Sink, quick: Job, tmp_path: Path) -> None:
    for key in ("c", "a", "b"):
        runner.submit(key, replace(quick, output=tmp_path / f"{key}.mp4"))
    until(lambda: len(sink.ends()) == 3)
    steps = [(what, key) for what, key, *_ in sink.told if what != "progressed"]
    assert steps == [(what, key) for key in "cab" for what in ("started", "checked", "finished")]
    result = sink.told[-1][2]
    assert len(ffprobe.frame_times(tmp_path / "b.mp4")) == result["frames"] == 40
    assert (result["file"], result["bytes"]) == ("b.mp4", (tmp_path / "b.mp4").stat().st_size)
    until(lambda: runner.place("b") is None)


def test_where_the_cut_may_have_slipped_is_told_of_the_matte_that_was_made(
    runner: Runner, sink: Sink, quick: Job, tmp_path: Path
) -> None:
    job = replace(quick, model="doubting", matte=tmp_path / "m.mkv")
    runner.submit("a", job)
    until(lambda: len(sink.ends()) == 1)
    ((_, _, checks),) = [told for told in sink.told if told[0] == "checked"]
    assert checks["matte"] == job.matte_key
    assert checks["times"] == pytest.approx([5 / 20, 20 / 20])  # one for each run of doubtful frames
    runner.submit("b", replace(job, output=tmp_path / "again.mp4"))
    until(lambda: len(sink.ends()) == 2)
    assert [told[1] for told in sink.told if told[0] == "checked"] == ["a"]  # the kept matte was laid again


def test_place_and_progress(runner: Runner, sink: Sink, slow: Job, quick: Job) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    assert [runner.place(key) for key in ("one", "two", "three")] == [0, 1, None]
    assert runner.progress("two") is None and runner.progress("three") is None
    with pytest.raises(ValueError, match="one"):
        runner.submit("one", quick)
    until(lambda: any(what == "progressed" for what, *_ in sink.told))


def test_cancelling_the_running_one(
    runner: Runner, sink: Sink, slow: Job, quick: Job, tmp_path: Path
) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    assert runner.cancel("one")
    assert until(lambda: ("cancelled", "one") in sink.ends()) < 2
    until(lambda: ("finished", "two") in sink.ends())
    assert [entry.name for entry in tmp_path.iterdir()] == ["quick.mp4"]


def test_cancelling_one_in_line(runner: Runner, sink: Sink, slow: Job, quick: Job) -> None:
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    assert runner.cancel("two")
    assert until(lambda: ("cancelled", "two") in sink.ends()) < 2
    assert runner.place("two") is None and runner.place("one") == 0
    runner.submit("two", quick)  # and again
    runner.cancel("one")
    until(lambda: ("finished", "two") in sink.ends())
    assert sink.ends() == [("cancelled", "two"), ("cancelled", "one"), ("finished", "two")]
    assert not runner.cancel("three")


def test_errors_come_as_sentences(runner: Runner, sink: Sink, quick: Job) -> None:
    runner.submit("input", replace(quick, start=9.0))
    runner.submit("inside", replace(quick, model="failing"))
    runner.submit("good", quick)
    until(lambda: len(sink.ends()) == 3)
    sentences = {key: what for kind, key, what, *_ in (t for t in sink.told if t[0] == "failed")}
    assert sentences["input"] == "The start, 9 s, lies outside counted.mp4, which is 2.00 s long."
    assert "Something went wrong" in sentences["inside"] and "ZeroDivision" not in sentences["inside"]
    assert sink.ends()[-1] == ("finished", "good")


def test_a_sink_that_raises_changes_nothing(quick: Job, slow: Job, tmp_path: Path) -> None:
    sink = Broken()
    runner = Runner(sink)
    runner.submit("bad", replace(quick, start=9.0))
    runner.submit("good", quick)
    runner.submit("slow", slow)
    until(lambda: runner.progress("slow") is not None)
    runner.cancel("slow")
    until(lambda: len(sink.ends()) == 3)
    runner.close()
    assert sink.ends() == [("failed", "bad"), ("finished", "good"), ("cancelled", "slow")]
    assert (tmp_path / "quick.mp4").exists()


def test_close_cancels_what_is_left_and_ends_the_thread(
    sink: Sink, slow: Job, quick: Job, tmp_path: Path
) -> None:
    runner = Runner(sink)
    runner.submit("one", slow)
    runner.submit("two", quick)
    until(lambda: runner.progress("one") is not None)
    began = time.monotonic()
    runner.close()
    assert time.monotonic() - began < 2
    assert sorted(sink.ends()) == [("cancelled", "one"), ("cancelled", "two")]
    assert not list(tmp_path.iterdir())
    runner.close()
