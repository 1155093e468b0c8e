"""Bounds on what is sent with requests: how slowly it may come, and how much of it is held in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from starlette.types import Message, Receive

GRACE_SECONDS = 20.0
MIN_RATE = 1024.0
"""Bytes per second that have to come in the long run, after the grace."""
MAX_SILENCE_SECONDS = 120.0
"""Seconds, however much has come before."""

UNCOUNTED_BYTES = 64 * 2**10
"""Bytes of a body that may always be held: as much as uvicorn holds of each in any case."""
MAX_HELD_BYTES = 16 * 2**20
"""Bytes of one user's bodies beyond that."""


def enforce_min_rate(receive: Receive) -> Receive:
    """Take a client whose body comes too slowly for one that has gone.

    Only the time is counted in which it is waited for.
    """
    left = GRACE_SECONDS
    whole = False

    async def received() -> Message:
        nonlocal left, whole
        if whole:
            return await receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(min(left, MAX_SILENCE_SECONDS)):
                message = await receive()
        except TimeoutError:
            whole = True
            return {"type": "http.disconnect"}
        left += len(message.get("body", b"")) / MIN_RATE - (loop.time() - began)
        whole = not message.get("more_body", False)
        return message

    return received


class TooMuchHeld(Exception):
    """One user's bodies would take more memory than may be."""


class Bodies:
    """The bodies that are held, by user."""

    def __init__(self) -> None:
        self._held: Counter[UUID | None] = Counter()

    @contextmanager
    def hold(self, user: UUID | None) -> Iterator[Body]:
        """Count a body as this user's until the end of the context."""
        body = Body(self._held, user)
        try:
            yield body
        finally:
            body.grow(0)


class Body:
    """Bytes that one body adds to those that a user has held."""

    def __init__(self, held: Counter[UUID | None], user: UUID | None) -> None:
        self._held = held
        self._user = user
        self._counted = 0

    def grow(self, size: int) -> None:
        """Count it with `size` bytes. Raises TooMuchHeld."""
        counted = max(0, size - UNCOUNTED_BYTES)
        total = self._held[self._user] + counted - self._counted
        if counted > self._counted and total > MAX_HELD_BYTES:
            raise TooMuchHeld
        self._held[self._user] = total
        self._counted = counted
