"""Jobs on a real Ray cluster that are cancelled while they cannot stop: within a frame, or a slow transfer.

What is told, and what stays, is checked in its order: no time is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.job import Job
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from pipeline.propagation import resume
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.cluster.stand_in_nodes import HastyDriver
from tests.pipeline.cluster.test_executor import expected, leftovers, made
from tests.pipeline.jobs.test_runner import Sink
from tests.waiting import until

held: Any = pytest.importorskip("tests.pipeline.cluster.slow_files").held
pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def driver(gate: Path, cluster: Any, store: Path) -> Iterator[Worker]:
    with open_driver(cluster.address, f"slow://{store}", factory=HastyDriver) as driver:
        yield driver


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def runner(executor: RayExecutor, sink: Sink) -> Iterator[Runner]:
    with closing(Runner(sink, [executor])) as runner:
        yield runner


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    return Job(clip_path, tmp_path / "result.mp4", model="gated", matte=tmp_path / "matte.mkv")


def files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def has_segment(folder: Path) -> bool:
    return any(folder.glob("**/segment-*.json"))


def cancel(runner: Runner, sink: Sink) -> None:
    assert runner.cancel("job")
    until(lambda: ("cancelled", "job") in sink.ends())


def finish(runner: Runner, sink: Sink, job: Job, folder: Path) -> None:
    """Run the job to its end, and compare it with that of this machine."""
    runner.submit("job", job)
    until(lambda: ("finished", "job") in sink.ends())
    assert made(job) == expected(job, folder)


def test_within_a_frame_and_what_is_finished_is_saved_before_the_process_is_killed(
    driver: Worker, runner: Runner, sink: Sink, gate: Path, store: Path, job: Job, tmp_path: Path
) -> None:
    gate.touch()
    try:
        with held(store, "put runs"):
            runner.submit("job", job)
            until(lambda: (seen := runner.progress("job")) is not None and seen.done == 3)
            cancel(runner, sink)
            pid = driver.call(HastyDriver.pid, 0)
            until(lambda: driver.call(HastyDriver.is_saving, 0))  # the frame's time to end is over
            assert runner.holds("job") and not has_segment(store)
        until(runner.is_idle)
        assert resume.can_resume(job, probe_clip(job.source)) and not leftovers(job)
    finally:
        gate.unlink()
    assert not files(store / "runs") and not job.output.exists()
    finish(runner, sink, job, tmp_path / "here")
    assert driver.call(HastyDriver.pid, 0) != pid


def test_within_an_upload_which_leaves_nothing_half(
    runner: Runner, sink: Sink, store: Path, job: Job, tmp_path: Path
) -> None:
    before = files(store)
    clip = tmp_path / "other.mp4"
    clip.write_bytes(job.source.read_bytes() + b"one more byte")
    with held(store, "put blobs"):
        runner.submit("job", Job(clip, job.output, model="gated"))
        until(lambda: len(files(store)) > len(before))
        cancel(runner, sink)
        until(runner.is_idle)
        assert files(store) == before
    runner.submit("job", Job(clip, job.output, model="gated"))
    until(lambda: ("finished", "job") in sink.ends())


def test_within_the_download_of_a_result_which_is_continued(
    runner: Runner, sink: Sink, store: Path, job: Job, tmp_path: Path
) -> None:
    runner.submit("job", job)
    until(lambda: (seen := runner.progress("job")) is not None and seen.done > 3)
    with held(store, "get blobs"):
        until(lambda: any(path.stat().st_size for path in tmp_path.glob(".*.part")))
        cancel(runner, sink)
        until(runner.is_idle)
        assert not job.output.exists() and not leftovers(job)
        assert resume.can_resume(job, probe_clip(job.source)) and not files(store / "runs")
        assert len(files(store / "blobs")) <= 2  # sources alone
    finish(runner, sink, job, tmp_path / "here")
