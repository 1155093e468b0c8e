"""Executor of jobs on a Ray cluster, and the command line's way to run one there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from pipeline.cluster.driver import RayDriver
from pipeline.cluster.paths import absolute_paths
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
    address: str,
    store: str | None = None,
    pixels: int | None = None,
    *,
    factory: Callable[..., RayDriver] = RayDriver,
) -> Iterator[Worker]:
    """Host a driver of the cluster at an address in a worker process, and leave the cluster at the end.

    Without a `store` the nodes have the job's files under the same paths.
    """
    with Worker(partial(factory, address, store, pixels)) as driver:
        try:
            yield driver
        finally:
            if driver.pid is not None:
                with suppress(RecorteError):
                    driver.call(RayDriver.leave)


def run_on_cluster(job: Job, address: str, store: str | None = None) -> Generator[Progress, None, None]:
    """Run one job on the cluster at an address, as `pipeline.process.process` does here."""
    with open_driver(address, store) as driver, closing(RayExecutor(driver, 0).run(job)) as steps:
        for step in steps:
            if step.total:  # others tell that there is no node yet
                yield step
