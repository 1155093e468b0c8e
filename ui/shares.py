"""Shares: how much of what is scarce one user may have at a time, so that there is some for others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from pipeline.errors import InputError


class Turns:
    """Turns at work of which few may be under way: `in_all`, and `each` user fewer; for threads.

    `waiting` more of each user wait for their turn, in the thread that asks; what comes beyond is refused.
    """

    def __init__(self, in_all: int, each: int, waiting: int) -> None:
        self._in_all, self._each, self._waiting = in_all, each, waiting
        self._changed = threading.Condition()
        self._here: Counter[UUID | None] = Counter()
        self._at_work: Counter[UUID | None] = Counter()

    @contextmanager
    def turn(self, owner: UUID | None) -> Iterator[None]:
        """Wait for a turn, and have it for the length of the block. Raises InputError where too many wait."""
        with self._changed:
            if self._here[owner] >= self._each + self._waiting:
                raise InputError(
                    f"{self._each} of your uploads are being looked at, and {self._waiting} wait. "
                    "Try again when they are done."
                )
            self._here[owner] += 1
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._has_turn(owner))
                self._at_work[owner] += 1
            try:
                yield
            finally:
                with self._changed:
                    self._at_work[owner] -= 1
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._here[owner] -= 1
                if not self._here[owner]:
                    del self._here[owner], self._at_work[owner]

    def _has_turn(self, owner: UUID | None) -> bool:
        return self._at_work[owner] < self._each and self._at_work.total() < self._in_all
