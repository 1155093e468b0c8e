"""Runs jobs outside the request that asked for them: one after the other on each device."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline import background
from pipeline.errors import RecorteError
from pipeline.job import Job, Progress
from pipeline.process import process

log = logging.getLogger(__name__)

_TOLD_SECONDS = 0.5


class Sink(Protocol):
    """Who is told how a job fares, in plain data; called from the runner's thread, one call at a time.

    `checks` says where the matte that was made should be looked at: "times" in seconds, and "matte", its key.
    `result` says format, background, model, file (its name), bytes, frames, seconds, `key` (what all of it
    was made from) and `notes` (sentences on what was done otherwise than asked). An error in one of
    these calls is logged and changes nothing for the job.
    """

    def started(self, key: str) -> None: ...
    def progressed(self, key: str, progress: dict[str, Any]) -> None: ...
    def checked(self, key: str, checks: dict[str, Any]) -> None: ...
    def finished(self, key: str, result: dict[str, Any]) -> None: ...
    def failed(self, key: str, sentence: str) -> None: ...
    def cancelled(self, key: str) -> None: ...


@dataclass
class _Entry:
    key: str
    job: Job
    cancel: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None


class Runner:
    """A line of jobs for one device. `close` cancels what is left and returns when the thread has ended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._line: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)
        self._thread.start()

    def submit(self, key: str, job: Job) -> None:
        """Queue a job; raises ValueError where one of this key is queued or running."""
        with self._lock:
            if key in self._entries:
                raise ValueError(f"a job of {key} is under way")
            entry = self._entries[key] = _Entry(key, job)
        self._line.put(entry)

    def cancel(self, key: str) -> bool:
        """Stop the job of this key, queued or running; False where there is none."""
        with self._lock:
            entry = self._entries.get(key)
        if entry is None:
            return False
        entry.cancel.set()  # a job in line is let go of when the running one has done its frame
        return True

    def place(self, key: str) -> int | None:
        """0: running, 1: next in line, …; None: not here."""
        with self._lock:
            return list(self._entries).index(key) if key in self._entries else None

    def progress(self, key: str) -> Progress | None:
        """The latest of a running job."""
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry.progress

    def close(self) -> None:
        with self._lock:
            for entry in self._entries.values():
                entry.cancel.set()
        self._line.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (entry := self._line.get()) is not None:
            try:
                if self._entries.get(entry.key) is entry:  # else it was cancelled in line
                    self._run(entry)
            finally:
                self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(entry.key) is entry:
                del self._entries[entry.key]

    def _drop_cancelled(self, running: _Entry) -> None:
        with self._lock:
            dropped = [e for e in self._entries.values() if e.cancel.is_set() and e is not running]
        for entry in dropped:
            self._forget(entry)
            self._tell(self._sink.cancelled, entry.key)

    def _run(self, entry: _Entry) -> None:
        key = entry.key
        if entry.cancel.is_set():
            self._tell(self._sink.cancelled, key)
            return
        self._tell(self._sink.started, key)
        began = told = time.monotonic()
        whole = False
        try:
            with closing(process(entry.job)) as steps:
                for progress in steps:
                    entry.progress = progress
                    self._drop_cancelled(entry)
                    if entry.cancel.is_set():
                        break
                    if time.monotonic() - told >= _TOLD_SECONDS:
                        told = time.monotonic()
                        self._tell(self._sink.progressed, key, progress.to_json())
                else:
                    whole = True
        except RecorteError as error:
            self._tell(self._sink.failed, key, str(error))
        except Exception:
            log.exception("job %s", key)
            self._tell(
                self._sink.failed, key, "Something went wrong inside the program; the log has the details."
            )
        else:
            if not whole:
                self._tell(self._sink.cancelled, key)
            elif entry.progress is not None:
                if entry.progress.stage == "matte":
                    times = list(entry.progress.checks)
                    self._tell(self._sink.checked, key, {"matte": entry.job.matte_key, "times": times})
                self._tell(self._sink.finished, key, _result(entry, time.monotonic() - began))

    def _tell(self, call: Callable[..., None], *what: object) -> None:
        try:
            call(*what)
        except Exception:
            log.exception("the sink did not take %s", call.__name__)


def _result(entry: _Entry, seconds: float) -> dict[str, Any]:
    job = entry.job
    return {
        "format": job.format,
        "background": background.spec(job.background, job.output.parent),
        "model": job.model,
        "file": job.output.name,
        "bytes": job.output.stat().st_size,
        "frames": entry.progress.frames if entry.progress else 0,
        "seconds": seconds,
        "key": job.result_key(job.output.parent),
        "notes": list(entry.progress.notes) if entry.progress else [],
    }
