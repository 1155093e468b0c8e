"""Fair sharing of threads, slots and memory between users."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar
from uuid import UUID

from anyio import CapacityLimiter, Semaphore, to_thread

from pipeline.errors import InputError
from pipeline.languages.messages import Message

T = TypeVar("T")


class FairThreads(Generic[T]):
    """Threads for HTTP requests: at most `in_all`, and `each` for one user.

    A request that waits for its user's turn occupies no thread.
    """

    def __init__(self, in_all: int, each: int) -> None:
        self._threads = CapacityLimiter(in_all)
        self._each = each
        self._turns: dict[UUID | None, Semaphore] = {}

    @asynccontextmanager
    async def slot(self, owner: UUID | None) -> AsyncIterator[Callable[[Callable[[], T]], Awaitable[T]]]:
        """Wait for one of the user's slots; yields a function that runs another in a thread."""

        def run(work: Callable[[], T]) -> Awaitable[T]:
            return to_thread.run_sync(work, limiter=self._threads)

        async with self._turns.setdefault(owner, Semaphore(self._each)):
            yield run


class FairSemaphore:
    """Semaphore for threads with `in_all` slots, and `each` for one user.

    `waiting` more threads of each user wait; any beyond get an InputError of the message `refused`.
    """

    def __init__(self, in_all: int, each: int, waiting: int, refused: Message) -> None:
        self._in_all, self._each, self._waiting = in_all, each, waiting
        self._refused = refused
        self._changed = threading.Condition()
        self._here: Counter[UUID | None] = Counter()
        self._at_work: Counter[UUID | None] = Counter()

    @contextmanager
    def slot(self, owner: UUID | None) -> Iterator[None]:
        """Wait for a slot and hold it for the length of the block. Raises InputError if too many wait."""
        with self._changed:
            if self._here[owner] >= self._each + self._waiting:
                raise InputError.of(self._refused)
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


class WeightedSemaphore:
    """Semaphore of `most` units; threads get theirs in the order in which they ask."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @contextmanager
    def acquire(self, amount: int) -> Iterator[None]:
        """Hold `amount` units for the length of the block; more than there are count as all."""
        amount, ticket = min(amount, self._most), object()
        with self._changed:
            self._line.append(ticket)
            try:
                self._changed.wait_for(lambda: self._line[0] is ticket and self._left >= amount)
                self._left -= amount
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._left += amount
                self._changed.notify_all()
