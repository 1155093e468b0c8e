"""Jobs on the nodes of a real Ray cluster."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.cluster.capacity import Node, Resources, share_of_node
from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.cluster.paths import absolute_paths
from pipeline.compositing.background import Picture
from pipeline.errors import InputError, VideoError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Worker
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Point, Prompt
from pipeline.propagation import resume
from pipeline.propagation.resume import resume_folder
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.cluster.conftest import NODE
from tests.pipeline.cluster.stand_in_nodes import BrokenDriver, OtherDriver, StandInDriver
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    """A job whose mattes hang on all frames before them, both ways from its mark."""
    return Job(
        clip_path,
        tmp_path / "result.mp4",
        model="remembering",
        prompts=(Prompt(0.4, (Point(160.0, 90.0),)),),
        matte=tmp_path / "matte.mkv",
    )


@pytest.fixture
def slow_job(job: Job) -> Job:
    """The same with a model that takes its time over each frame."""
    return replace(job, model="dwelling")


Made = tuple[bytes, bytes, str | None]


def expected(job: Job, folder: Path) -> Made:
    """Run the job in this process and return its files."""
    folder.mkdir()
    assert job.matte is not None
    own = replace(job, output=folder / job.output.name, matte=folder / job.matte.name)
    for _ in process(own):
        pass
    return made(own)


def made(job: Job) -> Made:
    """The bytes of the result, and the mattes and key of the matte file."""
    assert job.matte is not None
    mattes = ffprobe.frames(job.matte, "gray").tobytes()
    return job.output.read_bytes(), mattes, MatteFile.open(job.matte).key


def frames(steps: Iterator[Progress]) -> Iterator[Progress]:
    """Progress of frames, without that of waiting."""
    return (step for step in steps if step.total)


def begin(steps: Iterator[Progress], job: Job) -> None:
    """Run the job until there is something to continue from."""
    assert job.matte is not None
    folder = resume_folder(job.matte)
    assert any(any(folder.glob("*/segment-*.json")) for _ in steps), "it has ended already"


def leftovers(job: Job) -> list[str]:
    return [path.name for path in job.output.parent.iterdir() if path.name.endswith(".part")]


def test_the_result_is_that_of_this_machine_to_the_bit(
    executor: RayExecutor, job: Job, tmp_path: Path
) -> None:
    steps = list(frames(executor.run(job)))
    assert made(job) == expected(job, tmp_path / "here")
    assert steps[-1].done == steps[-1].total and steps[-1].frames == 24
    assert all(a.done <= b.done for a, b in pairwise(steps))
    assert not resume_folder(tmp_path / "matte.mkv").exists()


def test_the_same_process_runs_the_next_job(driver: Worker, executor: RayExecutor, job: Job) -> None:
    for _ in executor.run(replace(job, matte=None)):
        pass
    pid = driver.call(StandInDriver.pid, 0)
    for _ in executor.run(replace(job, matte=None, output=job.output.with_name("other.mp4"))):
        pass
    assert driver.call(StandInDriver.pid, 0) == pid
    assert driver.call(RayDriver.node_of, 0) == socket.gethostname()


def test_errors_cross_as_they_are(executor: RayExecutor, job: Job, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(VideoError) as unusable:
        list(executor.run(replace(job, source=text)))
    with pytest.raises(VideoError) as here:
        list(process(replace(job, source=text)))
    assert unusable.value.message == here.value.message
    with pytest.raises(RuntimeError, match="a fault in a model") as fault:
        list(executor.run(replace(job, model="failing")))
    assert "ZeroDivisionError" in "".join(fault.value.__notes__)
    assert not job.output.exists() and not leftovers(job)


def test_a_file_that_the_node_does_not_see_is_named(executor: RayExecutor, job: Job) -> None:
    with pytest.raises(InputError, match=r"does not find away\.mp4"):
        list(executor.run(replace(job, source=job.source.with_name("away.mp4"))))


def test_a_cancelled_job_stops_between_two_frames_and_can_be_continued(
    driver: Worker, executor: RayExecutor, slow_job: Job, tmp_path: Path
) -> None:
    with closing(executor.run(slow_job)) as steps:
        begin(steps, slow_job)
        pid = driver.call(StandInDriver.pid, 0)
    assert not slow_job.output.exists() and not leftovers(slow_job)
    assert resume.can_resume(slow_job, probe_clip(slow_job.source))
    first = next(frames(executor.run(slow_job)))
    assert first.done > 1
    assert driver.call(StandInDriver.pid, 0) == pid
    for _ in executor.run(slow_job):
        pass
    assert made(slow_job) == expected(slow_job, tmp_path / "here")


def test_a_killed_job_is_lost_and_the_next_one_runs(
    executor: RayExecutor, slow_job: Job, tmp_path: Path
) -> None:
    with pytest.raises(WorkerLost):
        for _ in frames(executor.run(slow_job)):
            executor.kill()
    for _ in executor.run(slow_job):
        pass
    assert made(slow_job) == expected(slow_job, tmp_path / "here")
    assert not leftovers(slow_job)


def test_a_job_goes_on_when_its_process_is_killed(
    driver: Worker, executor: RayExecutor, slow_job: Job, tmp_path: Path
) -> None:
    steps = executor.run(slow_job)
    begin(steps, slow_job)
    pid = driver.call(StandInDriver.pid, 0)
    os.kill(pid, signal.SIGKILL)
    later = list(frames(steps))
    assert driver.call(StandInDriver.pid, 0) != pid
    assert later[-1].done == later[-1].total
    assert made(slow_job) == expected(slow_job, tmp_path / "here")
    assert not leftovers(slow_job)


def test_a_job_whose_processes_die_again_and_again_is_lost(
    driver: Worker, executor: RayExecutor, slow_job: Job
) -> None:
    killed = set()
    with pytest.raises(WorkerLost, match="no longer answers"):
        for _ in frames(executor.run(slow_job)):
            pid = driver.call(StandInDriver.pid, 0)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
    assert len(killed) == 3


def test_two_jobs_share_the_nodes_and_one_goes_on_elsewhere_when_its_node_is_lost(
    cluster: Any, driver: Worker, slow_job: Job, tmp_path: Path
) -> None:
    other = replace(slow_job, output=tmp_path / "other.mp4", matte=tmp_path / "other.mkv")
    first, second = RayExecutor(driver, 0).run(slow_job), RayExecutor(driver, 1).run(other)
    begin(first, slow_job)
    assert next(second).total == 0  # there is no room for it
    node = cluster.add_node(**NODE)
    begin(second, other)  # the node that has joined is used
    cluster.remove_node(node, allow_graceful=False)
    for _ in first:
        pass
    driver.call(RayDriver.kill, 0)  # the warm process makes room
    for _ in second:
        pass
    assert made(slow_job) == made(other) == expected(slow_job, tmp_path / "here")
    driver.call(RayDriver.kill, 1)


def test_the_cluster_tells_its_nodes_and_its_room(cluster: Any, driver: Worker) -> None:
    # Ray takes a while to find out that a node is lost.
    until(lambda: [node.cpus for node in driver.call(RayDriver.nodes)].count(1) == 1)
    assert driver.call(RayDriver.capacity) == 1


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [(OtherDriver, r"has torch 1\.0 and this machine"), (BrokenDriver, "No module named 'torch'")],
)
def test_a_node_that_does_not_fit_is_told(
    cluster: Any, job: Job, factory: Callable[..., RayDriver], sentence: str
) -> None:
    with open_driver(cluster.address, factory=factory) as driver, pytest.raises(InputError, match=sentence):
        list(RayExecutor(driver, 0).run(job))


def test_a_driver_that_is_killed_leaves_no_process_on_the_nodes(cluster: Any, slow_job: Job) -> None:
    with open_driver(cluster.address, factory=StandInDriver) as driver:
        steps = RayExecutor(driver, 0).run(slow_job)
        begin(steps, slow_job)
        pid = driver.call(StandInDriver.pid, 0)
        driver.kill()
        with pytest.raises(WorkerLost):
            list(steps)
        until(lambda: not psutil.pid_exists(pid))


def test_a_job_takes_a_card_with_its_part_of_the_processors() -> None:
    head, plain, cards = Node("a", 0, 0, 1), Node("b", 8, 0, 1), Node("c", 32, 4, 1)
    assert share_of_node([head, plain, cards]) == Resources(8, 1)
    assert share_of_node([head, plain, cards], "cpu") == Resources(8, 0)
    assert share_of_node([head, plain, Node("d", 2, 0, 1)]) == Resources(2, 0)
    assert share_of_node([head]) == Resources(1, 1)


def test_paths_that_cross_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = Job(Path("in.mp4"), Path("out.mp4"), background=Picture(Path("back.png")), matte=Path("m.mkv"))
    moved = absolute_paths(job)
    assert moved.source == tmp_path / "in.mp4" and moved.output == tmp_path / "out.mp4"
    assert moved.background == Picture(tmp_path / "back.png")
    assert moved.matte == tmp_path / "m.mkv" and moved.weights is None
