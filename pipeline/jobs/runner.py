"""Run jobs in the background: one queue, from which each executor takes one job at a time."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

from pipeline.compositing import background
from pipeline.errors import INTERNAL_ERROR, RecorteError, WorkerLost
from pipeline.files import file_state, remove_part
from pipeline.job import Job, Progress
from pipeline.jobs.events import MatteChecked, RunFinished
from pipeline.jobs.executor import STOP_SECONDS, Executor
from pipeline.keys import matte_key, result_key
from pipeline.languages.messages import Message

log = logging.getLogger(__name__)

STALL_SECONDS = 600.0

_REPORT_SECONDS = 0.5
"""Shortest time between two reports of progress."""
_TELL_SECONDS = 0.4
"""A job that has not stopped so long after it was cancelled is told to be, and stops in the background."""

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
    executor: Executor | None = None
    """The one that runs it; None: it is queued."""
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
    ended: bool = False
    """True once the sink was told of its end; it may still be stopping then."""


class ExecutorState(NamedTuple):
    """State of an executor."""

    name: str
    key: str | None
    """Of the job that it runs; None: it has none."""
    node: str | None = None
    """As `Executor.node`."""


class Runner:
    """Queue of jobs for one or more executors, each of which runs one at a time.

    Users take turns; each user's jobs begin in the order of submission.

    A job is killed that has no progress for `stall_seconds`, loading of the model included, and one that
    does not stop within its executor's `stop_seconds`. The sink is told of a cancelled one at once; its
    executor takes no other, and no job of its key begins, before it has stopped.

    `close` stops the running jobs, leaves queued ones alone, and returns when the threads have ended.
    """

    def __init__(
        self, sink: Sink, executors: Sequence[Executor], *, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self._sink = sink
        self._executors: tuple[Executor, ...] = ()
        self._stall_seconds = stall_seconds
        self._changed = threading.Condition()
        self._waiting: list[_Entry] = []
        self._running: list[_Entry] = []
        self._turns: dict[str, int] = {}
        """Number of each user's latest turn, counted over all users."""
        self._closing = False
        self._sink_lock = threading.Lock()
        self._threads: dict[int, threading.Thread] = {}
        """The thread of each executor that has one, by the executor's `id`."""
        self.use(executors)
        self._watcher = threading.Thread(target=self._watch, name="runner", daemon=True)
        self._watcher.start()

    def use(self, executors: Sequence[Executor]) -> None:
        """Give jobs to these executors from now on; another one that runs a job ends it first."""
        with self._changed:
            self._executors = tuple(executors)
            for executor in executors:
                if not self._closing and id(executor) not in self._threads:
                    thread = threading.Thread(target=self._work, args=(executor,), name="runner", daemon=True)
                    self._threads[id(executor)] = thread
                    thread.start()
            self._changed.notify_all()

    def submit(self, key: str, job: Job, user: str = "", seconds: float | None = None) -> None:
        """Queue a job for a user; `seconds` is its expected duration.

        Raises ValueError where a job of this key is queued or running, and not cancelled.
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
            found = self._find(key)
            if found is not None and found.executor is not None:
                return 0
            return next((n for n, entry in enumerate(self._order(), 1) if entry is found), None)

    def eta(self, key: str) -> float | None:
        """Return the seconds until a job starts; 0 for a running one, None where that is unknown."""
        with self._changed:
            found = self._find(key)
            if found is not None and found.executor is not None:
                return 0.0
            # Seconds until each executor is free; the queue's jobs go to the one that is first.
            free = [0.0] * (len(self._executors) - len(self._running))
            free += [inf if (left := _remaining(entry)) is None else left for entry in self._running]
            # Those that take no other job are not counted, as if they were the first to end.
            free = heapq.nlargest(len(self._executors), free)
            heapq.heapify(free)
            for entry in self._order():
                if entry is found:
                    return None if free[0] == inf else free[0]
                seconds = _remaining(entry)
                heapq.heapreplace(free, free[0] + (inf if seconds is None else seconds))
        return None

    def progress(self, key: str) -> Progress | None:
        """Return the latest progress of a running job."""
        with self._changed:
            entry = self._find(key)
        return None if entry is None else entry.progress

    def holds(self, key: str) -> bool:
        """Return True while a job of this key is queued, running or being stopped."""
        with self._changed:
            return any(entry.key == key for entry in [*self._running, *self._waiting])

    def is_idle(self) -> bool:
        """Return True if no job is queued or running."""
        with self._changed:
            return not self._running and not self._waiting

    def queue_length(self) -> int:
        """Return the number of queued jobs, without the running ones."""
        with self._changed:
            return len(self._waiting)

    def executors(self) -> list[ExecutorState]:
        """Return the executors' states, in their order."""
        with self._changed:
            keys = {id(entry.executor): entry.key for entry in self._running}
            leaving = [entry.executor for entry in self._running if entry.executor not in self._executors]
            executors = [*self._executors, *filter(None, leaving)]
        return [ExecutorState(one.name, keys.get(id(one)), one.node) for one in executors]

    def is_alive(self) -> bool:
        """Return True while the runner's threads work, so that queued jobs will be run."""
        return self._watcher.is_alive() or any(thread.is_alive() for thread in list(self._threads.values()))

    def close(self) -> None:
        """Stop the running jobs and wait for the threads to end."""
        with self._changed:
            self._closing = True
            for entry in self._running:
                entry.stopping = entry.stopping or time.monotonic()
            self._changed.notify_all()
            threads = [*self._threads.values(), self._watcher]
        for thread in threads:
            thread.join()

    # ------------------------------------------------------------------ the queue

    def _find(self, key: str) -> _Entry | None:
        """Return the job of a key whose end was not told."""
        entries = [*self._running, *self._waiting]
        return next((entry for entry in entries if entry.key == key and not entry.ended), None)

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

    def _next(self, executor: Executor) -> _Entry | None:
        """Wait for the next job and take it out of the queue; None where the executor takes no other."""
        with self._changed:
            while not self._closing and executor in self._executors:
                held = {entry.key for entry in self._running}  # by one that is being stopped
                free = (entry for entry in self._order() if not entry.cancelled and entry.key not in held)
                entry = next(free, None)
                if entry is not None:
                    self._waiting.remove(entry)
                    _count_turn(self._turns, entry)
                    self._running.append(entry)
                    entry.executor = executor
                    entry.began = entry.heartbeat = time.monotonic()
                    self._changed.notify_all()
                    return entry
                if not self._waiting:
                    self._turns.clear()  # no job is waiting
                self._changed.wait()
            del self._threads[id(executor)]
        return None

    # ------------------------------------------------------------------ the threads

    def _work(self, executor: Executor) -> None:
        while (entry := self._next(executor)) is not None:
            try:
                self._run(entry, executor)
            finally:
                with self._changed:
                    self._running.remove(entry)
                    self._changed.notify_all()

    def _watch(self) -> None:
        """Drop jobs that were cancelled in the queue, tell of those that stop, and kill what is overdue."""
        while True:
            with self._changed:
                cancelled = [entry for entry in self._waiting if entry.cancelled]
                self._waiting = [entry for entry in self._waiting if not entry.cancelled]
                running = list(self._running)
                if not cancelled:
                    if self._closing and not running:
                        return
                    self._changed.wait(_REPORT_SECONDS if running else None)
            for entry in cancelled:
                self._tell(entry, self._sink.cancelled)
            for entry in running:
                if entry.cancelled and time.monotonic() - (entry.stopping or inf) >= _TELL_SECONDS:
                    self._tell(entry, self._sink.cancelled)
                if entry.executor is not None and self._overdue(entry):
                    log.warning("job %s: no progress; killing its process", entry.key)
                    entry.executor.kill()

    def _overdue(self, entry: _Entry) -> bool:
        """Return True if a job must be killed; its time then begins anew."""
        now = time.monotonic()
        with self._changed:
            if entry not in self._running:
                return False
            silent = now - entry.heartbeat
            limit = STOP_SECONDS if entry.executor is None else entry.executor.stop_seconds
            if entry.stopping is None:
                overdue = silent > self._stall_seconds
                entry.stalled |= overdue
            else:
                limit = min(limit, STOP_SECONDS) if self._closing else limit
                overdue = min(silent, now - entry.stopping) > limit
            if overdue:
                entry.heartbeat = now
            return overdue

    def _run(self, entry: _Entry, executor: Executor) -> None:
        self._tell(entry, self._sink.started, last=False)
        reported, before = time.monotonic(), file_state(entry.job.output)
        completed = False
        try:
            with closing(executor.run(entry.job)) as steps:
                for progress in steps:
                    entry.progress, entry.heartbeat = progress, time.monotonic()
                    entry.model_ran |= progress.stage == "matte"
                    if entry.stopping is not None:
                        break
                    if entry.heartbeat - reported >= _REPORT_SECONDS:
                        reported = entry.heartbeat
                        self._tell(entry, self._sink.progressed, progress, last=False)
                else:
                    completed = True
        except WorkerLost as error:
            if entry.stopping is None:
                self._tell(entry, self._sink.interrupted, self._interruption(entry, error))
                return
        except RecorteError as error:
            self._tell(entry, self._sink.failed, error.message)
            return
        except Exception:
            log.exception("job %s", entry.key)
            self._tell(entry, self._sink.failed, INTERNAL_ERROR)
            return
        if completed and entry.progress is not None:
            if entry.model_ran:
                checked = MatteChecked(matte_key(entry.job), list(entry.progress.checks))
                self._tell(entry, self._sink.checked, checked, last=False)
            finished = _finish(entry, time.monotonic() - entry.began)
            if self._tell(entry, self._sink.finished, finished):
                return
        elif entry.cancelled:
            self._tell(entry, self._sink.cancelled)
        else:
            self._tell(entry, self._sink.interrupted, STOPPED)
        if file_state(entry.job.output) != before:  # a result of the last moment
            remove_part(entry.job.output)

    def _interruption(self, entry: _Entry, error: WorkerLost) -> Message:
        if entry.stalled:
            return Message("runs.stalled", {"minutes": self._stall_seconds / 60})
        return Message("runs.lost_continue", {"how": error.how})

    def _tell(self, entry: _Entry, call: Callable[..., None], *args: object, last: bool = True) -> bool:
        """Tell the sink of a job, with `last` of its end; return False where it was told of that already."""
        with self._sink_lock:
            if entry.ended:
                return False
            entry.ended = last
            try:
                call(entry.key, *args)
            except Exception:
                log.exception("the sink did not take %s", call.__name__)
            return True


def _count_turn(turns: dict[str, int], entry: _Entry) -> None:
    """Record a turn of the job's user."""
    turns[entry.user] = max(turns.values(), default=0) + 1


def _remaining(entry: _Entry) -> float | None:
    """Return the seconds for which a job still takes an executor; None where that is unknown."""
    if entry.stopping is not None:
        return 0.0
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
