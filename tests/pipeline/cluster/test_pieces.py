"""Jobs that several nodes of a real Ray cluster compute in pieces."""

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
from pipeline.cluster.store import Store
from pipeline.errors import WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Worker
from pipeline.propagation import resume
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import ImpatientDriver, StandInDriver
from tests.pipeline.cluster.test_executor import expected, frames, leftovers, made
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture(scope="module")
def two_nodes(gate: Path, cluster: Any) -> Any:
    cluster.add_node(**NODE)
    return cluster


@pytest.fixture(scope="module")
def driver(two_nodes: Any) -> Iterator[Worker]:
    with open_driver(two_nodes.address, factory=StandInDriver) as driver:
        until(lambda: driver.call(RayDriver.capacity) == 2)
        yield driver


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    """A deflickered job of five pieces."""
    return Job(clip_path, tmp_path / "result.mp4", model="gated", matte=tmp_path / "matte.mkv")


def begin(driver: Worker, steps: Iterator[Progress], gate: Path) -> int:
    """Run until two nodes are within a piece each; return the process of the one that helps."""
    gate.touch()
    try:
        for step in steps:
            if (helpers := driver.call(StandInDriver.helpers, 0)) and step.done == 6:
                return helpers[0]
    finally:
        gate.unlink()
    raise AssertionError("no other node has helped")


def test_a_piece_whose_process_is_killed_goes_on_and_the_result_is_that_of_this_machine_to_the_bit(
    driver: Worker, executor: RayExecutor, gate: Path, job: Job, tmp_path: Path
) -> None:
    with closing(executor.run(job)) as running:
        os.kill(begin(driver, running, gate), signal.SIGKILL)
        steps = list(frames(running))
    assert made(job) == expected(job, tmp_path / "here")
    assert [step.stage for step, after in pairwise(steps) if step.stage != after.stage] == ["matte"]
    assert all(a.done <= b.done for a, b in pairwise(s for s in steps if s.stage == "matte"))
    assert steps[-1].done == steps[-1].total == steps[-1].frames == 24
    assert not resume.resume_folder(tmp_path / "matte.mkv").exists() and not leftovers(job)


def test_pieces_go_through_a_store_and_a_cancelled_job_goes_on_with_them(
    two_nodes: Any, driver: Worker, gate: Path, job: Job, tmp_path: Path
) -> None:
    driver.call(RayDriver.kill, 0)  # the warm process makes room
    (tmp_path / "store").mkdir()
    store = Store(f"file://{tmp_path}/store")
    assert job.matte is not None
    with open_driver(two_nodes.address, store.address, factory=StandInDriver) as other:
        executor = RayExecutor(other, 0)
        with closing(executor.run(job)) as running:
            begin(other, running, gate)
        assert not store.list("runs") and not job.output.exists()
        assert any(resume.pieces_folder(job.matte).glob("*/*/segment-*.json"))
        steps = list(frames(executor.run(job)))
        assert next(step.done for step in steps if step.done) >= 3 and not store.list("runs")
    assert made(job) == expected(job, tmp_path / "here")
    assert {path.name for path in tmp_path.iterdir()} == {"store", "here", "result.mp4", "matte.mkv"}


def test_a_cancelled_job_without_a_matte_leaves_nothing(
    driver: Worker, executor: RayExecutor, gate: Path, job: Job, tmp_path: Path
) -> None:
    with closing(executor.run(replace(job, matte=None))) as running:
        helper = begin(driver, running, gate)
    until(lambda: not list(tmp_path.iterdir()))
    until(lambda: not psutil.pid_exists(helper))


def test_a_job_is_cancelled_in_the_middle_of_frames_that_do_not_end(
    driver: Worker, executor: RayExecutor, gate: Path, job: Job, tmp_path: Path
) -> None:
    gate.touch()
    try:
        with closing(executor.run(job)) as running:
            assert any(step.done == 6 for step in running)  # two nodes are within a frame each
    finally:
        gate.unlink()
    assert not job.output.exists() and not leftovers(job)


def test_a_job_without_progress_is_given_up(
    two_nodes: Any, driver: Worker, gate: Path, job: Job, tmp_path: Path
) -> None:
    driver.call(RayDriver.kill, 0)  # the warm process makes room
    gate.touch()
    try:
        with (
            open_driver(two_nodes.address, factory=ImpatientDriver) as other,
            pytest.raises(WorkerLost, match="did not answer"),
        ):
            list(RayExecutor(other, 0).run(job))
    finally:
        gate.unlink()


def test_a_waiting_job_gets_the_room_of_a_helper_and_a_killed_one_leaves_none(
    driver: Worker, executor: RayExecutor, gate: Path, job: Job, tmp_path: Path
) -> None:
    other = replace(job, model="remembering", output=tmp_path / "other.mp4", matte=None)
    running = executor.run(job)
    helper = begin(driver, running, gate)
    steps = RayExecutor(driver, 1).run(other)
    assert next(steps).total == 0
    gate.touch()  # the job's own actor stays in its next piece
    until(lambda: not psutil.pid_exists(helper))
    for _ in steps:
        pass
    assert other.output.exists() and not job.output.exists()
    with pytest.raises(WorkerLost):
        for _ in running:
            executor.kill()
    gate.unlink()
    driver.call(RayDriver.kill, 1)
