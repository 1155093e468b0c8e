"""What is asked of the sessions: functions that take a transaction and never end it.

    with database.begin() as tx:
        row = repository.create(tx, name="Beach", source="beach.mp4", clip={...}, job={...})

Rows stay readable after their transaction, results included.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.models import Json, Result, SessionRow, State

Cursor = tuple[datetime, UUID]
"""`(created_at, id)` of the last session of a page; the next page begins after it."""

_FINISHED = {State.DONE, State.FAILED, State.CANCELLED, State.INTERRUPTED}
_MAY_FOLLOW: dict[State, set[State]] = {
    State.READY: {State.QUEUED},
    State.QUEUED: {State.RUNNING, State.CANCELLED, State.FAILED, State.INTERRUPTED},
    State.RUNNING: _FINISHED,
    **{state: {State.QUEUED} for state in _FINISHED},
}

INTERRUPTED = "The program stopped before this was finished: start it again to continue."


def create(
    tx: Session, *, name: str, source: str, clip: Json, job: Json, id: UUID | str | None = None
) -> SessionRow:
    """A new session, ready to be queued.

    Raises:
        ValueError: `id` is no UUID.
    """
    row = SessionRow(name=name, source=source, clip=clip, job=job, results=[])
    if id is not None:
        row.id = UUID(str(id))
    tx.add(row)
    tx.flush()
    return row


def get(tx: Session, *, id: UUID | str) -> SessionRow:
    """The session with its results, newest first.

    Raises:
        NotFound: there is no such session, or `id` is no id at all.
    """
    return _get(tx, id)


def page(
    tx: Session, *, limit: int = 50, before: Cursor | None = None, search: str | None = None
) -> Sequence[SessionRow]:
    """Sessions newest first, with their results; those after `before`, those whose name holds `search`."""
    query = select(SessionRow).order_by(SessionRow.created_at.desc(), SessionRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(SessionRow.created_at, SessionRow.id) < before)
    if search:
        query = query.where(SessionRow.name.icontains(search, autoescape=True))
    return tx.scalars(query).all()


def rename(tx: Session, *, id: UUID | str, name: str) -> SessionRow:
    """Raises: NotFound."""
    row = _get(tx, id)
    row.name = name
    tx.flush()
    return row


def star(tx: Session, *, id: UUID | str, starred: bool) -> SessionRow:
    """Raises: NotFound."""
    row = _get(tx, id)
    row.starred = starred
    tx.flush()
    return row


def save_job(tx: Session, *, id: UUID | str, job: Json) -> SessionRow:
    """Keep what the page built, in place of what was kept before. Raises: NotFound."""
    row = _get(tx, id)
    row.job = job
    tx.flush()
    return row


def save_progress(tx: Session, *, id: UUID | str, progress: Json | None) -> SessionRow:
    """Raises: NotFound."""
    row = _get(tx, id)
    row.progress = progress
    tx.flush()
    return row


def save_checks(tx: Session, *, id: UUID | str, checks: Json) -> SessionRow:
    """Keep where the session's newest matte should be looked at. Raises: NotFound."""
    row = _get(tx, id)
    row.checks = checks
    tx.flush()
    return row


def change_state(tx: Session, *, id: UUID | str, state: State, error: str | None = None) -> SessionRow:
    """Move the session on. Of two that try at once the second waits, and sees what the first has left.

    An earlier error is forgotten; the progress is kept where the work stopped short, to tell how far it came.

    Raises:
        NotFound: there is no such session.
        ValueError: `state` is none, or may not follow the one the session is in.
    """
    row = _get(tx, id, lock=True)
    _enter(row, State(state), error, _now(tx))
    tx.flush()
    return row


def add_result(
    tx: Session,
    *,
    id: UUID | str,
    format: str,
    background: str,
    model: str,
    file: str,
    bytes: int,
    frames: int,
    seconds: float,
    key: str | None = None,
    notes: Sequence[str] = (),
) -> Result:
    """A file that the session `id` made; `key` names all that decided it. Raises: NotFound."""
    result = Result(
        format=format,
        background=background,
        model=model,
        file=file,
        bytes=bytes,
        frames=frames,
        seconds=seconds,
        key=key,
        notes=list(notes),
    )
    row = _get(tx, id)
    row.results.insert(0, result)
    tx.flush()
    return result


def delete(tx: Session, *, id: UUID | str) -> None:
    """Forget the session and its results; their files are the caller's. Raises: NotFound."""
    tx.delete(_get(tx, id))
    tx.flush()


def interrupt_unfinished(tx: Session) -> list[UUID]:
    """On start: what was queued or running has nobody left who runs it. Gives the ids, oldest first."""
    query = (
        select(SessionRow)
        .where(SessionRow.state.in_([State.QUEUED, State.RUNNING]))
        .order_by(SessionRow.created_at, SessionRow.id)
        .with_for_update()
    )
    rows = tx.scalars(query, execution_options={"populate_existing": True}).all()
    now = _now(tx)
    for row in rows:
        _enter(row, State.INTERRUPTED, INTERRUPTED, now)
    tx.flush()
    return [row.id for row in rows]


def _get(tx: Session, id: UUID | str, *, lock: bool = False) -> SessionRow:
    try:
        key = UUID(str(id))
    except ValueError:
        key = None
    # Under the lock the row is read again: what this transaction saw of it before may be out of date.
    row = (
        None if key is None else tx.get(SessionRow, key, with_for_update=lock or None, populate_existing=lock)
    )
    if row is None:
        raise NotFound(f"There is no session {id}.")
    return row


def _now(tx: Session) -> datetime:
    """The server's clock, which also writes `created_at`: that of this machine may go otherwise."""
    return tx.scalars(select(func.now())).one()


def _enter(row: SessionRow, state: State, error: str | None, now: datetime) -> None:
    if state not in _MAY_FOLLOW[row.state]:
        raise ValueError(f"A session that is {row.state} cannot become {state}.")
    row.state = state
    row.error = error
    if state is State.QUEUED:
        row.queued_at, row.started_at, row.finished_at = now, None, None
    elif state is State.RUNNING:
        row.started_at = now
    else:
        row.finished_at = now
    if state in (State.QUEUED, State.DONE):
        row.progress = None
