"""Runs of one user's sessions, by their ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import runs
from db.models import State
from pipeline.job import Progress
from ui.sessions.queueing import RunQueue
from ui.sessions.session import Session
from ui.sessions.store import SessionStore


@dataclass(frozen=True)
class Run:
    """Run of a session, as it was when it was read."""

    stored: runs.Run
    progress: Progress | None
    """Latest progress, also of one that stopped early; None: there is none."""
    queue_position: int | None
    """0: it is running; 1: it is next; None: it is neither."""
    eta: float | None
    """Seconds until it is expected to start; None: unknown."""

    @property
    def id(self) -> UUID:
        return self.stored.row.id

    @property
    def state(self) -> State:
        return self.stored.state

    @property
    def created_at(self) -> datetime:
        return self.stored.row.created_at

    @property
    def finished(self) -> bool:
        return self.state not in (State.QUEUED, State.RUNNING)


class Runs:
    """Asks for runs, reads and cancels them. Raises NotFound for sessions and runs of other users."""

    def __init__(self, store: SessionStore, queue: RunQueue, owner: UUID | None) -> None:
        self._store = store
        self._queue = queue
        self._owner = owner

    def start(self, id: str, idempotency_key: str | None = None) -> Run:
        """Queue the job of session `id` and return its run; raises as `RunQueue.run`."""
        return self.read(self._queue.run(id, self._owner, idempotency_key))

    def read(self, run: UUID | str) -> Run:
        """Return a run."""
        found = self._queue.find(run, self._owner)
        id = str(found.session.id)
        self._store.check_listed(id)
        if not found.newest:
            return Run(found, None, None, None)
        session = self._store.read(found.session)
        stored = session.progress if isinstance(session, Session) else None
        return Run(
            found,
            self._queue.progress(id, self._owner) or stored,
            self._queue.position(id, self._owner),
            self._queue.eta(id, self._owner),
        )

    def cancel(self, run: UUID | str) -> None:
        """Stop a run, or remove it from the queue; one that has ended stays as it is."""
        found = self._queue.find(run, self._owner)
        if found.newest:
            self._queue.cancel(str(found.session.id), self._owner)
