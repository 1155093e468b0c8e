"""Runs jobs outside the request that asked for them: one after the other on each device."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.compositing import background
from pipeline.errors import INTERNAL_ERROR, RecorteError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.keys import matte_key, result_key

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0

_TOLD_SECONDS = 0.5
_PATIENCE_SECONDS = 8.0
"""A job that is to stop, and is not between two frames, is not waited for any longer."""

STOPPED = "The program was stopped before this was finished: start it again to continue."


class Sink(Protocol):
    """Who is told how a job fares, in plain data; one call at a time, from threads of the runner.

    `checks` says where the matte that was made should be looked at: "times" in seconds, and "matte", its key.
    `result` says format, background, model, file (its name), bytes, frames, seconds, `key` (what all of it
    was made from) and `notes` (sentences on what was done otherwise than asked). A job that was `interrupted`
    is not at fault itself, and may be run again. An error in one of these calls is logged and changes nothing
    for the job.
    """

    def started(self, key: str) -> None: ...
    def progressed(self, key: str, progress: dict[str, Any]) -> None: ...
    def checked(self, key: str, checks: dict[str, Any]) -> None: ...
    def finished(self, key: str, result: dict[str, Any]) -> None: ...
    def failed(self, key: str, sentence: str) -> None: ...
    def interrupted(self, key: str, sentence: str) -> None: ...
    def cancelled(self, key: str) -> None: ...


@dataclass(eq=False)
class _Entry:
    key: str
    job: Job
    user: str
    seconds: float | None
    """How long it may take, as far as that is known."""
    cancelled: bool = False
    progress: Progress | None = None
    began: float = 0.0
    sign: float = field(default_factory=time.monotonic)
    """When it was last heard of."""
    stopping: float | None = None
    """Since when it is to stop."""
    stalled: bool = False


class Runner:
    """A line of jobs for one device. Users take turns, and each one's jobs go in the order they came in.

    `process` runs a job; it is closed to stop it, between two frames. `kill` ends it whatever it does, so
    that it raises WorkerLost: that is for a job of which nothing is heard for `stall_seconds`, be it that its
    model is being loaded, and for one that is to stop and does not. Without it those are waited for.

    `close` stops what runs, leaves alone what waits, and returns when the threads have ended.
    """

    def __init__(
        self,
        sink: Sink,
        process: Callable[[Job], Generator[Progress, None, None]],
        *,
        kill: Callable[[], None] | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._sink = sink
        self._process = process
        self._kill = kill
        self._stall_seconds = stall_seconds
        self._changed = threading.Condition()
        self._waiting: list[_Entry] = []
        self._running: _Entry | None = None
        self._served: dict[str, int] = {}
        """When each user had the latest turn, counted in turns."""
        self._closing = False
        self._telling = threading.Lock()
        self._threads = [
            threading.Thread(target=work, name="runner", daemon=True) for work in (self._work, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, key: str, job: Job, user: str = "", seconds: float | None = None) -> None:
        """Queue a job of a user's; raises ValueError where one of this key is queued or running.

        `seconds` is how long it may take, for those who wait behind it.
        """
        with self._changed:
            if self._find(key) is not None:
                raise ValueError(f"a job of {key} is under way")
            self._waiting.append(_Entry(key, job, user, seconds))
            self._changed.notify_all()

    def cancel(self, key: str) -> bool:
        """Stop the job of this key, queued or running; False where there is none."""
        with self._changed:
            entry = self._find(key)
            if entry is None:
                return False
            entry.cancelled = True
            entry.stopping = entry.stopping or time.monotonic()
            self._changed.notify_all()
        return True

    def position(self, key: str) -> int | None:
        """0: running, 1: next in line, …; None: not here."""
        with self._changed:
            if any(entry.key == key for entry in self._begun()):
                return 0
            return next((n for n, entry in enumerate(self._order(), 1) if entry.key == key), None)

    def eta(self, key: str) -> float | None:
        """In how many seconds the job is expected to start; 0 for a running one, None where nobody knows."""
        expected = 0.0
        with self._changed:
            for entry in [*self._begun(), *self._order()]:
                if entry.key == key:
                    return expected
                left = _left(entry)
                if left is None:
                    return None
                expected += left
        return None

    def progress(self, key: str) -> Progress | None:
        """The latest of a running job."""
        with self._changed:
            entry = self._find(key)
        return None if entry is None else entry.progress

    def queue_length(self) -> int:
        """How many jobs are in line, the running one not among them."""
        with self._changed:
            return len(self._waiting)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.stopping = self._running.stopping or time.monotonic()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------------ the line

    def _find(self, key: str) -> _Entry | None:
        return next((entry for entry in [*self._begun(), *self._waiting] if entry.key == key), None)

    def _begun(self) -> list[_Entry]:
        """The running job, where there is one."""
        return [] if self._running is None else [self._running]

    def _order(self) -> list[_Entry]:
        """Those that wait, as they will run."""
        left, served = list(self._waiting), dict(self._served)
        order = []
        while left:
            # Whoever had a turn longest ago, or none yet; of one user's jobs, and where that decides nothing,
            # the one that came first.
            entry = min(left, key=lambda entry: served.get(entry.user, -1))
            _serve(served, entry)
            left.remove(entry)
            order.append(entry)
        return order

    def _next(self) -> _Entry | None:
        """Wait for the job whose turn it is, and take it out of the line; None: no more."""
        with self._changed:
            while not self._closing:
                entry = next((entry for entry in self._order() if not entry.cancelled), None)
                if entry is not None:
                    self._waiting.remove(entry)
                    _serve(self._served, entry)
                    self._running = entry
                    entry.began = entry.sign = time.monotonic()
                    self._changed.notify_all()
                    return entry
                if not self._waiting:
                    self._served.clear()  # nobody has to wait for a turn
                self._changed.wait()
        return None

    # ------------------------------------------------------------------ the threads

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            try:
                self._run(entry)
            finally:
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _watch(self) -> None:
        """Lets go of what was cancelled in line, and ends what is not heard of."""
        while True:
            with self._changed:
                gone = [entry for entry in self._waiting if entry.cancelled]
                self._waiting = [entry for entry in self._waiting if not entry.cancelled]
                running = self._running
                if not gone:
                    if self._closing and running is None:
                        return
                    self._changed.wait(_TOLD_SECONDS if running else None)
            for entry in gone:
                self._tell(self._sink.cancelled, entry.key)
            if running is not None and self._kill is not None and self._overdue(running):
                log.warning("job %s: it is not heard of, and its process is ended", running.key)
                self._kill()

    def _overdue(self, entry: _Entry) -> bool:
        """Whether a job has to be ended whatever it does; if so, its time begins anew."""
        now = time.monotonic()
        with self._changed:
            if self._running is not entry:
                return False
            silent = now - entry.sign
            if entry.stopping is None:
                overdue = silent > self._stall_seconds
                entry.stalled |= overdue
            else:
                overdue = min(silent, now - entry.stopping) > _PATIENCE_SECONDS
            if overdue:
                entry.sign = now
            return overdue

    def _run(self, entry: _Entry) -> None:
        key = entry.key
        self._tell(self._sink.started, key)
        told = time.monotonic()
        whole = False
        try:
            with closing(self._process(entry.job)) as steps:
                for progress in steps:
                    entry.progress, entry.sign = progress, time.monotonic()
                    if entry.stopping is not None:
                        break
                    if entry.sign - told >= _TOLD_SECONDS:
                        told = entry.sign
                        self._tell(self._sink.progressed, key, progress.to_json())
                else:
                    whole = True
        except WorkerLost as error:
            if entry.stopping is None:
                self._tell(self._sink.interrupted, key, self._why(entry, error))
                return
        except RecorteError as error:
            self._tell(self._sink.failed, key, str(error))
            return
        except Exception:
            log.exception("job %s", key)
            self._tell(self._sink.failed, key, INTERNAL_ERROR)
            return
        if whole and entry.progress is not None:
            if entry.progress.stage == "matte":
                times = list(entry.progress.checks)
                self._tell(self._sink.checked, key, {"matte": matte_key(entry.job), "times": times})
            self._tell(self._sink.finished, key, _result(entry, time.monotonic() - entry.began))
        elif entry.cancelled:
            self._tell(self._sink.cancelled, key)
        else:
            self._tell(self._sink.interrupted, key, STOPPED)

    def _why(self, entry: _Entry, error: WorkerLost) -> str:
        if entry.stalled:
            return (
                f"Not one frame was finished for {self._stall_seconds / 60:.3g} minutes, so this was ended: "
                "start it again to continue."
            )
        return f"The process that worked on this was lost: {error.how}. Start it again to continue."

    def _tell(self, call: Callable[..., None], *what: object) -> None:
        with self._telling:
            try:
                call(*what)
            except Exception:
                log.exception("the sink did not take %s", call.__name__)


def _serve(served: dict[str, int], entry: _Entry) -> None:
    """Count this turn as its user's latest."""
    served[entry.user] = max(served.values(), default=0) + 1


def _left(entry: _Entry) -> float | None:
    """For how many seconds more it takes the device; None where that is not known."""
    if entry.progress is not None and entry.progress.left is not None:
        return entry.progress.left
    if entry.seconds is None or not entry.began:
        return entry.seconds
    return max(0.0, entry.seconds - (time.monotonic() - entry.began))


def _result(entry: _Entry, seconds: float) -> dict[str, Any]:
    job = entry.job
    return {
        "format": job.format,
        "background": background.format_spec(job.background, job.output.parent),
        "model": job.model,
        "file": job.output.name,
        "bytes": job.output.stat().st_size,
        "frames": entry.progress.frames if entry.progress else 0,
        "seconds": seconds,
        "key": result_key(job, job.output.parent),
        "notes": list(entry.progress.notes) if entry.progress else [],
    }
