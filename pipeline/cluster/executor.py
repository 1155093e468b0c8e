"""Executor of jobs on a Ray cluster, and the command line's way to run one there."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from pipeline.cluster.driver import RayDriver
from pipeline.cluster.paths import absolute_paths
from pipeline.errors import RecorteError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.runner import STALL_SECONDS
from pipeline.jobs.worker import Worker
from pipeline.languages.messages import Message

_ASK_SECONDS = 1.0
"""Time between two questions on which node a job is."""


class RayExecutor:
    """Runs one job at a time on a Ray cluster, by the driver that a worker process hosts."""

    stop_seconds = STALL_SECONDS
    """The driver itself ends a job that does not stop; then what it has found is brought back."""

    def __init__(self, driver: Worker, number: int) -> None:
        """`number` is that of this executor among those of the driver."""
        self._driver, self._number = driver, number
        self._node = ""

    @property
    def name(self) -> str:
        """Name of this place in the cluster, such as `ray:0`."""
        return f"ray:{self._number}"

    @property
    def node(self) -> str:
        """Names of the nodes that run the job, joined by commas; empty: none does."""
        return self._node

    def run(self, job: Job) -> Generator[Progress, None, None]:
        """Run a job; closing the generator stops it between two frames. Errors as of `RayDriver.run`."""
        driver: int | None = None
        asked = -_ASK_SECONDS
        try:
            with closing(self._driver.stream(RayDriver.run, self._number, absolute_paths(job))) as steps:
                for step in steps:
                    driver = self._driver.pid
                    if time.monotonic() - asked >= _ASK_SECONDS:
                        asked = time.monotonic()
                        self._node = self._driver.call(RayDriver.node_of, self._number)
                    yield step
        except WorkerLost as error:
            if driver is not None and self._driver.pid != driver:
                raise WorkerLost("runs.lost", how=Message("cluster.lost")) from error
            raise
        finally:
            self._node = ""

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
    waits: bool = False,
    factory: Callable[..., RayDriver] = RayDriver,
) -> Iterator[Worker]:
    """Host a driver of the cluster at an address in a worker process, and leave the cluster at the end.

    Without a `store` the nodes have the job's files under the same paths. `waits` as for `RayDriver`.
    """
    with Worker(partial(factory, address, store, pixels, waits)) as driver:
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
            if step.total:  # others tell that it waits
                yield step
