"""Timer that closes what stays open between requests, once nobody has asked for it for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class IdleTimer:
    """Calls a function again and again, as long as it has left something open.

    `start` and the function are called with `lock` held.
    """

    def __init__(self, lock: threading.Lock, seconds: float, close: Callable[[float], bool]) -> None:
        """`close` closes what was last used at a time (`time.monotonic`) or before; True: more is open."""
        self._lock = lock
        self._seconds = seconds
        self._close = close
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Have the function called in some seconds, unless that is arranged already."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._run)
            self._timer.daemon = True
            self._timer.start()

    def _run(self) -> None:
        with self._lock:
            self._timer = None
            if self._close(time.monotonic() - self._seconds):
                self.start()
