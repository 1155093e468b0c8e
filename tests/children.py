"""Processes that tests start."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that takes signals as one from a terminal does; `options` as of `subprocess.Popen`.

    What `nohup` or a script's `&` has started ignores some of them, and hands that on to all its children.
    """
    return subprocess.Popen(command, preexec_fn=_take_signals, **options)


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """`start` a process for the length of the block; one that still runs at its end is killed."""
    with start(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()  # or leaving the outer block would wait for ever where the test has failed


def _take_signals() -> None:
    for which in SIGNALS:
        signal.signal(which, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
