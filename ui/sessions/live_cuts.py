"""Live cuts: the mattes of sessions that somebody looks at, computed in the background ahead of their runs.

One at a time, in turns between users, while no run is queued or going. A run continues from what is stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from pipeline import models
from pipeline.errors import INTERNAL_ERROR, InputError, RecorteError, WorkerLost
from pipeline.job import Progress
from pipeline.jobs import preflight, speeds
from pipeline.languages.messages import Message
from ui.sessions.limits.quota import Quota
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.rendering.protocol import CutState, MarksChanged, can_load_model
from ui.sessions.session import Session

log = logging.getLogger(__name__)

ATTENTION_SECONDS = 20.0
"""A session counts as looked at for so long after the page has last asked."""

_TURN_SECONDS = 4.0
_POLL_SECONDS = 0.5
_STOP_SECONDS = 5.0
_RETRY_SECONDS = 10.0
"""Wait after the worker was lost."""
_REMEMBERED_STATES = 256
_SLOWEST_RATE = 1.0
"""Frames a second; of a slower model only the previews are computed."""
_MEASURED_FRAMES = 8
"""A model's rate counts after more frames than these."""
_MEASURED_AGAIN_SECONDS = (30.0, 120.0, 480.0)
"""Waits before a slow model is measured again: the machine may have been busy with something else."""

Status = Literal["cutting", "waiting", "done", "slow", "failed", "idle"]
"""Status of a live cut. "waiting": for a run or another user; "slow": only the previews are computed; "idle":
nothing can be computed yet."""


@dataclass(frozen=True)
class LiveCut:
    """State of a session's live cut, as a page shows it."""

    status: Status
    cut: CutState
    rate: float = 0.0
    """Frames a second; 0 while unknown."""
    left: float | None = None
    """Seconds to the end; None: unknown."""
    message: Message | None = None
    """Why it failed."""
    previews: tuple[int, ...] = ()
    """Numbers of the preview frames that are computed, of a slow model."""
    again: float | None = None
    """Seconds until a slow model is measured again, if somebody looks then; None: it is not."""

    @property
    def ready(self) -> list[tuple[int, int]]:
        """Ranges [first, past) of the numbers of the frames that can be shown cut, previews among them."""
        single = [(n, n + 1) for n in self.previews if not any(a <= n < b for a, b in self.cut.ready)]
        return sorted([*self.cut.ready, *single])


@dataclass(eq=False)
class _Entry:
    """Session that is looked at."""

    session: Session
    key: tuple[Any, ...]
    near: int
    """Number of the frame on the stage."""
    looked: float
    """Time of the latest look, by `time.monotonic`."""
    progress: Progress | None = None
    state: Literal["open", "done", "failed"] = "open"
    message: Message | None = None
    slow: bool = False
    previewed: bool = False
    """All previews of a slow model are computed."""
    measured: int = 0
    """Number of times that it was measured again since."""
    not_before: float = 0.0
    """Time before which it is not continued."""

    @property
    def owner(self) -> UUID | None:
        return self.session.row.owner_id


@dataclass
class _Turns:
    """Order of the users: each one's latest turn."""

    count: int = 0
    latest: dict[UUID | None, int] = field(default_factory=dict)

    def take(self, owner: UUID | None) -> None:
        self.count += 1
        self.latest[owner] = self.count


class LiveCuts:
    """Computes live cuts in a thread of its own. Thread-safe.

    `is_free` returns True while no run is queued or going.
    """

    def __init__(self, frames: FrameClient, quota: Quota, is_free: Callable[[], bool]) -> None:
        self._frames = frames
        self._quota = quota
        self._is_free = is_free
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._states: dict[str, tuple[tuple[Any, ...], CutState]] = {}
        """State that was read last of each session, and what that cut depends on; the oldest first."""
        self._current: _Entry | None = None
        self._turns = _Turns()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="live cuts", daemon=True)
        """Started by the first look."""

    def watch(self, session: Session, near: int) -> LiveCut:
        """Have a session cut while it is looked at, frames around number `near` first; returns the state."""
        cut = self._read(session)
        if _is_whole(cut):
            self.forget(session.id)
            return LiveCut("done", cut, left=0.0)
        if not _can_cut(session):
            return LiveCut("idle", cut)
        with self._changed:
            if self._thread.ident is None and not self._closing:
                self._thread.start()
            entry = self._look(session, near)
            self._changed.notify_all()
            progress, previewed = entry.progress, entry.previewed
            status = self._status(entry)
            again = max(0.0, entry.not_before - time.monotonic()) if entry.state == "open" else None
        if status == "slow":
            previews = tuple(self._frames.cached_previews(session))
            return LiveCut("slow", cut, left=0.0 if previewed else None, previews=previews, again=again)
        if status != "cutting" or progress is None:
            return LiveCut(status, cut, message=entry.message)
        return LiveCut(status, cut, progress.rate, progress.left)

    def read(self, session: Session) -> LiveCut:
        """Return the state of a session's cut without asking for more of it."""
        cut = self._read(session)
        return LiveCut("done" if _is_whole(cut) else "idle", cut)

    def latest(self, session: Session) -> LiveCut:
        """Return the state that was read last, with the rate; reads it where it is not known."""
        key = _cut_key(session)
        with self._changed:
            entry, known = self._entries.get(session.id), self._states.get(session.id)
            progress = entry.progress if entry is not None and entry.key == key else None
        if known is None or known[0] != key or self._frames.has_matte(session):
            cut = self._read(session)
        else:
            cut = known[1]
        return LiveCut("done" if _is_whole(cut) else "idle", cut, progress.rate if progress else 0.0)

    def forget(self, id: str) -> None:
        """Stop the cut of a session; returns at once."""
        with self._changed:
            self._entries.pop(id, None)
            self._changed.notify_all()

    def stop(self, id: str) -> None:
        """Stop the cut of a session, and wait until nothing writes into its folder, at most five seconds."""
        with self._changed:
            self._entries.pop(id, None)
            self._changed.wait_for(
                lambda: self._current is None or self._current.session.id != id, _STOP_SECONDS
            )

    def close(self) -> None:
        """Stop all cuts and wait for the thread to end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _read(self, session: Session) -> CutState:
        cut = self._frames.read_cut(session)
        with self._changed:
            self._states.pop(session.id, None)
            self._states[session.id] = _cut_key(session), cut
            if len(self._states) > _REMEMBERED_STATES:
                del self._states[next(iter(self._states))]
        return cut

    # ------------------------------------------------------------------ entries; all with the lock held

    def _look(self, session: Session, near: int) -> _Entry:
        now = time.monotonic()
        entry = self._entries.get(session.id)
        key = _cut_key(session)
        if entry is None or entry.key != key:
            entry = self._entries[session.id] = _Entry(session, key, near, now)
            entry.slow = _expects_slow(session)
        entry.near, entry.looked = near, now
        return entry

    def _status(self, entry: _Entry) -> Status:
        if entry.state == "failed":
            return "failed"
        if entry.slow:
            return "slow"
        return "cutting" if entry is self._current else "waiting"

    def _is_wanted(self, entry: _Entry) -> bool:
        now = time.monotonic()
        return (
            self._entries.get(entry.session.id) is entry
            and entry.state == "open"
            and now - entry.looked < ATTENTION_SECONDS
            and now >= entry.not_before
        )

    def _next(self) -> _Entry | None:
        """Wait for the next session whose turn it is; None where this is closing."""
        with self._changed:
            while not self._closing:
                wanted = [entry for entry in self._entries.values() if self._is_wanted(entry)]
                if wanted and self._is_free():
                    entry = min(wanted, key=lambda entry: self._turns.latest.get(entry.owner, -1))
                    self._turns.take(entry.owner)
                    self._current = entry
                    return entry
                self._drop_forgotten()
                self._changed.wait(_POLL_SECONDS if self._entries else None)
        return None

    def _drop_forgotten(self) -> None:
        now = time.monotonic()
        for id, entry in list(self._entries.items()):
            if now - max(entry.looked, entry.not_before) > 10 * ATTENTION_SECONDS:
                del self._entries[id]

    def _must_stop(self, entry: _Entry, is_over: bool) -> bool:
        """Return True if a session's cut is to pause; a turn that `is_over` ends only for another user."""
        with self._changed:
            others = any(
                other.owner != entry.owner and self._is_wanted(other) for other in self._entries.values()
            )
            return self._closing or (is_over and others) or not self._is_wanted(entry) or not self._is_free()

    # ------------------------------------------------------------------ the thread

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            try:
                self._compute(entry)
            except MarksChanged:
                self.forget(entry.session.id)  # until the page asks about the new ones
            except WorkerLost:
                entry.not_before = time.monotonic() + _RETRY_SECONDS
            except RecorteError as error:
                entry.state, entry.message = "failed", error.message
            except Exception:
                log.exception("the live cut of session %s", entry.session.id)
                entry.state, entry.message = "failed", INTERNAL_ERROR
            finally:
                with self._changed:
                    self._current = None
                    self._changed.notify_all()

    def _compute(self, entry: _Entry) -> None:
        """Compute a session's cut until it is done, or others are to go on."""
        session, began = entry.session, time.monotonic()
        if entry.slow and not entry.previewed:
            self._preview(entry)
            return
        with (
            self._quota.reserve(entry.owner, session.folder, self._bytes_needed(session)),
            closing(self._frames.compute_cut(session, entry.near)) as steps,
        ):
            done = computed = 0
            for progress in steps:
                computed += progress.done == done + 1  # frames that were stored come several at once
                done = progress.done
                entry.progress = progress
                # What was slow stays so until it was measured for as long.
                if computed > _MEASURED_FRAMES:
                    entry.slow = _is_slow(progress)
                    if entry.slow:
                        _measure_later(entry)
                        return
                # A turn computes at least a frame, however long the model takes to load.
                is_over = computed > 0 and time.monotonic() - began > _TURN_SECONDS
                if self._must_stop(entry, is_over):
                    return
        if self._is_free():  # else a run has taken the session over
            entry.state = "done"

    def _preview(self, entry: _Entry) -> None:
        """Compute a slow model's previews, unless others are to go on."""
        for _ in self._frames.make_previews(entry.session):
            if self._must_stop(entry, is_over=False):
                return
        entry.previewed = True
        _measure_later(entry)

    def _bytes_needed(self, session: Session) -> int:
        if not self._quota.limit_bytes:
            return 0
        return preflight.spool_bytes(session.effective_job, session.clip, session.clip.frames)


def _is_whole(cut: CutState) -> bool:
    return cut.done >= cut.total


def _can_cut(session: Session) -> bool:
    """Return True if the session's job is complete and its model can be loaded."""
    job = session.effective_job
    if job.matte is None or not session.licensed or not can_load_model(job):
        return False
    try:
        replace(job, format="png", sound="none").check(session.clip)
    except InputError:
        return False
    return True


def _cut_key(session: Session) -> tuple[Any, ...]:
    """Return all that a cut depends on."""
    job = session.effective_job
    return (
        session.render_request.matte_inputs,
        job.start,
        job.end,
        job.high_bit_depth(session.clip),
    )


def _expects_slow(session: Session) -> bool:
    """Return True if the model has a slow encoder, and was measured to be too slow here for the whole clip.

    Others are tried: what was measured may have been a busy machine, and a few frames say how it is now.
    """
    card, size = models.card(session.job.model), (session.clip.width, session.clip.height)
    seconds = speeds.expected_seconds(card.key, size, 1) if card.slow_encoder else None
    return seconds is not None and seconds > 1 / _SLOWEST_RATE


def _is_slow(progress: Progress) -> bool:
    """Return True if the model turns out to be too slow, once it has computed some frames."""
    return progress.left is not None and 0 < progress.rate < _SLOWEST_RATE


def _measure_later(entry: _Entry) -> None:
    """Have a slow model measured again after a while, once its previews are there; after some times, no more.

    A busy machine makes every model slow, and the cut would stay with the previews until the next mark.
    """
    if not entry.previewed:
        return
    if entry.measured == len(_MEASURED_AGAIN_SECONDS):
        entry.state = "done"
        return
    entry.not_before = time.monotonic() + _MEASURED_AGAIN_SECONDS[entry.measured]
    entry.measured += 1
