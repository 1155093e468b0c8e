"""Executors of sessions' runs: the worker that renders pictures, and a worker for each further device."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import Protocol

from pipeline import devices
from pipeline.errors import WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.executor import STOP_SECONDS, Executor
from pipeline.jobs.worker import Worker
from pipeline.limits import Limits
from ui.sessions.rendering.protocol import Inference, InferenceClient


class PictureWorkerExecutor:
    """Executor of the worker that renders pictures: a run and the cut ahead of it share its model."""

    node = None
    stop_seconds = STOP_SECONDS

    def __init__(self, name: str, worker: Worker) -> None:
        self.name = name
        self._worker = worker

    def run(self, job: Job) -> Generator[Progress, None, None]:
        return self._worker.stream(Inference.process, job)

    def kill(self) -> None:
        self._worker.kill()


class SeparateExecutor:
    """Executor elsewhere: the worker that renders pictures leaves a job's matte alone while it runs there."""

    def __init__(self, executor: Executor, pictures: InferenceClient) -> None:
        self._executor = executor
        self._pictures = pictures

    @property
    def name(self) -> str:
        return self._executor.name

    @property
    def node(self) -> str | None:
        return self._executor.node

    @property
    def stop_seconds(self) -> float:
        return self._executor.stop_seconds

    def run(self, job: Job) -> Generator[Progress, None, None]:
        if job.matte is None:
            yield from self._executor.run(job)
            return
        # Lost, that worker holds no matte, and no cut begins while a run is under way.
        with suppress(WorkerLost):
            self._pictures.hold_matte(job.matte)
        try:
            yield from self._executor.run(job)
        finally:
            with suppress(WorkerLost):
                self._pictures.release_matte(job.matte)

    def kill(self) -> None:
        self._executor.kill()


class DeviceExecutor:
    """Executor of one device, in a worker process of its own that starts with the first job."""

    node = None
    stop_seconds = STOP_SECONDS

    def __init__(self, device: str, limits: Limits, idle_timeout: float) -> None:
        self.name = device
        self._worker = Worker(partial(create_job_host, device), limits=limits, idle_timeout=idle_timeout)

    def run(self, job: Job) -> Generator[Progress, None, None]:
        return self._worker.stream(JobHost.process, job)

    def kill(self) -> None:
        self._worker.kill()

    def close(self) -> None:
        self._worker.close()


@contextmanager
def open_executors(
    names: Sequence[str], pictures: Worker, limits: Limits, idle_timeout: float
) -> Iterator[list[Executor]]:
    """Open an executor for each device: the first one is the device of the worker that renders pictures."""
    first, *others = names
    executors: list[Executor] = [PictureWorkerExecutor(first, pictures)]
    with ExitStack() as stack:
        for name in others:
            executor = stack.enter_context(closing(DeviceExecutor(name, limits, idle_timeout)))
            executors.append(SeparateExecutor(executor, InferenceClient(pictures)))
        yield executors


class JobHost(Protocol):
    """Host of jobs in a worker process."""

    def process(self, job: Job) -> Generator[Progress, None, None]:
        """Run a job, as `pipeline.process.process`."""


class _JobHost:
    def process(self, job: Job) -> Generator[Progress, None, None]:
        from pipeline.process import process

        return process(job)


def create_job_host(device: str) -> JobHost:
    """Create the host of jobs on a device; called in the worker."""
    devices.prefer(device)
    return _JobHost()
