"""Timeouts for answers of PostgreSQL; psycopg2 itself has none."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import connection

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 6.0
"""Longer than the statement timeout, whose error message is the better one."""
STATEMENT_SECONDS = 5.0

_local = threading.local()


def install() -> None:
    """Limit every wait of psycopg2 in this process. May be called twice."""
    from psycopg2.extensions import set_wait_callback

    set_wait_callback(_wait)


@contextmanager
def wait_limit(seconds: float) -> Iterator[None]:
    """Set another timeout in this thread, for statements that are known to take long."""
    before = getattr(_local, "seconds", None)
    _local.seconds = seconds
    try:
        yield
    finally:
        _local.seconds = before


def _wait(connection: connection) -> None:
    """Wait for the server, as `psycopg2.extras.wait_select` does, but with a timeout.

    psycopg2 closes the connection of a wait that raises.
    """
    from psycopg2 import OperationalError
    from psycopg2.extensions import POLL_OK, POLL_READ, STATUS_SETUP

    seconds = getattr(_local, "seconds", None)
    if seconds is None:
        seconds = CONNECT_SECONDS if connection.status == STATUS_SETUP else ANSWER_SECONDS
    until = time.monotonic() + seconds
    ready = select.poll()  # not `select`, which is limited to descriptors up to 1023
    while (state := connection.poll()) != POLL_OK:
        ready.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise OperationalError(f"it did not answer for {seconds:.3g} seconds")
        ready.unregister(connection.fileno())
