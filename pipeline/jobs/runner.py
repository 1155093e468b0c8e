"""Run jobs in the background: one queue and one job at a time for each device."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.compositing import background
from pipeline.errors import INTERNAL_ERROR, RecorteError, WorkerLost
from pipeline.job import Job, Progress
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.keys import matte_key, result_key
from pipeline.languages.messages import Message

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0

_REPORT_SECONDS = 0.5
"""Shortest time between two reports of progress."""
_STOP_TIMEOUT_SECONDS = 8.0
"""A job that does not stop between two frames is killed after this time."""

STOPPED = Message("runs.stopped")


class Sink(Protocol):
    """Receiver of a job's events; called from threads of the runner, one call at a time.

    An `interrupted` job is not at fault itself and may be run again. Errors raised by these methods are
    logged and do not affect the job.
    """

    def started(self, key: str) -> None: ...
    def progressed(self, key: str, progress: Progress) -> None: ...
    def checked(self, key: str, checks: MatteChecked) -> None: ...
    def finished(self, key: str, result: RunFinished) -> None: ...
    def failed(self, key: str, message: Message) -> None: ...
    def interrupted(self, key: str, message: Message) -> None: ...
    def cancelled(self, key: str) -> None: ...


@dataclass(eq=False)
class _Entry:
    key: str
    job: Job
    user: str
    seconds: float | None
    """Expected duration; None: unknown."""
    cancelled: bool = False
    progress: Progress | None = None
    model_ran: bool = False
    """True once its matte is in the making, and not only read."""
    began: float = 0.0
    heartbeat: float = field(default_factory=time.monotonic)
    """Time of the latest progress, by `time.monotonic`."""
    stopping: float | None = None
    """Time at which it was asked to stop; None: it was not."""
    stalled: bool = False


class Runner:
    """Queue of jobs for one device. Users take turns; each user's jobs run in the order of submission.

    `process` runs a job; closing it stops the job between two frames. `kill` ends the job whatever it does,
    so that `process` raises WorkerLost: it is called for a job without progress for `stall_seconds`, loading
    of the model included, and for one that does not stop when asked to. Without `kill` those are waited for.

    `close` stops the running job, leaves queued ones alone, and returns when the threads have ended.
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
        self._turns: dict[str, int] = {}
        """Number of each user's latest turn, counted over all users."""
        self._closing = False
        self._sink_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=work, name="runner", daemon=True) for work in (self._work, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, key: str, job: Job, user: str = "", seconds: float | None = None) -> None:
        """Queue a job for a user; `seconds` is its expected duration.

        Raises ValueError where a job of this key is queued or running.
        """
        with self._changed:
            if self._find(key) is not None:
                raise ValueError(f"a job of {key} is under way")
            self._waiting.append(_Entry(key, job, user, seconds))
            self._changed.notify_all()

    def cancel(self, key: str) -> bool:
        """Stop the job of this key, queued or running; return False where there is none."""
        with self._changed:
            entry = self._find(key)
            if entry is None:
                return False
            entry.cancelled = True
            entry.stopping = entry.stopping or time.monotonic()
            self._changed.notify_all()
        return True

    def position(self, key: str) -> int | None:
        """Return a job's position in the queue: 0 is running, 1 is next; None where it is unknown."""
        with self._changed:
            if any(entry.key == key for entry in self._running_entries()):
                return 0
            return next((n for n, entry in enumerate(self._order(), 1) if entry.key == key), None)

    def eta(self, key: str) -> float | None:
        """Return the seconds until a job starts; 0 for a running one, None where that is unknown."""
        expected = 0.0
        with self._changed:
            for entry in [*self._running_entries(), *self._order()]:
                if entry.key == key:
                    return expected
                left = _remaining(entry)
                if left is None:
                    return None
                expected += left
        return None

    def progress(self, key: str) -> Progress | None:
        """Return the latest progress of a running job."""
        with self._changed:
            entry = self._find(key)
        return None if entry is None else entry.progress

    def is_idle(self) -> bool:
        """Return True if no job is queued or running."""
        with self._changed:
            return self._running is None and not self._waiting

    def queue_length(self) -> int:
        """Return the number of queued jobs, without the running one."""
        with self._changed:
            return len(self._waiting)

    def is_alive(self) -> bool:
        """Return True while the runner's threads work, so that queued jobs will be run."""
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Stop the running job and wait for the threads to end."""
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.stopping = self._running.stopping or time.monotonic()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------------ the queue

    def _find(self, key: str) -> _Entry | None:
        return next((entry for entry in [*self._running_entries(), *self._waiting] if entry.key == key), None)

    def _running_entries(self) -> list[_Entry]:
        """Return the running job, if any, as a list."""
        return [] if self._running is None else [self._running]

    def _order(self) -> list[_Entry]:
        """Return the queued jobs in the order in which they will run."""
        left, turns = list(self._waiting), dict(self._turns)
        order = []
        while left:
            # The user whose turn was longest ago, or who had none; among equals, the earliest submission.
            entry = min(left, key=lambda entry: turns.get(entry.user, -1))
            _count_turn(turns, entry)
            left.remove(entry)
            order.append(entry)
        return order

    def _next(self) -> _Entry | None:
        """Wait for the next job and take it out of the queue; None where the runner is closing."""
        with self._changed:
            while not self._closing:
                entry = next((entry for entry in self._order() if not entry.cancelled), None)
                if entry is not None:
                    self._waiting.remove(entry)
                    _count_turn(self._turns, entry)
                    self._running = entry
                    entry.began = entry.heartbeat = time.monotonic()
                    self._changed.notify_all()
                    return entry
                if not self._waiting:
                    self._turns.clear()  # no job is waiting
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
        """Drop jobs that were cancelled in the queue, and kill the running one when it is overdue."""
        while True:
            with self._changed:
                cancelled = [entry for entry in self._waiting if entry.cancelled]
                self._waiting = [entry for entry in self._waiting if not entry.cancelled]
                running = self._running
                if not cancelled:
                    if self._closing and running is None:
                        return
                    self._changed.wait(_REPORT_SECONDS if running else None)
            for entry in cancelled:
                self._notify(self._sink.cancelled, entry.key)
            if running is not None and self._kill is not None and self._overdue(running):
                log.warning("job %s: no progress; killing its process", running.key)
                self._kill()

    def _overdue(self, entry: _Entry) -> bool:
        """Return True if a job must be killed; its time then begins anew."""
        now = time.monotonic()
        with self._changed:
            if self._running is not entry:
                return False
            silent = now - entry.heartbeat
            if entry.stopping is None:
                overdue = silent > self._stall_seconds
                entry.stalled |= overdue
            else:
                overdue = min(silent, now - entry.stopping) > _STOP_TIMEOUT_SECONDS
            if overdue:
                entry.heartbeat = now
            return overdue

    def _run(self, entry: _Entry) -> None:
        key = entry.key
        self._notify(self._sink.started, key)
        reported = time.monotonic()
        completed = False
        try:
            with closing(self._process(entry.job)) as steps:
                for progress in steps:
                    entry.progress, entry.heartbeat = progress, time.monotonic()
                    entry.model_ran |= progress.stage == "matte"
                    if entry.stopping is not None:
                        break
                    if entry.heartbeat - reported >= _REPORT_SECONDS:
                        reported = entry.heartbeat
                        self._notify(self._sink.progressed, key, progress)
                else:
                    completed = True
        except WorkerLost as error:
            if entry.stopping is None:
                self._notify(self._sink.interrupted, key, self._interruption(entry, error))
                return
        except RecorteError as error:
            self._notify(self._sink.failed, key, error.message)
            return
        except Exception:
            log.exception("job %s", key)
            self._notify(self._sink.failed, key, INTERNAL_ERROR)
            return
        if completed and entry.progress is not None:
            if entry.model_ran:
                checked = MatteChecked(matte_key(entry.job), list(entry.progress.checks))
                self._notify(self._sink.checked, key, checked)
            finished = _finish(entry, time.monotonic() - entry.began)
            self._notify(self._sink.finished, key, finished)
        elif entry.cancelled:
            self._notify(self._sink.cancelled, key)
        else:
            self._notify(self._sink.interrupted, key, STOPPED)

    def _interruption(self, entry: _Entry, error: WorkerLost) -> Message:
        if entry.stalled:
            return Message("runs.stalled", {"minutes": self._stall_seconds / 60})
        return Message("runs.lost_continue", {"how": error.how})

    def _notify(self, call: Callable[..., None], *args: object) -> None:
        with self._sink_lock:
            try:
                call(*args)
            except Exception:
                log.exception("the sink did not take %s", call.__name__)


def _count_turn(turns: dict[str, int], entry: _Entry) -> None:
    """Record a turn of the job's user."""
    turns[entry.user] = max(turns.values(), default=0) + 1


def _remaining(entry: _Entry) -> float | None:
    """Return the seconds for which a job still takes the device; None where that is unknown."""
    if entry.progress is not None and entry.progress.left is not None:
        return entry.progress.left
    if entry.seconds is None or not entry.began:
        return entry.seconds
    return max(0.0, entry.seconds - (time.monotonic() - entry.began))


def _finish(entry: _Entry, seconds: float) -> RunFinished:
    """Describe the result of a job that took so many seconds."""
    job = entry.job
    return RunFinished(
        format=job.format,
        background=background.format_spec(job.background, job.output.parent),
        model=job.model,
        file=job.output.name,
        bytes=job.output.stat().st_size,
        frames=entry.progress.frames if entry.progress else 0,
        seconds=seconds,
        key=result_key(job, job.output.parent),
        notes=entry.progress.notes if entry.progress else (),
    )
