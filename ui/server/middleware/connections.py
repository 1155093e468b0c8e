"""Bounds on connections: how many are open, and how long one may stay idle.

uvicorn accepts any number of connections and waits for them without a limit, so that silent clients could use
up the process's file descriptors.
"""

from __future__ import annotations

import asyncio
import fcntl
import resource
import sys
import termios
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""Time from the opening of a connection in which a request's headers have to arrive."""
LINGER_SECONDS = 30.0
"""Time after a response in which a connection may make no progress in reading or writing."""
STALL_SECONDS = 300.0
"""Time without progress during a response: a browser stops reading a video that is paused."""

RESERVED = 16
"""Connections beyond the requests that are served: to be told that the server is busy, and for /healthz."""
ACCEPTED_AT_ONCE = 32
"""Connections that may be accepted before they are counted."""

_RESERVED_FILES = 128  # for database, worker, libraries, log, and the connections accepted at once
_MAX_CONNECTIONS = 1000


def max_connections() -> int:
    """Return how many connections may be open; each may need a second file, to read or to write."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(2 * RESERVED, min(_MAX_CONNECTIONS, (files - _RESERVED_FILES) // 2))


class Connections:
    """The open connections. One too many closes the one that has waited longest for a request."""

    def __init__(self, most: int) -> None:
        self._max_open = most
        self._open: set[BoundedProtocol] = set()
        self._idle: dict[BoundedProtocol, None] = {}  # the longest waiting first

    def add(self, connection: BoundedProtocol) -> None:
        self._open.add(connection)
        self._idle[connection] = None
        if len(self._open) > self._max_open:
            others = [other for other in self._idle if other is not connection]
            idle = (other for other in others if not other.unsent)
            next(idle, others[0] if others else connection).drop()

    def discard(self, connection: BoundedProtocol) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def mark_busy(self, connection: BoundedProtocol) -> None:
        """Note that a request of this connection is being served."""
        self._idle.pop(connection, None)

    def mark_idle(self, connection: BoundedProtocol) -> None:
        if connection in self._open:
            self._idle[connection] = None


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 connection that is closed when the client is too slow, or when others need its place."""

    def __init__(self, *args: Any, bounds: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._bounds = bounds
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    @property
    def unsent(self) -> int:
        """Bytes of responses that the client has not received yet, those in the kernel's buffer included.

        The kernel reports progress to the transport only when a third of its buffer is free, which takes a
        slow client minutes.
        """
        buffered = self.transport.get_write_buffer_size()
        try:
            queued = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):  # closed already, or not supported by the system
            return buffered
        return buffered + int.from_bytes(queued, sys.byteorder)

    def drop(self) -> None:
        self._bounds.discard(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bounds.add(self)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._bounds.discard(self)
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def _update_timer(self) -> None:
        """Start the timer for the client's next request, or stop it while one is served."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._bounds.mark_busy(self)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None:
            self._bounds.mark_idle(self)
            asks = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
            seconds = HEADER_SECONDS if asks else LINGER_SECONDS  # else the rest of an unread body
            self._timer = self.loop.call_later(seconds, self._close_late, self.unsent)

    def _close_late(self, unsent: int) -> None:
        """Close the connection; at once if the client receives none of what is left to send."""
        if self.transport.is_closing() and self.unsent >= unsent:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(LINGER_SECONDS, self._close_late, self.unsent)
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_SECONDS, self._stalled, self.unsent)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _stalled(self, unsent: int) -> None:
        if self.unsent >= unsent:
            self.transport.abort()
        else:
            self._stall = self.loop.call_later(STALL_SECONDS, self._stalled, self.unsent)
