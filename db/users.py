"""User accounts: functions that take a transaction and never end it.

Names are compared by `normalise_name`; passwords are stored as argon2 hashes only.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import NamedTuple
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import login_sessions
from db.errors import AccountError
from db.models import Acknowledgement, SessionRow, User

LONGEST_NAME = 64
SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 1024  # hashing takes time in proportion

_hasher = PasswordHasher()


class UserSummary(NamedTuple):
    user: User
    sessions: int


def normalise_name(name: str) -> str:
    """Return the form in which names are compared: NFC, stripped, casefolded, cut to the longest name.

    Use it for every name that a client sends: a throttle that counts by another form could be bypassed by
    other spellings.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
    return folded[:LONGEST_NAME].strip()


def add(tx: Session, *, name: str, password: str, admin: bool = False) -> User:
    """Create a user. Raises AccountError for an invalid or taken name or a password of invalid length."""
    name = _plain(name)
    if len(name) > LONGEST_NAME or not _is_visible(name):
        raise AccountError("accounts.name_length", most=LONGEST_NAME)
    _check_password(password)
    if _find(tx, name) is not None:
        raise AccountError("accounts.name_taken", name=name)
    user = User(name=name, password=_hash(password), admin=admin)
    try:
        with tx.begin_nested():  # a conflict does not roll back the rest of the transaction
            tx.add(user)
    except IntegrityError as error:
        raise AccountError("accounts.name_taken", name=name) from error  # added concurrently
    return user


def authenticate(tx: Session, *, name: str, password: str) -> User | None:
    """Return the user of this name and password; an unknown name takes as long as a wrong password.

    A hash with outdated parameters is replaced.
    """
    dummy = _dummy_hash()  # computed in any case, so that both cases take the same time
    user = _find(tx, name)
    stored = dummy if user is None else user.password
    try:
        # Longer passwords than any account has are not hashed in full.
        _hasher.verify(stored, password[: _LONGEST_PASSWORD + 1].encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return None
    if user is None or len(password) > _LONGEST_PASSWORD:
        return None
    if _hasher.check_needs_rehash(user.password):
        user.password = _hash(password)
        tx.flush()
    return user


def get(tx: Session, *, id: UUID | str) -> User | None:
    try:
        return tx.get(User, UUID(str(id)))
    except ValueError:
        return None


def count(tx: Session) -> int:
    return tx.scalars(select(func.count()).select_from(User)).one()


def list_users(tx: Session) -> list[UserSummary]:
    """Return all users with the number of their sessions, sorted by name."""
    sessions = select(func.count()).where(SessionRow.owner_id == User.id).correlate(User).scalar_subquery()
    query = select(User, sessions).order_by(func.lower(User.name))
    return [UserSummary(user, number) for user, number in tx.execute(query)]


def change_password(tx: Session, *, name: str, password: str) -> User:
    """Replace a password and end the user's login sessions.

    Raises AccountError for an unknown name or a password of invalid length.
    """
    user = _find(tx, name)
    if user is None:
        raise AccountError("accounts.no_such_user", name=_plain(name))
    _check_password(password)
    user.password = _hash(password)
    login_sessions.remove_all(tx, user_id=user.id)
    tx.flush()
    return user


def lock(tx: Session, *, name: str) -> User:
    """Lock a user, so that no session is added meanwhile. Raises AccountError for an unknown name."""
    user = _find(tx, name)
    if user is None:
        raise AccountError("accounts.no_such_user", name=_plain(name))
    tx.refresh(user, with_for_update=True)
    return user


def remove(tx: Session, *, name: str) -> User:
    """Delete a user and their sessions; the caller deletes the files.

    Raises AccountError for an unknown name.
    """
    user = lock(tx, name=name)
    tx.delete(user)
    tx.flush()
    return user


def acknowledge(tx: Session, *, id: UUID, model: str, licence_url: str) -> None:
    """Save that a user has acknowledged a model's licence, in place of an earlier one."""
    tx.merge(Acknowledgement(user_id=id, model=model, licence_url=licence_url))
    tx.flush()


def has_acknowledged(tx: Session, *, id: UUID, model: str, licence_url: str) -> bool:
    """Return True if a user has acknowledged just this licence."""
    row = tx.get(Acknowledgement, (id, model))
    return row is not None and row.licence_url == licence_url


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError("accounts.short_password", least=SHORTEST_PASSWORD)
    if len(password) > _LONGEST_PASSWORD:
        raise AccountError("accounts.long_password", most=_LONGEST_PASSWORD)


def _find(tx: Session, name: str) -> User | None:
    """Find a user by the normal form of their name.

    Compared in Python, for PostgreSQL folds case differently. The exact spelling is preferred: two older
    accounts may have the same normal form.
    """
    wanted = normalise_name(name)
    matches = [row for row in tx.execute(select(User.id, User.name)) if normalise_name(row.name) == wanted]
    matches.sort(key=lambda row: row.name != _plain(name))
    return tx.get(User, matches[0].id) if matches else None


def _is_visible(name: str) -> bool:
    return bool(name) and not any(unicodedata.category(sign).startswith("C") for sign in name)


def _plain(name: str) -> str:
    """Return the name as it is stored: NFC, stripped."""
    return unicodedata.normalize("NFC", name.strip())


def _hash(password: str) -> str:
    return _hasher.hash(password.encode("utf-8", "surrogatepass"))


@cache
def _dummy_hash() -> str:
    """Return a hash to verify against for unknown names, so that they take as long as known ones."""
    return _hash("nobody's")
