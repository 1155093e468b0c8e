"""Runs of sessions and the results that they made: functions that take a transaction and never end it.

A session's newest run is in the state of the session; earlier ones keep the state in which they ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Json, Result, RunRow, SessionRow, State


class Run(NamedTuple):
    """Run with its session; its state, times and error are those of the session while it is the newest."""

    row: RunRow
    session: SessionRow

    @property
    def newest(self) -> bool:
        return self.row.state is None

    @property
    def state(self) -> State:
        return self.row.state or self.session.state

    @property
    def started_at(self) -> datetime | None:
        return self.session.started_at if self.newest else self.row.started_at

    @property
    def finished_at(self) -> datetime | None:
        return self.session.finished_at if self.newest else self.row.finished_at

    @property
    def error(self) -> tuple[str | None, Json | None]:
        """Sentence in English, and its key and fields."""
        source = self.session if self.newest else self.row
        return source.error, source.error_message

    @property
    def results(self) -> Sequence[Result]:
        """Its results, the newest first."""
        return [result for result in self.session.results if result.run_id == self.row.id]


def add(tx: Session, session: SessionRow, idempotency_hash: str | None = None) -> RunRow:
    """Add a run of a session that is neither queued nor running.

    The run before it keeps the state that the session now has.
    """
    before = _current(tx, session.id)
    if before is not None:
        before.state = session.state
        before.error, before.error_message = session.error, session.error_message
        before.started_at, before.finished_at = session.started_at, session.finished_at
    row = RunRow(session_id=session.id, idempotency_hash=idempotency_hash)
    tx.add(row)
    tx.flush()
    return row


def current_id(tx: Session, session: UUID) -> UUID | None:
    """Return the id of a session's newest run; None if it has none, as one queued by an earlier version."""
    row = _current(tx, session)
    return None if row is None else row.id


def get(tx: Session, *, id: UUID | str, owner: UUID | None = None) -> Run:
    """Return a run. Raises NotFound where the owner has none of this id."""
    query = select(RunRow, SessionRow).join(SessionRow, SessionRow.id == RunRow.session_id)
    key = _uuid(id)
    found = None if key is None else tx.execute(query.where(RunRow.id == key)).one_or_none()
    if found is None or found[1].owner_id != owner:
        raise NotFound("choices.no_such_run", id=str(id))
    row, session = found
    return Run(row, session)


def find_unfinished(tx: Session, session: UUID) -> RunRow | None:
    """Return the run of a session that is queued or running; None if it is neither.

    The session is locked until the end of the transaction. One that an earlier version queued gets a run.
    """
    row = tx.get(SessionRow, session, with_for_update=True, populate_existing=True)
    if row is None or row.state not in (State.QUEUED, State.RUNNING):
        return None
    return _current(tx, session) or add(tx, row)


def find_by_hash(tx: Session, idempotency_hash: str) -> RunRow | None:
    """Return the run that was asked for with this key; None if there is none."""
    return tx.scalars(select(RunRow).where(RunRow.idempotency_hash == idempotency_hash)).one_or_none()


def find_result(tx: Session, *, id: UUID | str, owner: UUID | None = None) -> tuple[SessionRow, Result]:
    """Return a result with its session. Raises NotFound where the owner has none of this id."""
    query = select(SessionRow, Result).join(Result, Result.session_id == SessionRow.id)
    key = _uuid(id)
    found = None if key is None else tx.execute(query.where(Result.id == key)).one_or_none()
    if found is None or found[0].owner_id != owner:
        raise NotFound("choices.no_such_result")
    session, result = found
    return session, result


def _current(tx: Session, session: UUID) -> RunRow | None:
    query = select(RunRow).where(RunRow.session_id == session, RunRow.state.is_(None))
    return tx.scalars(query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(1)).one_or_none()


def _uuid(id: UUID | str) -> UUID | None:
    try:
        return UUID(str(id))
    except ValueError:
        return None
