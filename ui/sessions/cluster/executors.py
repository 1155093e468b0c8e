"""Executors of sessions' runs on a Ray cluster, as many as it has room for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.cluster.driver import RayDriver
from pipeline.cluster.executor import RayExecutor, open_driver
from pipeline.errors import InputError, RecorteError
from pipeline.jobs.executor import Executor
from pipeline.jobs.worker import Worker
from ui.sessions.rendering.executors import SeparateExecutor
from ui.sessions.rendering.protocol import InferenceClient

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
"""Time between two looks at the cluster's room."""


class ClusterExecutors:
    """The executors of a cluster; one that has been made is used again when there is room for it again."""

    def __init__(self, driver: Worker, pictures: Worker) -> None:
        """`pictures` is the worker that renders pictures."""
        self._driver = driver
        self._pictures = InferenceClient(pictures)
        self._made: list[Executor] = []
        self._away = False

    def list(self) -> Sequence[Executor]:
        """Return an executor for each job that the cluster has room for. Raises RecorteError."""
        room = self._driver.call(RayDriver.capacity)
        for number in range(len(self._made), room):
            self._made.append(SeparateExecutor(RayExecutor(self._driver, number), self._pictures))
        return self._made[:room]

    @contextmanager
    def follow(self, use: Callable[[Sequence[Executor]], None]) -> Iterator[None]:
        """Call `use` with the executors every few seconds, in a thread; not while the cluster is away."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_LOOK_SECONDS):
                self._look(use)

        # Not waited for at the end: it may ask a cluster that is away, until its driver is closed.
        threading.Thread(target=look, name="cluster", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _look(self, use: Callable[[Sequence[Executor]], None]) -> None:
        try:
            executors = self.list()
        except RecorteError as error:
            if not self._away:
                log.warning("the Ray cluster is away: %s", error)
            self._away = True
            return
        if self._away:
            log.warning("the Ray cluster is back, with room for %d jobs", len(executors))
        self._away = False
        use(executors)


@contextmanager
def open_cluster(
    address: str,
    store: str | None,
    pixels: int | None,
    pictures: Worker,
    *,
    factory: Callable[..., RayDriver] = RayDriver,
) -> Iterator[ClusterExecutors]:
    """Join the cluster at an address, and leave it at the end; arguments as of `open_driver`.

    `pictures` is the worker that renders pictures.

    Raises InputError where it cannot be joined, or a node has other versions than this machine.
    """
    with open_driver(address, store, pixels, waits=True, factory=factory) as driver:
        for report in driver.call(RayDriver.inspect):
            if isinstance(report.error, InputError):
                raise report.error
            if report.error is not None:
                log.warning("%s", report.error)
        yield ClusterExecutors(driver, pictures)
