"""Server-sent events of a run: its state and progress, whenever they have changed.

    id: running-matte-120
    event: run
    data: {"id": "...", "state": "running", "progress": {...}, ...}

An event's id says what it tells of, so that a client that comes back gets what has changed since, from
whatever server. Between events a comment keeps proxies from closing the connection.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from db.errors import DatabaseAway, NotFound
from db.models import State
from ui.server.api.errors import text_problem
from ui.server.api.schemas import Run
from ui.visitor import user_id_of

POLL_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0
LONGEST_STREAM_SECONDS = 600.0
"""A client then asks anew, and is authenticated anew."""
MOST_STREAMS = 20
"""Streams of one user at once."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy is not to collect events

T = TypeVar("T")
Waited = TypeVar("Waited", bound="CanFinish")

ReadRun = Callable[[], Awaitable[Run]]


class CanFinish(Protocol):
    """Run that can be waited for."""

    @property
    def finished(self) -> bool: ...


class Streams:
    """Open streams of events, and requests that wait for a run, counted by user."""

    def __init__(self) -> None:
        self._open: Counter[UUID | None] = Counter()

    async def follow(self, request: Request, read: ReadRun, last: str | None) -> Response:
        """Return the stream of a run's events after that with id `last`; a problem if too many are open."""
        user = user_id_of(request)
        run = await read()
        if _has_ended(run) and event_id(run) == last:
            return Response(status_code=204)
        if self.is_full(user):
            return text_problem(request, 429, "busy")
        return StreamingResponse(
            self.count(user, _events(run, read, last)), media_type="text/event-stream", headers=HEADERS
        )

    async def wait(
        self, user: UUID | None, run: Waited, read: Callable[[], Awaitable[Waited]], seconds: float
    ) -> Waited:
        """Return a run once it has ended, or as it is after `seconds`.

        If too many requests of the user wait already, it is returned as it is at once.
        """
        if self.is_full(user):
            return run
        self._open[user] += 1
        try:
            until = time.monotonic() + seconds
            while not run.finished and (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(POLL_SECONDS, left))
                with suppress(DatabaseAway):
                    run = await read()
            return run
        finally:
            self._open[user] -= 1

    def is_full(self, user: UUID | None) -> bool:
        """Return True if a user has as many streams open as there may be."""
        return self._open[user] >= MOST_STREAMS

    async def count(self, user: UUID | None, events: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield what a stream does, which counts as open meanwhile."""
        self._open[user] += 1
        try:
            async for event in events:
                yield event
        finally:
            self._open[user] -= 1


async def _events(run: Run, read: ReadRun, last: str | None) -> AsyncIterator[str]:
    began = time.monotonic()
    sent, sent_at = last, began
    yield f"retry: {round(POLL_SECONDS * 4000)}\n\n"
    while True:
        id = event_id(run)
        if id != sent:
            yield f"id: {id}\nevent: run\ndata: {run.model_dump_json()}\n\n"
            sent, sent_at = id, time.monotonic()
        elif time.monotonic() - sent_at >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            sent_at = time.monotonic()
        if _has_ended(run) or time.monotonic() - began >= LONGEST_STREAM_SECONDS:
            return
        await asyncio.sleep(POLL_SECONDS)
        try:
            run = await read()
        except NotFound:
            return  # its session was deleted: whoever asks again is told so
        except DatabaseAway:
            continue


def event_id(run: Run) -> str:
    """Return the id of the event that tells of a run as it is now."""
    parts = [run.state.value]
    if run.queue_position:
        parts.append(str(run.queue_position))
    if run.state is State.RUNNING and run.progress is not None:
        parts += [run.progress.stage, str(run.progress.done)]
    return "-".join(parts)


def _has_ended(run: Run) -> bool:
    return run.state not in (State.QUEUED, State.RUNNING)
