"""Prefetching: run an iterator in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.1


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(
    items: Iterator[Item], depth: int, within: AbstractContextManager[object] | None = None
) -> Generator[Item, None, None]:
    """Yield the same items, computed by another thread that is up to `depth` of them ahead.

    The thread computes them in the context `within`, such as a stream of its own (`devices.own_stream`).

    An error in `items` is raised here, at its place in the order. Closing this generator stops the thread,
    closes `items` in it, and returns when both are done.
    """
    line: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                line.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            with within or nullcontext():
                for item in items:
                    if not put(item):
                        break
        except BaseException as caught:  # raised again in the consumer's thread
            error = caught
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                try:
                    close()
                except BaseException as caught:
                    error = error or caught
            put(_End(error))
            del error  # it holds this frame, and this frame it: a circle that would keep what `items` opened

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = line.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()
