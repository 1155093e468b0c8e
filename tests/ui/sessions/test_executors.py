"""Executors of runs: the worker that renders pictures, and one for each further device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.errors import InputError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.executor import STOP_SECONDS, Executor
from pipeline.jobs.runner import Runner
from pipeline.jobs.worker import Worker
from pipeline.languages.messages import Message
from pipeline.limits import Limits
from pipeline.process import process
from pipeline.prompts import Box, Prompt
from pipeline.propagation import resume, spool
from pipeline.video.reading.probe import probe_clip
from tests.pipeline import stand_in
from tests.pipeline.jobs.test_runner import Sink
from tests.ui import hosted
from tests.waiting import until
from ui.sessions.rendering.executors import (
    DeviceExecutor,
    PictureWorkerExecutor,
    SeparateExecutor,
    open_executors,
)
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.rendering.protocol import InferenceClient
from ui.sessions.rendering.turns import MatteWriters


@pytest.fixture
def make_job(small_clip: Path, tmp_path: Path) -> Callable[[str], Job]:
    marks = (Prompt(0.0, box=Box(40, 20, 120, 80)),)
    return lambda name: Job(
        small_clip, tmp_path / f"{name}.mp4", model="grabcut", prompts=marks, matte=tmp_path / f"{name}.mkv"
    )


@pytest.fixture
def executors() -> Iterator[list[Executor]]:
    before = psutil.Process().children()
    with (
        Worker(hosted.create_inference_service) as worker,
        open_executors(["cpu", "cpu"], worker, Limits(), 60) as executors,
    ):
        yield executors
    left = [process for process in psutil.Process().children() if process not in before]
    assert not [process for process in left if "spawn_main" in " ".join(process.cmdline())]


def test_two_devices_run_at_once_and_make_what_one_makes(
    executors: list[Executor], make_job: Callable[[str], Job]
) -> None:
    assert [executor.name for executor in executors] == ["cpu", "cpu"]
    list(process(make_job("alone")))
    runs = [executor.run(make_job(name)) for executor, name in zip(executors, "ab", strict=True)]
    with closing(runs[0]), closing(runs[1]):
        assert next(runs[0]).total == next(runs[1]).total  # both are under way
        for run in runs:
            *_, last = run
            assert last.done == last.total
    alone = make_job("alone")
    for name in "ab":
        job = make_job(name)
        assert job.output.read_bytes() == alone.output.read_bytes()
        assert job.matte is not None and job.matte.exists()


def test_a_killed_device_loses_its_own_run_only_and_takes_the_next(
    executors: list[Executor], make_job: Callable[[str], Job]
) -> None:
    first, second = executors
    running, lost = first.run(make_job("a")), second.run(make_job("b"))
    with closing(running), closing(lost):
        next(running), next(lost)
        second.kill()
        with pytest.raises(WorkerLost):
            list(lost)
        assert list(running)[-1].done == list(second.run(make_job("b")))[-1].done
    assert make_job("b").output.read_bytes() == make_job("a").output.read_bytes()


def test_a_run_that_is_cancelled_within_a_frame_is_told_at_once_and_continued(
    make_job: Callable[[str], Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, sink = tmp_path / "gate", Sink()
    gate.touch()
    monkeypatch.setenv(stand_in.GATE, str(gate))
    monkeypatch.setattr(PictureWorkerExecutor, "stop_seconds", 1.0)
    job = replace(make_job("a"), model="gated", prompts=())
    with (
        stand_in.registered(),
        Worker(create_quick_service) as worker,
        closing(Runner(sink, [PictureWorkerExecutor("cpu", worker)])) as runner,
    ):
        runner.submit("a", job)
        until(lambda: (seen := runner.progress("a")) is not None and seen.done == 3)
        runner.cancel("a")
        until(lambda: ("cancelled", "a") in sink.ends())
        assert runner.holds("a") and worker.pid is not None
        until(runner.is_idle)  # its process was killed within the frame
        assert resume.can_resume(job, probe_clip(job.source)) and not job.output.exists()
        gate.unlink()
        runner.submit("a", job)
        until(lambda: ("finished", "a") in sink.ends())
    assert job.output.exists() and not resume.can_resume(job, probe_clip(job.source))


def create_quick_service() -> InferenceService:
    """For a worker that closes a segment after each frame's work."""
    spool.CHUNK_SECONDS = 0.2
    return hosted.create_inference_service()


class Pictures:
    """The worker that renders pictures, as far as it holds mattes."""

    def __init__(self) -> None:
        self.writers = MatteWriters()
        self.lost = False

    def call(self, method: Callable[..., Any], *args: Any) -> None:
        if self.lost:
            raise WorkerLost("runs.lost", how=Message("runs.killed"))
        {"hold_matte": self.writers.hold, "release_matte": self.writers.release}[method.__name__](
            str(args[0])
        )

    def stream(self, method: Callable[..., Any], *args: Any) -> Generator[Any, None, None]:
        raise AssertionError


class Elsewhere:
    """Runs nothing, for as long as it is asked to."""

    name = "cuda:1"
    node = None
    stop_seconds = STOP_SECONDS

    def run(self, job: Job) -> Generator[Progress, None, None]:
        for done in range(3):
            yield Progress("matte", done, 3, 1.0, None)

    def kill(self) -> None: ...


def test_the_cut_ahead_lets_go_of_a_matte_while_it_is_made_elsewhere(make_job: Callable[[str], Job]) -> None:
    pictures, job = Pictures(), make_job("a")
    executor = SeparateExecutor(Elsewhere(), InferenceClient(pictures))
    runs = executor.run(job)
    with pictures.writers.ahead(str(job.matte)):
        thread = threading.Thread(target=next, args=(runs,))
        thread.start()
        until(lambda: pictures.writers.wanted(str(job.matte)))
        assert thread.is_alive()  # the run waits
    thread.join()
    assert pictures.writers.wanted(str(job.matte))
    runs.close()  # it is cancelled
    assert not pictures.writers.wanted(str(job.matte))


def test_a_run_goes_on_without_the_worker_that_renders_pictures(make_job: Callable[[str], Job]) -> None:
    pictures = Pictures()
    executor = SeparateExecutor(Elsewhere(), InferenceClient(pictures))
    pictures.lost = True
    assert len(list(executor.run(make_job("a")))) == 3
    pictures.lost = False
    runs = executor.run(make_job("a"))
    next(runs)
    pictures.writers = MatteWriters()  # of the process that took its place
    assert len(list(runs)) == 2


def test_a_device_that_is_not_here_fails_with_its_sentence(make_job: Callable[[str], Job]) -> None:
    with closing(DeviceExecutor("xpu:7", Limits(), 60)) as executor, pytest.raises(InputError, match="xpu"):
        list(executor.run(replace(make_job("a"), model="recorte")))
