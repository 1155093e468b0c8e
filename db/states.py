"""States of a session, and which may follow another."""

from __future__ import annotations

from datetime import datetime

from db.models import SessionRow, State
from pipeline.languages.messages import Message

_FINISHED = {State.DONE, State.FAILED, State.CANCELLED, State.INTERRUPTED}
_MAY_FOLLOW: dict[State, set[State]] = {
    State.READY: {State.QUEUED},
    State.QUEUED: {State.RUNNING, State.CANCELLED, State.FAILED, State.INTERRUPTED},
    State.RUNNING: _FINISHED,
    **{state: {State.QUEUED} for state in _FINISHED},
}


def set_state(row: SessionRow, state: State, error: Message | None, at: datetime) -> None:
    """Change a session's state at a time; an earlier error is replaced.

    Raises ValueError where the state may not follow the present one.
    """
    if state not in _MAY_FOLLOW[row.state]:
        raise ValueError(f"A session that is {row.state} cannot become {state}.")
    row.state = state
    row.error, row.error_message = (str(error), error.to_json()) if error is not None else (None, None)
    row.changed_at = at
    if state is State.QUEUED:
        row.queued_at, row.started_at, row.finished_at, row.beat_at = at, None, None, None
    elif state is State.RUNNING:
        row.started_at = row.beat_at = at
    else:
        row.finished_at = at
    if state in (State.QUEUED, State.DONE):
        row.progress = None
