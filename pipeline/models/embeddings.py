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
        self._futures: dict[bytes, Future[Embedding]] = {}
        """By frame, the most recently used last."""

    def __call__(self, frame: Image) -> Embedding:
        """Return the frame's embedding; raises what `embed` raises, and tries again the next time."""
        key = hash_frame(frame)
        with self._lock:
            future = self._futures.pop(key, None) or self._submit(frame)
            self._futures[key] = future
        try:
            return future.result()
        finally:
            with self._lock:
                self._evict()

    def _submit(self, frame: Image) -> Future[Embedding]:
        """Queue a frame; the caller holds the lock."""
        future: Future[Embedding] = Future()
        self._waiting.append((future, frame))
        if not self._working:
            self._working = True
            # Not an executor: the program would not end before all that waits is done.
            threading.Thread(target=self._work, name="embed", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                future, frame = self._waiting.popleft()
            try:
                future.set_result(self._embed(frame))
            except BaseException as error:  # raised in the thread that requested it
                future.set_exception(error)

    def _evict(self) -> None:
        done = [(key, future) for key, future in reversed(self._futures.items()) if future.done()]
        total = 0
        for key, future in done:
            failed = future.cancelled() or future.exception() is not None
            total += 0 if failed else future.result().nbytes
            if failed or total > self._limit:
                del self._futures[key]


def hash_frame(frame: Image) -> bytes:
    """Return a hash of a frame's pixels, 16 bytes."""
    digest = hashlib.blake2b(str(frame.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()
