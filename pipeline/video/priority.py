"""Taking back the priority that a library gives itself.

As root, SVT-AV1 puts whoever opens it, and all of its own threads, under SCHED_FIFO at the highest priority
there is. Every thread and process started from there inherits it, and as many of them as there are cores
leave nothing for anybody else: two that wait for each other then stop a machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def drop_realtime_priority() -> Iterator[None]:
    """Of this process no thread comes out of the block with real-time priority that went in without."""
    before = realtime_threads()
    try:
        yield
    finally:
        for thread in realtime_threads() - before:
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def realtime_threads() -> set[int]:
    """The threads of this process that go before all ordinary ones; none are known but on Linux."""
    if not _THREADS.is_dir():
        return set()
    found = set()
    for name in os.listdir(_THREADS):  # noqa: PTH208 - names alone, as they end at any time
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(name))
    return found
