"""Login sessions of users: functions that take a transaction and never end it.

Stored is the hash of a cookie's token, never the token. All times are of the database's clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, extract, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.errors import AccountError
from db.models import LoginSession, User


class FoundLogin(NamedTuple):
    """Login session with its user."""

    user: User
    auth_hash: str
    seconds_left: float
    """Time until it expires."""


def add(tx: Session, *, token_hash: str, user_id: UUID, auth_hash: str, seconds: float) -> LoginSession:
    """Start a login session that expires after `seconds`; expired ones of all users are deleted.

    Raises AccountError where the user has been removed.
    """
    if not _lock_user(tx, user_id):
        raise AccountError("accounts.no_longer")
    _delete_expired(tx)
    row = LoginSession(
        token_hash=token_hash,
        user_id=user_id,
        auth_hash=auth_hash,
        expires_at=func.now() + timedelta(seconds=seconds),
    )
    tx.add(row)
    tx.flush()
    return row


def restore(
    tx: Session, *, token_hash: str, user_id: UUID, auth_hash: str, age: float, seconds_left: float
) -> bool:
    """Add a login session that was started `age` seconds ago, unless it is there; False without its user."""
    if not _lock_user(tx, user_id):
        return False
    tx.execute(
        insert(LoginSession)
        .values(
            token_hash=token_hash,
            user_id=user_id,
            auth_hash=auth_hash,
            created_at=func.now() - timedelta(seconds=age),
            expires_at=func.now() + timedelta(seconds=seconds_left),
        )
        .on_conflict_do_nothing()
    )
    return True


def find(tx: Session, *, token_hash: str) -> FoundLogin | None:
    """Return the login session of a token; None where there is none or it has expired."""
    left = extract("epoch", LoginSession.expires_at - func.now())
    query = (
        select(User, LoginSession.auth_hash, left)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.token_hash == token_hash, LoginSession.expires_at > func.now())
    )
    found = tx.execute(query).one_or_none()
    return None if found is None else FoundLogin(found[0], found[1], float(found[2]))


def remove(tx: Session, *, token_hash: str) -> None:
    """Delete the login session of a token, if there is one."""
    tx.execute(delete(LoginSession).where(LoginSession.token_hash == token_hash))


def remove_all(tx: Session, *, user_id: UUID) -> None:
    """Delete all login sessions of a user."""
    tx.execute(delete(LoginSession).where(LoginSession.user_id == user_id))


def _lock_user(tx: Session, id: UUID) -> bool:
    """Lock a user against removal; returns False where they are gone, also if that was under way."""
    query = select(User.id).where(User.id == id).with_for_update(read=True, key_share=True)
    return tx.scalars(query).one_or_none() is not None


def _delete_expired(tx: Session) -> None:
    # Those that another transaction is deleting are skipped, so that two never wait for each other.
    expired = (
        select(LoginSession.token_hash)
        .where(LoginSession.expires_at <= func.now())
        .with_for_update(skip_locked=True)
    )
    tx.execute(delete(LoginSession).where(LoginSession.token_hash.in_(expired)))
