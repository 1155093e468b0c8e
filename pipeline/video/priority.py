"""Reset of the real-time priority that an encoder gives to threads.

As root, SVT-AV1 sets the calling thread and its own threads to SCHED_FIFO at the highest priority. Threads
and processes started from there inherit it; as many of them as there are cores starve all other processes,
and two that wait for each other stop the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def drop_realtime_priority() -> Iterator[None]:
    """Reset, on leaving the block, threads that gained real-time priority within it."""
    before = realtime_threads()
    try:
        yield
    finally:
        for thread in realtime_threads() - before:
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def realtime_threads() -> set[int]:
    """Return the ids of this process's threads with real-time priority; empty except on Linux."""
    if not _THREADS.is_dir():
        return set()
    ids = set()
    for name in os.listdir(_THREADS):  # noqa: PTH208 - names alone, as they end at any time
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                ids.add(int(name))
    return ids
