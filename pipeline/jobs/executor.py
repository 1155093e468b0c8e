"""The protocol of an executor: a place where jobs run, one at a time, such as a card or another machine."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from pipeline.job import Job, Progress

STOP_SECONDS = 8.0
"""Usual time that a job has to stop between two frames."""


class Executor(Protocol):
    """Place where one job runs at a time."""

    @property
    def name(self) -> str:
        """Name of its device or of its place in a cluster, for administrators."""

    @property
    def node(self) -> str | None:
        """Names of the machines of a cluster that run its job, joined by ", "; None: it is in no cluster."""

    @property
    def stop_seconds(self) -> float:
        """Time that a job has to stop in before it is killed."""

    def run(self, job: Job) -> Generator[Progress, None, None]:
        """Run a job, as `pipeline.process.process`; closing the generator stops it between two frames.

        Raises WorkerLost where the process that runs it is lost.
        """

    def kill(self) -> None:
        """End the running job whatever it does, so that `run` raises WorkerLost."""
