"""Links to single results: functions that take a transaction and never end it.

Stored is the hash of a link's token, never the token. All times are of the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.models import Result, SessionRow, ShareLink


class FoundShare(NamedTuple):
    """Link that has not expired, with what it leads to."""

    link: ShareLink
    session: SessionRow
    result: Result


def add(
    tx: Session, *, token_hash: str, owner: UUID, session: UUID, result: UUID, seconds: float
) -> ShareLink:
    """Add a link that expires after `seconds`; expired ones of all users are deleted."""
    _delete_expired(tx)
    row = ShareLink(
        token_hash=token_hash,
        owner_id=owner,
        session_id=session,
        result_id=result,
        expires_at=func.now() + timedelta(seconds=seconds),
    )
    tx.add(row)
    tx.flush()
    tx.refresh(row)  # the time that the database has computed
    return row


def find(tx: Session, *, token_hash: str) -> FoundShare | None:
    """Return the link of a token; None where there is none, it has expired, or the session changed hands."""
    query = (
        select(ShareLink, SessionRow, Result)
        .join(SessionRow, SessionRow.id == ShareLink.session_id)
        .join(Result, Result.id == ShareLink.result_id)
        .where(
            ShareLink.token_hash == token_hash,
            ShareLink.expires_at > func.now(),
            SessionRow.owner_id == ShareLink.owner_id,
            Result.session_id == ShareLink.session_id,
        )
    )
    found = tx.execute(query).one_or_none()
    return None if found is None else FoundShare(*found)


def list_links(tx: Session, *, session: UUID) -> Sequence[ShareLink]:
    """Return the links to a session's results that have not expired, the newest first."""
    query = (
        select(ShareLink)
        .where(ShareLink.session_id == session, ShareLink.expires_at > func.now())
        .order_by(ShareLink.created_at.desc(), ShareLink.id)
    )
    return tx.scalars(query).all()


def remove(tx: Session, *, id: UUID) -> None:
    """Delete a link, if it is there."""
    tx.execute(delete(ShareLink).where(ShareLink.id == id))


def _delete_expired(tx: Session) -> None:
    # Those that another transaction is deleting are skipped, so that two never wait for each other.
    expired = select(ShareLink.id).where(ShareLink.expires_at <= func.now()).with_for_update(skip_locked=True)
    tx.execute(delete(ShareLink).where(ShareLink.id.in_(expired)))
