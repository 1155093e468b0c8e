"""Bounds on request bodies: the least rate at which they have to arrive, and how much is held in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from starlette.types import Message, Receive

from ui import text
from ui.server.middleware.refusal import refusal

GRACE_SECONDS = 20.0
MIN_RATE = 1024.0
"""Bytes per second on average, after the grace period."""
MAX_SILENCE_SECONDS = 120.0
"""Seconds without a byte, however much has arrived before."""

UNCOUNTED_BYTES = 64 * 2**10
"""Bytes of a body that do not count: as many as uvicorn buffers of each request anyway."""
MAX_HELD_BYTES = 16 * 2**20
"""Bytes of one user's bodies in all, beyond those."""


def enforce_min_rate(receive: Receive) -> Receive:
    """Wrap `receive` so that a client whose body arrives too slowly counts as disconnected.

    Only the time spent waiting for the client counts.
    """
    allowance = GRACE_SECONDS
    complete = False

    async def receive_in_time() -> Message:
        nonlocal allowance, complete
        if complete:
            return await receive()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(min(allowance, MAX_SILENCE_SECONDS)):
                message = await receive()
        except TimeoutError:
            complete = True
            return {"type": "http.disconnect"}
        allowance += len(message.get("body", b"")) / MIN_RATE - (loop.time() - started)
        complete = not message.get("more_body", False)
        return message

    return receive_in_time


class TooMuchHeld(Exception):
    """One user's bodies would take more memory than allowed."""


class Bodies:
    """Memory taken by request bodies, counted by user."""

    def __init__(self) -> None:
        self._held: Counter[UUID | None] = Counter()

    @contextmanager
    def hold(self, user: UUID | None) -> Iterator[Body]:
        """Count a body for a user until the end of the context."""
        body = Body(self._held, user)
        try:
            yield body
        finally:
            body.grow(0)


class Body:
    """Size of one body, counted for its user."""

    def __init__(self, held: Counter[UUID | None], user: UUID | None) -> None:
        self._held = held
        self._user = user
        self._counted = 0

    def grow(self, size: int) -> None:
        """Count the body as `size` bytes long. Raises TooMuchHeld."""
        counted = max(0, size - UNCOUNTED_BYTES)
        total = self._held[self._user] + counted - self._counted
        if counted > self._counted and total > MAX_HELD_BYTES:
            raise TooMuchHeld
        self._held[self._user] = total
        self._counted = counted


async def read_body(receive: Receive, max_bytes: int, counted: Body, language: str) -> bytes:
    """Read a body. Raises Refused as soon as it has more than `max_bytes`."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # A client that is too slow is still connected and reads this.
            raise refusal(408, text.translate_access(language, "too_slow"))
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise refusal(413, text.translate_access(language, "too_much"))
        try:
            counted.grow(len(body))
        except TooMuchHeld as error:
            raise refusal(429, text.translate_access(language, "busy")) from error
        if not message.get("more_body", False):
            return bytes(body)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was already read, then the messages that follow it."""
    unread = [body]

    async def receive_again() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return receive_again
