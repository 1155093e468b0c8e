"""Executor of jobs on a Ray cluster, and the command line's way to run one there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.cluster.driver import RayDriver
from pipeline.compositing.background import Footage, Picture
from pipeline.errors import RecorteError
from pipeline.job import Job, Progress
from pipeline.jobs.worker import Worker


class RayExecutor:
    """Runs one job at a time on a Ray cluster, by the driver that a worker process hosts."""

    def __init__(self, driver: Worker, number: int) -> None:
        """`number` is that of this executor among those of the driver."""
        self._driver, self._number = driver, number

    @property
    def name(self) -> str:
        """Name of this place in the cluster, such as `ray:0`."""
        return f"ray:{self._number}"

    def run(self, job: Job) -> Generator[Progress, None, None]:
        """Run a job; closing the generator stops it between two frames. Errors as of `RayDriver.run`."""
        return self._driver.stream(RayDriver.run, self._number, absolute_paths(job))

    def kill(self) -> None:
        """Kill the job's process; `run` then raises WorkerLost."""
        with suppress(RecorteError):  # the driver is gone, and its jobs with it
            self._driver.call(RayDriver.kill, self._number)


@contextmanager
def open_driver(
    address: str, pixels: int | None = None, *, factory: Callable[..., RayDriver] = RayDriver
) -> Iterator[Worker]:
    """Host a driver of the cluster at an address in a worker process, and leave the cluster at the end."""
    with Worker(partial(factory, address, pixels)) as driver:
        try:
            yield driver
        finally:
            if driver.pid is not None:
                with suppress(RecorteError):
                    driver.call(RayDriver.leave)


def run_on_cluster(job: Job, address: str) -> Generator[Progress, None, None]:
    """Run one job on the cluster at an address, as `pipeline.process.process` does here."""
    with open_driver(address) as driver, closing(RayExecutor(driver, 0).run(job)) as steps:
        for step in steps:
            if step.total:  # others tell that there is no node yet
                yield step


def absolute_paths(job: Job) -> Job:
    """Return the job with absolute paths: a node has another current folder."""
    return map_paths(job, Path.absolute)


def map_paths(job: Job, change: Callable[[Path], Path]) -> Job:
    """Return the job with each of its paths changed."""
    behind, matte = job.background, job.matte_in
    return replace(
        job,
        source=change(job.source),
        output=change(job.output),
        background=replace(behind, path=change(behind.path))
        if isinstance(behind, Picture | Footage)
        else behind,
        matte_in=None if matte is None else replace(matte, path=change(matte.path)),
        prompts=tuple(
            prompt
            if prompt.mask is None
            else replace(prompt, mask=replace(prompt.mask, path=change(prompt.mask.path)))
            for prompt in job.prompts
        ),
        weights=None if job.weights is None else change(job.weights),
        matte=None if job.matte is None else change(job.matte),
    )
