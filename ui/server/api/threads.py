"""Threads of the API: what reads the database or asks the worker runs in them, fairly among users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from ui.sessions.limits.shares import FairThreads
from ui.visitor import user_id_of

T = TypeVar("T")


class ApiThreads:
    """Threads for requests of one kind: `in_all`, and `each` for one user."""

    def __init__(self, in_all: int, each: int) -> None:
        self._threads: FairThreads[Any] = FairThreads(in_all, each)

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """Return the result of `work`, which runs in one of the threads that the request's user may use."""
        async with self._threads.slot(user_id_of(request)) as run:
            result: T = await run(work)
        return result
