"""Tokens of the API: functions that take a transaction and never end it.

Stored is the hash of a token, never the token. All times are of the database's clock. A token ends when it
expires, when it is removed, and with its user; a new password leaves it as it is.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, extract, func, or_, select, update
from sqlalchemy.orm import Session

from db.errors import AccountError
from db.models import ApiToken, User
from db.tokens import hash_token

PREFIX = "recorte_"
"""Begins every token, so that scanners for secrets find one that was published by mistake."""
MAX_DAYS = 3650
"""Most days after which a token expires."""

_TOKEN_BYTES = 32
_MAX_ID = 2**31 - 1
_USE_RESOLUTION = timedelta(minutes=1)
"""The last use is written at most so often: else every request of a program would be a change."""


class NewToken(NamedTuple):
    """Token that was just made, with its row; the token itself is stored nowhere."""

    token: str
    row: ApiToken


class ListedToken(NamedTuple):
    """Token with the name of its user."""

    row: ApiToken
    user: str
    expired: bool


class FoundToken(NamedTuple):
    """User of a token that has not expired."""

    user: User
    seconds_left: float | None
    """Time until it expires; None: it does not."""


def add(tx: Session, *, user_id: UUID, days: int | None = None) -> NewToken:
    """Add a token for a user, which expires after `days`; None: never."""
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    row = ApiToken(
        token_hash=hash_token(token),
        user_id=user_id,
        expires_at=None if days is None else func.now() + timedelta(days=days),
    )
    tx.add(row)
    tx.flush()
    tx.refresh(row)  # the time that the database has computed
    return NewToken(token, row)


def use(tx: Session, *, token_hash: str) -> FoundToken | None:
    """Return the user of a token and note its use; None where there is none or it has expired."""
    left = extract("epoch", ApiToken.expires_at - func.now())
    query = (
        select(User, left)
        .join(ApiToken, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == token_hash, _is_valid())
    )
    found = tx.execute(query).one_or_none()
    if found is None:
        return None
    unnoted = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < func.now() - _USE_RESOLUTION)
    tx.execute(
        update(ApiToken)
        .where(ApiToken.token_hash == token_hash, unnoted)
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )
    return FoundToken(found[0], None if found[1] is None else float(found[1]))


def list_tokens(tx: Session) -> list[ListedToken]:
    """Return all tokens, also expired ones, sorted by the names of their users."""
    query = (
        select(ApiToken, User.name, ~_is_valid())
        .join(User, User.id == ApiToken.user_id)
        .order_by(func.lower(User.name), ApiToken.id)
    )
    return [ListedToken(*found) for found in tx.execute(query)]


def remove(tx: Session, *, id: int) -> None:
    """Delete a token. Raises AccountError where there is none of that number."""
    query = delete(ApiToken).where(ApiToken.id == id).returning(ApiToken.id)
    if not 0 < id <= _MAX_ID or tx.execute(query).first() is None:
        raise AccountError("accounts.no_such_token", number=id)


def _is_valid() -> ColumnElement[bool]:
    return or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now())
