"""Queries and changes of sessions: functions that take a transaction and never end it.

    with database.begin() as tx:
        row = repository.create(tx, name="Beach", source="beach.mp4", clip={...}, job={...})

Rows stay readable after their transaction, results included.

Most functions are for one `owner`: a session of another user raises NotFound, as one that does not exist.
The owner None is the local user, who has the sessions without one, so that a forgotten argument shows no
session of any account. Functions for all users are in a section of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_, update
from sqlalchemy.orm import Session

from db import runs, webhooks
from db.errors import NotFound
from db.events import MatteChecked, RunFinished, RunProgress
from db.models import Json, Result, SessionRow, State, User
from db.states import set_state
from pipeline.languages.messages import Message

Cursor = tuple[datetime, UUID]
"""`(created_at, id)` of the last session of a page; the next page begins after it."""

INTERRUPTED = Message("runs.program_stopped")


def create(
    tx: Session,
    *,
    name: str,
    source: str,
    clip: Json,
    job: Json,
    id: UUID | str | None = None,
    owner: UUID | None = None,
) -> SessionRow:
    """Create a session in the state READY.

    Raises:
        ValueError: `id` is no UUID.
    """
    row = SessionRow(name=name, source=source, clip=clip, job=job, owner_id=owner, results=[])
    if id is not None:
        row.id = UUID(str(id))
    tx.add(row)
    tx.flush()
    return row


def get(tx: Session, *, id: UUID | str, owner: UUID | None = None) -> SessionRow:
    """Return the session with its results, newest first.

    Raises:
        NotFound: the owner has no such session, or `id` is no UUID.
    """
    return _get_owned(tx, id, owner)


def list_page(
    tx: Session,
    *,
    limit: int = 50,
    before: Cursor | None = None,
    search: str | None = None,
    state: State | None = None,
    starred: bool | None = None,
    owner: UUID | None = None,
) -> Sequence[SessionRow]:
    """Return sessions newest first: those after `before`, those whose name contains `search`.

    With `state` or `starred` those of that state, and with or without a star.
    """
    query = _find(owner, search).order_by(*_NEWEST).limit(limit)
    if state is not None:
        query = query.where(SessionRow.state == state)
    if starred is not None:
        query = query.where(SessionRow.starred.is_(starred))
    return tx.scalars(query if before is None else query.where(_is_after(before))).all()


def list_changed(
    tx: Session, *, limit: int = 50, search: str | None = None, owner: UUID | None = None
) -> Sequence[SessionRow]:
    """Return sessions whose name contains `search`, newest change of job, state or results first."""
    order = SessionRow.changed_at.desc(), SessionRow.id.desc()
    return tx.scalars(_find(owner, search).order_by(*order).limit(limit)).all()


def list_unfinished(tx: Session, *, owner: UUID | None = None) -> Sequence[SessionRow]:
    """Return the owner's sessions that are queued or running, newest first."""
    unfinished = SessionRow.state.in_([State.QUEUED, State.RUNNING])
    return tx.scalars(select(SessionRow).where(_is_owned_by(owner), unfinished).order_by(*_NEWEST)).all()


def list_ids(tx: Session, *, owner: UUID | None = None) -> list[UUID]:
    """Return the ids of the owner's sessions, oldest first."""
    query = select(SessionRow.id).where(_is_owned_by(owner)).order_by(SessionRow.created_at, SessionRow.id)
    return list(tx.scalars(query))


def rename(tx: Session, *, id: UUID | str, name: str, owner: UUID | None = None) -> SessionRow:
    """Rename the session. Raises: NotFound."""
    row = _get_owned(tx, id, owner)
    row.name = name
    tx.flush()
    return row


def star(tx: Session, *, id: UUID | str, starred: bool, owner: UUID | None = None) -> SessionRow:
    """Mark the session as starred or not. Raises: NotFound."""
    row = _get_owned(tx, id, owner)
    row.starred = starred
    tx.flush()
    return row


def save_job(
    tx: Session,
    *,
    id: UUID | str,
    job: Json,
    format_before: str | None = None,
    owner: UUID | None = None,
) -> SessionRow:
    """Replace the session's job. Raises: NotFound."""
    row = _get_owned(tx, id, owner)
    row.job = job
    row.format_before = format_before
    row.changed_at = now(tx)
    tx.flush()
    return row


def queue(
    tx: Session, *, id: UUID | str, owner: UUID | None = None, idempotency_hash: str | None = None
) -> bool:
    """Queue the session and add a run; False if it is queued or running already.

    Of two concurrent calls the second waits and returns False. Raises: NotFound.
    """
    row = _get_owned(tx, id, owner, lock=True)
    if row.state in (State.QUEUED, State.RUNNING):
        return False
    runs.add(tx, row, idempotency_hash)
    set_state(row, State.QUEUED, None, now(tx))
    tx.flush()
    return True


def leave_queue(tx: Session, *, id: UUID | str, owner: UUID | None = None) -> bool:
    """Cancel the session if it is queued; False if it is not. Raises: NotFound."""
    row = _get_owned(tx, id, owner, lock=True)
    if row.state is not State.QUEUED:
        return False
    set_state(row, State.CANCELLED, None, now(tx))
    webhooks.record(tx, row)
    return True


def delete(tx: Session, *, id: UUID | str, owner: UUID | None = None) -> None:
    """Delete the session and its results; the caller deletes their files. Raises: NotFound."""
    tx.delete(_get_owned(tx, id, owner))
    tx.flush()


# ---------------------------------------------------------------- events of a run, of any user


def save_progress(tx: Session, *, id: UUID | str, progress: RunProgress | None) -> SessionRow:
    """Save the progress of the run, with a heartbeat. Raises: NotFound."""
    row, moment = _get(tx, id), now(tx)
    # In one statement: another of the same row asks for its user, whom `users.remove` may have locked.
    row.progress = None if progress is None else progress.to_json()
    if progress is not None:
        row.beat_at = moment
    tx.flush()
    return row


def record_heartbeats(tx: Session, *, ids: Sequence[UUID | str]) -> None:
    """Set the heartbeat of those sessions that are running, without touching `updated_at`."""
    query = (
        update(SessionRow)
        .where(SessionRow.id.in_([UUID(str(id)) for id in ids]), SessionRow.state == State.RUNNING)
        .values(beat_at=func.now(), updated_at=SessionRow.updated_at)
    )
    tx.execute(query, execution_options={"synchronize_session": False})


def save_review_points(tx: Session, *, id: UUID | str, points: MatteChecked) -> SessionRow:
    """Save the times at which the session's newest matte should be reviewed. Raises NotFound."""
    row = _get(tx, id)
    row.checks = points.to_json()
    tx.flush()
    return row


def change_state(tx: Session, *, id: UUID | str, state: State, error: Message | None = None) -> SessionRow:
    """Change the session's state; of two concurrent calls the second sees the state that the first has set.

    An earlier error is cleared; the progress of a run that stopped early is kept.

    Raises:
        NotFound: there is no such session.
        ValueError: `state` is unknown, or may not follow the session's present one.
    """
    row = _get(tx, id, lock=True)
    set_state(row, State(state), error, now(tx))
    webhooks.record(tx, row)
    return row


def add_result(tx: Session, *, id: UUID | str, result: RunFinished) -> Result:
    """Add a file that the session `id` has made. Raises NotFound."""
    added = Result(
        format=result.format,
        background=result.background,
        model=result.model,
        file=result.file,
        bytes=result.bytes,
        frames=result.frames,
        seconds=result.seconds,
        key=result.key,
        notes=[str(note) for note in result.notes],
        note_messages=[note.to_json() for note in result.notes],
    )
    row = _get(tx, id)
    added.run_id = runs.current_id(tx, row.id)
    row.results.insert(0, added)
    row.changed_at = now(tx)
    tx.flush()
    return added


# ---------------------------------------------------------------- all users: for the server


class OwnedSession(NamedTuple):
    """Session with the name of its owner; None: the local user."""

    row: SessionRow
    owner: str | None


def now(tx: Session) -> datetime:
    """Return the time of the database server, whose clock all stored times are from."""
    return tx.scalars(select(func.now())).one()


def interrupt_running(tx: Session) -> list[UUID]:
    """Mark running sessions as interrupted (called once at start-up); returns their ids, oldest first."""
    query = (
        select(SessionRow)
        .where(SessionRow.state == State.RUNNING)
        .order_by(SessionRow.created_at, SessionRow.id)
        .with_for_update()
    )
    rows = tx.scalars(query, execution_options={"populate_existing": True}).all()
    for row in rows:
        set_state(row, State.INTERRUPTED, INTERRUPTED, now(tx))
        webhooks.record(tx, row)
    return [row.id for row in rows]


def list_queued(tx: Session) -> Sequence[SessionRow]:
    """Return all queued sessions in the order in which they were queued."""
    query = (
        select(SessionRow)
        .where(SessionRow.state == State.QUEUED)
        .order_by(SessionRow.queued_at, SessionRow.created_at, SessionRow.id)
    )
    return tx.scalars(query).all()


def list_active(tx: Session) -> list[OwnedSession]:
    """Return all queued and running sessions in the order in which they were queued."""
    query = (
        select(SessionRow, User.name)
        .outerjoin(User, User.id == SessionRow.owner_id)
        .where(SessionRow.state.in_([State.QUEUED, State.RUNNING]))
        .order_by(SessionRow.queued_at, SessionRow.created_at, SessionRow.id)
    )
    return [OwnedSession(row, owner) for row, owner in tx.execute(query)]


def get_any(tx: Session, *, id: UUID | str) -> SessionRow:
    """Return a session of any user. Raises: NotFound."""
    return _get(tx, id)


def list_all(tx: Session) -> Sequence[SessionRow]:
    """Return all sessions, oldest first."""
    return tx.scalars(select(SessionRow).order_by(SessionRow.created_at, SessionRow.id)).all()


def count_by_state(tx: Session) -> dict[State, int]:
    """Return the number of sessions in each state."""
    query = select(SessionRow.state, func.count()).group_by(SessionRow.state)
    counts = dict.fromkeys(State, 0)
    for state, count in tx.execute(query):
        counts[state] = count
    return counts


def list_expired(tx: Session, *, before: datetime) -> list[UUID]:
    """Return the ids of all sessions unchanged since `before`, oldest first.

    Starred, queued and running sessions are left out.
    """
    query = select(SessionRow.id).where(*_is_expired(before)).order_by(SessionRow.updated_at, SessionRow.id)
    return list(tx.scalars(query))


def delete_expired(tx: Session, *, id: UUID | str, before: datetime) -> None:
    """Delete a session that `list_expired` returned. Raises: NotFound, also if it has changed since."""
    query = select(SessionRow).where(SessionRow.id == UUID(str(id)), *_is_expired(before)).with_for_update()
    row = tx.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound("choices.no_such_deleted_session", id=str(id))
    tx.delete(row)
    tx.flush()


def delete_any(tx: Session, *, id: UUID | str) -> None:
    """Delete a session of any user. Raises: NotFound."""
    tx.delete(_get(tx, id))
    tx.flush()


def delete_results(tx: Session, *, ids: Sequence[UUID]) -> None:
    """Delete results of any user; unknown ids are ignored."""
    for id in ids:
        result = tx.get(Result, id)
        if result is not None:
            tx.delete(result)
    tx.flush()


# ----------------------------------------------------------------

_NEWEST = (SessionRow.created_at.desc(), SessionRow.id.desc())


def _is_after(last: Cursor) -> ColumnElement[bool]:
    return tuple_(SessionRow.created_at, SessionRow.id) < last


def _find(owner: UUID | None, search: str | None) -> Select[SessionRow]:
    query = select(SessionRow).where(_is_owned_by(owner))
    return query.where(SessionRow.name.icontains(search, autoescape=True)) if search else query


def _is_owned_by(owner: UUID | None) -> ColumnElement[bool]:
    return SessionRow.owner_id.is_(None) if owner is None else SessionRow.owner_id == owner


def _is_expired(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        SessionRow.updated_at < before,
        SessionRow.starred.is_(False),
        SessionRow.state.not_in([State.QUEUED, State.RUNNING]),
    )


def _get_owned(tx: Session, id: UUID | str, owner: UUID | None, *, lock: bool = False) -> SessionRow:
    row = _get(tx, id, lock=lock)
    if row.owner_id != owner:
        raise NotFound("choices.no_such_session", id=str(id))
    return row


def _get(tx: Session, id: UUID | str, *, lock: bool = False) -> SessionRow:
    try:
        key = UUID(str(id))
    except ValueError:
        key = None
    # Under the lock the row is read again: what this transaction has read before may be stale.
    row = (
        None if key is None else tx.get(SessionRow, key, with_for_update=lock or None, populate_existing=lock)
    )
    if row is None:
        raise NotFound("choices.no_such_session", id=str(id))
    return row
