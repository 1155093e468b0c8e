"""Turns at the model: requests that somebody waits for go before work in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class ModelTurns:
    """Lock that one thread holds at a time, for about one frame.

    Requests get it in the order in which they ask, work in the background when none waits.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._waiting: deque[object] = deque()
        """Tickets of the requests that wait for a turn."""
        self._requests = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Hold the lock for a request that somebody waits for."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._requests += 1
            try:
                self._changed.wait_for(lambda: not self._held and self._waiting[0] is ticket)
                self._held = True
            finally:
                self._waiting.remove(ticket)
        try:
            yield
        finally:
            self._release()

    @property
    def requests(self) -> int:
        """Number of requests so far: a higher one than before means that somebody uses the model."""
        with self._changed:
            return self._requests

    @contextmanager
    def background(self) -> Iterator[None]:
        """Hold the lock for work in the background, once no request waits."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held and not self._waiting)
            self._held = True
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()


class MatteWriters:
    """Locks on the resume data of mattes: a run takes them from the cut that is computed ahead of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ahead: set[str] = set()
        """Mattes that are computed ahead."""
        self._runs: list[str] = []
        """Mattes that runs write or wait for."""

    @contextmanager
    def ahead(self, matte: str) -> Iterator[None]:
        """Hold a matte's data for the length of the block; `wanted` says when a run waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: matte not in self._ahead and matte not in self._runs)
            self._ahead.add(matte)
        try:
            yield
        finally:
            with self._changed:
                self._ahead.discard(matte)
                self._changed.notify_all()

    def wanted(self, matte: str) -> bool:
        """Return True if a run waits for this matte's data."""
        with self._changed:
            return matte in self._runs

    @contextmanager
    def run(self, matte: str) -> Iterator[None]:
        """Hold a matte's data for a run, once the cut ahead has let go of them."""
        self.hold(matte)
        try:
            yield
        finally:
            self.release(matte)

    def hold(self, matte: str) -> None:
        """Hold a matte's data for a run until `release`, once the cut ahead has let go of them."""
        with self._changed:
            self._runs.append(matte)
            try:
                self._changed.wait_for(lambda: matte not in self._ahead)
            except BaseException:
                self._runs.remove(matte)
                raise

    def release(self, matte: str) -> None:
        """Let go of a matte's data, if they are held: this process may be newer than the run."""
        with self._changed:
            if matte in self._runs:
                self._runs.remove(matte)
                self._changed.notify_all()
