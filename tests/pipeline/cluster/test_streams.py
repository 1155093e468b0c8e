"""Jobs whose streams several nodes of a real Ray cluster compute."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.errors import WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Worker
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation import resume
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import StandInDriver
from tests.pipeline.cluster.test_executor import expected, frames, leftovers, made
from tests.rendered import subject_over_background, write_clip
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("stand_ins")

BOX = Box(10.0, 10.0, 60.0, 60.0)
BOTH_WAYS = (
    Prompt(12 / 24, box=BOX),
    Prompt(12 / 24, box=Box(70.0, 10.0, 120.0, 60.0), object=2),
)
EACH_SCENE = (
    Prompt(4 / 24, box=BOX),
    Prompt(16 / 24, box=BOX, object=2),
    Prompt(18 / 24, box=BOX),
    Prompt(30 / 24, (Point(30.0, 30.0),)),
    Prompt(33 / 24, (Point(90.0, 30.0),), object=2),
)


@pytest.fixture(scope="module")
def two_nodes(cluster: Any) -> Any:
    cluster.add_node(**NODE)
    return cluster


@pytest.fixture(scope="module")
def driver(two_nodes: Any) -> Iterator[Worker]:
    with open_driver(two_nodes.address, factory=StandInDriver) as driver:
        until(lambda: driver.call(RayDriver.capacity) == 2)
        yield driver


@pytest.fixture(scope="module")
def three_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of three scenes of twelve frames each."""
    first, _ = subject_over_background(12, 160, 90)
    second = [255 - frame[::-1] for frame in first]
    return write_clip(tmp_path_factory.mktemp("clips") / "scenes.mp4", [*first, *second, *first])


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    """A job of two objects, each with a stream in both directions."""
    return Job(
        clip_path, tmp_path / "result.mp4", "dwelling", BOTH_WAYS, matte=tmp_path / "matte.mkv", end=1.0
    )


def begin(driver: Worker, steps: Iterator[Progress]) -> int:
    """Run until two nodes have done frames of a stream each; return the process of the one that helps."""
    for step in steps:
        if step.done >= 12 and (helpers := driver.call(StandInDriver.helpers, 0)):
            return helpers[0]
    raise AssertionError("no other node has helped")


def test_streams_of_a_job_whose_helper_is_killed_give_the_result_of_this_machine_to_the_bit(
    driver: Worker, executor: RayExecutor, job: Job, tmp_path: Path
) -> None:
    with closing(executor.run(job)) as running:
        os.kill(begin(driver, running), signal.SIGKILL)
        steps = list(frames(running))
    assert made(job) == expected(job, tmp_path / "here")
    assert [step.stage for step, after in pairwise(steps) if step.stage != after.stage] == ["matte"]
    assert steps[-1].done == steps[-1].total and steps[-1].frames == 24
    assert not resume.resume_folder(tmp_path / "matte.mkv").exists() and not leftovers(job)


@pytest.mark.parametrize("kept", [True, False], ids=["matte", "no matte"])
def test_scenes_are_found_on_a_node_before_a_job_is_cut(
    driver: Worker, executor: RayExecutor, job: Job, three_scenes: Path, tmp_path: Path, kept: bool
) -> None:
    job = replace(job, source=three_scenes, prompts=EACH_SCENE, end=None)
    whole = expected(job, tmp_path / "here")
    ran = replace(job, matte=job.matte if kept else None)
    with closing(executor.run(ran)) as running:
        helper = begin(driver, running)
        for _ in running:
            pass
    if kept:
        assert made(job) == whole
    assert job.output.read_bytes() == whole[0]
    assert {path.name for path in tmp_path.iterdir()} == {"here", "result.mp4"} | (
        {"matte.mkv"} if kept else set()
    )
    until(lambda: not psutil.pid_exists(helper))


def test_a_job_whose_node_is_lost_goes_on_with_the_streams_of_the_others(
    two_nodes: Any, driver: Worker, executor: RayExecutor, job: Job, tmp_path: Path
) -> None:
    node = two_nodes.add_node(**NODE)
    until(lambda: driver.call(RayDriver.capacity) == 3)
    with closing(executor.run(job)) as running:
        begin(driver, running)
        two_nodes.remove_node(node, allow_graceful=False)
        for _ in running:
            pass
    assert made(job) == expected(job, tmp_path / "here")
    until(lambda: driver.call(RayDriver.capacity) == 2)


def test_a_cancelled_job_is_continued_by_this_machine(
    driver: Worker, executor: RayExecutor, job: Job, tmp_path: Path
) -> None:
    clip = probe_clip(job.source)
    with closing(executor.run(job)) as running:
        begin(driver, running)
    assert not job.output.exists() and not leftovers(job)
    assert resume.can_resume(job, clip) and resume.stored_bytes(job.matte)
    assert len(resume.find_pieces(job, clip)) >= 2
    with closing(process(job)) as steps:
        assert next(steps).done > 1
        for _ in steps:
            pass
    assert made(job) == expected(job, tmp_path / "here")
    assert not resume.resume_folder(tmp_path / "matte.mkv").exists()


def test_a_job_whose_driver_is_killed_is_continued_by_the_next(
    two_nodes: Any, driver: Worker, job: Job, tmp_path: Path
) -> None:
    driver.call(RayDriver.kill, 0)  # the warm process makes room
    with open_driver(two_nodes.address, factory=StandInDriver) as other:
        until(lambda: other.call(RayDriver.capacity) == 2)
        executor = RayExecutor(other, 0)
        steps = executor.run(job)
        helper = begin(other, steps)
        other.kill()
        with pytest.raises(WorkerLost):
            list(steps)
        until(lambda: not psutil.pid_exists(helper))
        assert resume.can_resume(job, probe_clip(job.source))
        again = list(frames(executor.run(job)))
        assert next(step.done for step in again if step.done) > 1
    assert made(job) == expected(job, tmp_path / "here")
