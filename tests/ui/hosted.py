"""The worker's service with stand-ins among its models, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Self

from tests.pipeline import stand_in
from ui.sessions.rendering.inference import InferenceService


def create_inference_service() -> InferenceService:
    """For a worker: the models are registered where they are made."""
    stand_in.register()
    return InferenceService()


class LocalWorker:
    """In place of a `pipeline.jobs.worker.Worker`: hosts in this process, within a test's reach."""

    pid = None

    def __init__(self, factory: Callable[[], Any], **_: Any) -> None:
        self.hosted = factory()

    def call(self, method: Callable[..., Any], *args: Any) -> Any:
        return getattr(self.hosted, method.__name__)(*args)

    def stream(self, method: Callable[..., Any], *args: Any) -> Generator[Any, None, None]:
        yield from getattr(self.hosted, method.__name__)(*args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
