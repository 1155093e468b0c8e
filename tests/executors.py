"""An executor for tests."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from pipeline.job import Job, Progress
from pipeline.jobs.executor import STOP_SECONDS


@dataclass(frozen=True)
class Here:
    """Runs jobs in this process, and cannot be killed."""

    run: Callable[[Job], Generator[Progress, None, None]]
    name: str = "here"
    node: None = None
    stop_seconds: float = STOP_SECONDS

    def kill(self) -> None:
        pass
