"""Runs of sessions: checked, queued in the database, and given to the runner."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from uuid import UUID, uuid4

from db import repository, runs
from pipeline import formats, models
from pipeline.errors import InputError
from pipeline.generation.needs import check_needs
from pipeline.job import Job, Progress
from pipeline.jobs import preflight, speeds
from pipeline.jobs.runner import Runner
from pipeline.keys import pts_range
from ui.sessions.limits.quota import Quota, Reservation
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.session import Session
from ui.sessions.store import RESULT_PREFIX, SessionStore, erase, playable

_POLL_SECONDS, _POLLS = 0.1, 50


class RunQueue:
    """Keeps the queue in the database and the runner's queue in agreement. Thread-safe."""

    def __init__(self, store: SessionStore, runner: Runner, frames: FrameClient, quota: Quota) -> None:
        self._store = store
        self._runner = runner
        self._frames = frames
        self._quota = quota
        self._lock = threading.Lock()
        """Held while a session's row and the runner change together."""
        self._owners: dict[str, UUID | None] = {}
        """Owners of the sessions that were given to the runner."""

    def run(self, id: str, owner: UUID | None, idempotency_key: str | None = None) -> UUID:
        """Queue a session's job, and return the id of its run; one that is under way is left as it is.

        With an `idempotency_key` that this owner has used for the session before, the run of that time is
        returned. Raises InputError if the job cannot be run, the key was used for another session, or another
        key for the run that is under way; QuotaExceeded if the result may not fit.
        """
        session = self._store.find(id, owner)
        hashed = None if idempotency_key is None else _hash_key(owner, idempotency_key)
        if (known := self._find_run(session.id, hashed)) is not None:
            return known
        session = playable(session)
        session.check_background()
        job, seconds = self.plan(session)
        need = self.bytes_needed(session, job) if self._quota.limit_bytes else 0
        with self._lock:
            if (known := self._find_run(session.id, hashed)) is not None:
                return known
            with self._quota.reserve(owner, session.folder, need) as reservation:
                with self._store.database.begin() as tx:
                    queued = repository.queue(tx, id=session.id, owner=owner, idempotency_hash=hashed)
                    run = runs.current_id(tx, session.row.id)
                if queued:
                    self.submit(session, job, seconds, reservation)
        assert run is not None
        return run

    def _find_run(self, id: str, hashed: str | None) -> UUID | None:
        """Return the run of a key, or the one under way, which then has the key; None: there is neither.

        Raises InputError as `run`.
        """
        with self._store.database.begin() as tx:
            known = None if hashed is None else runs.find_by_hash(tx, hashed)
            if known is not None:
                if str(known.session_id) != id:
                    raise InputError("choices.key_taken")
                return known.id
            going = runs.find_unfinished(tx, UUID(id))
            if going is None:
                return None
            # Another request with the key may have queued it since the key was looked for.
            if hashed is not None and hashed != going.idempotency_hash:
                if going.idempotency_hash is not None:
                    raise InputError("choices.already_running", id=str(going.id))
                going.idempotency_hash = hashed
            return going.id

    def plan(self, session: Session) -> tuple[Job, float | None]:
        """Return the job of a run and its expected seconds, None if unknown.

        Raises InputError if the job cannot be run, or what it needs is missing; WeightsError for weights.
        """
        form = formats.by_key(session.job.format)
        output = session.folder / f"{RESULT_PREFIX}{uuid4().hex[:8]}{form.suffix}"
        job = replace(session.effective_job, output=output)
        job.check(session.clip)
        check_needs(job, session.clip)
        if job.takes_kept_matte and self._frames.has_matte(session):
            return job, None  # most of the work is done, and the rest has not been measured
        models.check_loadable(models.card(job.model), job.weights)
        session.check_licence()
        size = session.clip.width, session.clip.height
        return job, speeds.expected_seconds(job.model, size, session.clip.frames)

    def bytes_needed(self, session: Session, job: Job) -> int:
        """Return an upper bound of the bytes that a run writes."""
        first, past = pts_range(job, session.clip)
        frames = sum(first <= pts < past for pts in self._frames.frame_pts(session))
        return preflight.disk_bytes(job, session.clip, frames)

    def submit(self, session: Session, job: Job, seconds: float | None, reservation: Reservation) -> None:
        """Give a job to the runner; `reservation`, the room for its files, is kept until the run is over."""
        if self.is_gone(session.id):  # else one that was cancelled is still stopping
            # Partial results of a killed run: results have random names, so nothing overwrites them.
            for partial in session.folder.glob(f".{RESULT_PREFIX}*.part"):
                erase(partial)
        owner = session.row.owner_id
        self._owners[session.id] = owner
        self._runner.submit(session.id, job, str(owner or ""), seconds)
        reservation.keep(until=lambda: self.is_gone(session.id))

    def cancel(self, id: str, owner: UUID | None) -> None:
        """Stop the session's run, or remove it from the queue; otherwise nothing. Raises NotFound."""
        if not self._is_known(id, owner):
            id = str(self._store.row(id, owner).id)
        with self._lock:
            if not self._runner.cancel(id):
                with self._store.database.begin() as tx:
                    repository.leave_queue(tx, id=id, owner=owner)

    def stop(self, id: str) -> None:
        """Have the runner stop a session's job, whoever owns it; returns at once."""
        self._runner.cancel(id)

    def wait_until_gone(self, id: str) -> None:
        """Wait until the runner has let go of a session's job, at most five seconds."""
        for _ in range(_POLLS):
            if self.is_gone(id):
                break
            time.sleep(_POLL_SECONDS)

    def is_gone(self, id: str) -> bool:
        """Return True if the runner neither queues nor runs the session, nor still stops its run."""
        return not self._runner.holds(id)

    def forget(self, id: str) -> None:
        """Forget the owner of a deleted session."""
        self._owners.pop(id, None)

    def position(self, id: str, owner: UUID | None) -> int | None:
        """Return 0 if the session is running, 1 if it is next; None if it is neither."""
        return self._runner.position(id) if self._is_known(id, owner) else None

    def eta(self, id: str, owner: UUID | None) -> float | None:
        """Return the seconds until the run is expected to start; None if unknown."""
        return self._runner.eta(id) if self._is_known(id, owner) else None

    def progress(self, id: str, owner: UUID | None) -> Progress | None:
        """Return the latest progress of the run; None if there is none."""
        return self._runner.progress(id) if self._is_known(id, owner) else None

    def find(self, run: UUID | str, owner: UUID | None) -> runs.Run:
        """Return a run of a user. Raises NotFound."""
        with self._store.database.begin() as tx:
            return runs.get(tx, id=run, owner=owner)

    def _is_known(self, id: str, owner: UUID | None) -> bool:
        """Return True if this user's session was given to the runner; needs no database."""
        return id in self._owners and self._owners[id] == owner


def _hash_key(owner: UUID | None, key: str) -> str:
    """Return the hash of an idempotency key, which is the owner's own."""
    return hashlib.sha256(f"{owner}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()
