"""Webhooks and their deliveries: functions that take a transaction and never end it.

A delivery is a row from when its run ends until its receiver has taken it, so that it survives a restart. All
times are of the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from db import runs
from db.errors import NotFound
from db.models import Delivery, Json, SessionRow, State, Webhook
from pipeline.languages.messages import Message

Event = Literal["run.done", "run.failed", "run.cancelled"]

_EVENTS: dict[State, Event] = {
    State.DONE: "run.done",
    State.FAILED: "run.failed",
    State.INTERRUPTED: "run.failed",
    State.CANCELLED: "run.cancelled",
}


class Due(NamedTuple):
    """Delivery that is due, with its webhook."""

    row: Delivery
    hook: Webhook


def add(tx: Session, *, url: str, events: Sequence[str], secret: str, owner: UUID | None = None) -> Webhook:
    """Add a webhook."""
    row = Webhook(owner_id=owner, url=url, events=list(events), secret=secret)
    tx.add(row)
    tx.flush()
    return row


def list_webhooks(tx: Session, *, owner: UUID | None = None) -> Sequence[Webhook]:
    """Return the owner's webhooks, the oldest first."""
    return tx.scalars(
        select(Webhook).where(_is_owned_by(owner)).order_by(Webhook.created_at, Webhook.id)
    ).all()


def get(tx: Session, *, id: UUID, owner: UUID | None = None) -> Webhook:
    """Return a webhook. Raises NotFound where the owner has none of this id."""
    row = tx.scalars(select(Webhook).where(Webhook.id == id, _is_owned_by(owner))).one_or_none()
    if row is None:
        raise NotFound("choices.no_such_webhook", id=str(id))
    return row


def remove(tx: Session, *, id: UUID, owner: UUID | None = None) -> None:
    """Delete a webhook with its deliveries. Raises NotFound where the owner has none of this id."""
    tx.delete(get(tx, id=id, owner=owner))
    tx.flush()


def record(tx: Session, session: SessionRow) -> None:
    """Flush a session's new state, and add the deliveries that tell of it where its run has ended."""
    tx.flush()
    event = _EVENTS.get(session.state)
    if event is None:
        return
    hooks = tx.scalars(
        select(Webhook).where(
            _is_owned_by(session.owner_id), Webhook.disabled_at.is_(None), Webhook.events.contains([event])
        )
    ).all()
    for hook in hooks:
        id = uuid4()
        tx.add(Delivery(id=id, webhook_id=hook.id, event=event, body=_body(tx, id, event, session)))
    tx.flush()


def list_due(tx: Session, *, limit: int) -> list[Due]:
    """Return of each webhook the delivery whose time came first."""
    place = func.row_number().over(partition_by=Delivery.webhook_id, order_by=(Delivery.due_at, Delivery.id))
    first = select(Delivery.id, place.label("place")).where(Delivery.due_at <= func.now()).subquery()
    query = (
        select(Delivery, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .join(first, first.c.id == Delivery.id)
        .where(first.c.place == 1, Webhook.disabled_at.is_(None))
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
    )
    return [Due(*found) for found in tx.execute(query)]


def succeed(tx: Session, *, id: UUID) -> None:
    """Note that a delivery was taken, and delete it."""
    hook = tx.scalars(delete(Delivery).where(Delivery.id == id).returning(Delivery.webhook_id)).one_or_none()
    tx.execute(
        update(Webhook)
        .where(Webhook.id == hook)
        .values(delivered_at=func.now(), failing_since=None, error=None, error_message=None)
    )


def fail(
    tx: Session, *, id: UUID, error: Message, wait: timedelta, patience: timedelta, switched_off: Message
) -> bool:
    """Note that a delivery has failed; it is due again after `wait`. False: its webhook is now switched off.

    That is so once the webhook has failed for `patience` without taking anything; its deliveries are deleted.
    """
    row = tx.get(Delivery, id)
    if row is None:  # removed with its webhook
        return True
    hook = tx.get_one(Webhook, row.webhook_id, with_for_update=True, populate_existing=True)
    now = tx.scalars(select(func.now())).one()
    hook.failing_since = hook.failing_since or now
    hook.error, hook.error_message = str(error), error.to_json()
    if now - hook.failing_since < patience:
        row.attempts += 1
        row.due_at = now + wait
        tx.flush()
        return True
    hook.disabled_at = now
    hook.error, hook.error_message = str(switched_off), switched_off.to_json()
    tx.execute(delete(Delivery).where(Delivery.webhook_id == hook.id))
    tx.flush()
    return False


def count_waiting(tx: Session, *, owner: UUID | None = None) -> dict[UUID, int]:
    """Return how many deliveries of each of the owner's webhooks are still to be taken."""
    query = (
        select(Delivery.webhook_id, func.count())
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(_is_owned_by(owner))
        .group_by(Delivery.webhook_id)
    )
    return {found[0]: found[1] for found in tx.execute(query)}


def _body(tx: Session, id: UUID, event: Event, session: SessionRow) -> str:
    run = runs.current_id(tx, session.id)
    results = [] if event != "run.done" else [result for result in session.results if result.run_id == run]
    content: Json = {
        "id": str(id),
        "event": event,
        "session": str(session.id),
        "name": session.name,
        "run": None if run is None else str(run),
        "state": session.state.value,
        "finished_at": _moment(session.finished_at),
        "error": session.error,
        "results": [
            {"id": str(result.id), "format": result.format, "bytes": result.bytes, "frames": result.frames}
            for result in results
        ],
    }
    return json.dumps(content)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _is_owned_by(owner: UUID | None) -> ColumnElement[bool]:
    return Webhook.owner_id.is_(None) if owner is None else Webhook.owner_id == owner
