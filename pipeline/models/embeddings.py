"""A cache of frame embeddings, shared by threads and streams."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

import numpy as np

from pipeline.arrays import Image


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Embedding = TypeVar("Embedding", bound=Sized)

_BYTES = 256 * 2**20
"""Limit of the cache: about sixty frames of SAM, 4 MB each."""


class Embeddings(Generic[Embedding]):
    """Call it with a frame, `[H, W, 3]` uint8, from any thread.

    Frames are embedded one at a time, in the order of the requests, so that a long job does not block single
    frames of another; a cached frame is returned at once. The key is a hash of the pixels; the least recently
    used frames are evicted.
    """

    def __init__(self, embed: Callable[[Image], Embedding], limit: int = _BYTES) -> None:
        self._embed = embed
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Embedding], Image]] = deque()
        self._working = False
        self._asked: dict[bytes, Future[Embedding]] = {}
        """By frame, the most recently used last."""

    def __call__(self, frame: Image) -> Embedding:
        """Return the frame's embedding; raises what `embed` raises, and tries again the next time."""
        key = _digest(frame)
        with self._lock:
            asked = self._asked.pop(key, None) or self._submit(frame)
            self._asked[key] = asked
        try:
            return asked.result()
        finally:
            with self._lock:
                self._make_room()

    def _submit(self, frame: Image) -> Future[Embedding]:
        """Queue a frame; the caller holds the lock."""
        asked: Future[Embedding] = Future()
        self._waiting.append((asked, frame))
        if not self._working:
            self._working = True
            # Not an executor: the program would not end before all that waits is done.
            threading.Thread(target=self._work, name="embed", daemon=True).start()
        return asked

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                asked, frame = self._waiting.popleft()
            try:
                asked.set_result(self._embed(frame))
            except BaseException as error:  # raised again where it was asked for
                asked.set_exception(error)

    def _make_room(self) -> None:
        done = [(key, asked) for key, asked in reversed(self._asked.items()) if asked.done()]
        taken = 0
        for key, asked in done:
            failed = asked.cancelled() or asked.exception() is not None
            taken += 0 if failed else asked.result().nbytes
            if failed or taken > self._limit:
                del self._asked[key]


def _digest(frame: Image) -> bytes:
    found = hashlib.blake2b(str(frame.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(frame).data)
    return found.digest()
