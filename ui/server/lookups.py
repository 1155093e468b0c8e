"""Database lookups for an event loop: in threads of their own, cached, and with a timeout."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from db.errors import DatabaseAway

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MAX_ANSWERS = 1000


@dataclass(eq=False)
class _Call(Generic[V]):
    """A call of `ask` that has not returned yet."""

    future: Future[V] = field(init=False)
    began: float = field(default_factory=time.monotonic)


class Lookups(Generic[K, V]):
    """Cache of the results of `ask` by key, which expire after `fresh_seconds`. A result of None is not kept.

    Simultaneous lookups of a key share one call. Its threads do nothing else, so that no other work can block
    them.
    """

    def __init__(
        self,
        ask: Callable[[K], V],
        *,
        fresh_seconds: float,
        threads: int = 1,
        name: str = "lookups",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, name)
        self._lock = threading.Lock()
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._pending: dict[K, _Call[V]] = {}

    async def get(self, key: K, timeout: float) -> V:
        """Return the result for a key. Raises what `ask` raises, or DatabaseAway after `timeout` seconds.

        The time counts from the start of the shared call, so that of many lookups in a database that hangs
        only the first ones wait.
        """
        with self._lock:
            answered_at, answer = self._answers.get(key, (float("-inf"), None))
            if self._clock() - answered_at <= self._fresh_seconds:
                return answer  # type: ignore[return-value]
            call = self._pending.get(key) or self._start(key)
        remaining = max(0.0, call.began + timeout - time.monotonic())
        waiting = asyncio.wrap_future(call.future)
        waiting.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # a late error is nobody's
        await asyncio.wait({waiting}, timeout=remaining)
        if not waiting.done():
            raise DatabaseAway("database.silent")
        return waiting.result()

    def last(self, key: K) -> V | None:
        """Return the latest result of any age; None if there is none."""
        with self._lock:
            return self._answers.get(key, (0.0, None))[1]

    def forget(self, key: K) -> None:
        """Forget a key's result, and keep none of a call that is under way: what it has read may be old."""
        with self._lock:
            self._answers.pop(key, None)
            self._pending.pop(key, None)

    def clear(self) -> None:
        """Forget all results, as `forget` does."""
        with self._lock:
            self._answers.clear()
            self._pending.clear()

    def _start(self, key: K) -> _Call[V]:
        call: _Call[V] = _Call()
        call.future = self._threads.submit(self._answer, key, call)
        self._pending[key] = call
        return call

    def _answer(self, key: K, call: _Call[V]) -> V:
        try:
            answer = self._ask(key)
            with self._lock:
                if self._pending.get(key) is call:
                    self._keep(key, answer)
            return answer
        finally:
            with self._lock:
                if self._pending.get(key) is call:
                    del self._pending[key]

    def _keep(self, key: K, answer: V) -> None:
        # None is not kept: else keys that are made up would drive out the results of others.
        self._answers.pop(key, None)
        if answer is not None:
            self._answers[key] = self._clock(), answer
            if len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)
