"""Resource limits of a process, and descriptions of how a process ended."""

from __future__ import annotations

import math
import resource
import signal
import time
from dataclasses import dataclass

from pipeline.languages.messages import Message

NO_MEMORY = Message("devices.no_main_memory")


@dataclass(frozen=True)
class Limits:
    """Limits that the kernel enforces on a process; None: no limit of ours."""

    memory_bytes: int | None = None
    """Writable memory; reserved address space, as allocators and CUDA use it, does not count."""
    open_files: int | None = None
    cpu_seconds: int | None = None
    """Processor time of all threads together from now on; the process is killed when it is spent."""
    seconds: int | None = None
    """Wall-clock time from now on; the process is killed at its end."""
    pixels: int | None = None
    """Largest picture within a video, in pixels; enforced by the reader, see `max_pixels`."""

    def apply(self) -> None:
        """Apply the limits to this process and its children, for good; core dumps are off."""
        global _pixels
        _pixels = self.pixels
        _lower(resource.RLIMIT_CORE, 0)
        if self.memory_bytes is not None:
            _lower(resource.RLIMIT_DATA, self.memory_bytes)
        if self.open_files is not None:
            _lower(resource.RLIMIT_NOFILE, self.open_files)
        if self.cpu_seconds is not None:
            # The kernel counts from the start of the process, whose imports may have taken more than that.
            last = math.ceil(time.process_time()) + self.cpu_seconds
            _lower(resource.RLIMIT_CPU, last, last + 1)
        if self.seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)


def max_pixels() -> int | None:
    """Return the most pixels that a video's picture may have in this process; None: no bound of ours."""
    return _pixels


_pixels: int | None = None


def _lower(limit: int, soft: int, hard: int | None = None) -> None:
    """Set soft and hard limit, neither above its previous value."""
    before, most = resource.getrlimit(limit)
    hard = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        hard = min(hard, most)
    if before != resource.RLIM_INFINITY:
        soft = min(soft, before)
    resource.setrlimit(limit, (min(soft, hard), hard))


DEVICE_LOST = 70
"""Exit status of a process whose device no longer answers."""


def describe_exit(status: int | None) -> Message:
    """Describe how a process ended, as the end of a sentence; `status` as in `Popen.returncode`."""
    if status is None:
        return Message("runs.ended")
    if status == DEVICE_LOST:
        return Message("runs.device_lost")
    match -status:
        case signal.SIGKILL:
            return Message("runs.killed")
        case signal.SIGXCPU | signal.SIGALRM:
            return Message("runs.too_long")
        case signal.SIGSEGV | signal.SIGBUS | signal.SIGABRT | signal.SIGILL | signal.SIGFPE:
            return Message("runs.crashed")
        case number if number > 0:
            return Message("runs.signal", {"number": number})
    return Message("runs.status", {"status": status})
