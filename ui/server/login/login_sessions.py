"""Login sessions: who has signed in, by the hash of their cookie's token."""

from __future__ import annotations

import secrets
from typing import NamedTuple, Protocol

from db import login_sessions
from db.engine import Database
from db.errors import AccountError
from db.tokens import hash_token
from ui.server.login.accounts import visitor_of
from ui.server.visitors import Visitor

LIFETIME_SECONDS = 30 * 24 * 3600


class Login(NamedTuple):
    """A login session that has not expired."""

    visitor: Visitor
    seconds_left: float
    """Time until it expires."""


class LoginSessions(Protocol):
    """Store of login sessions. Each method raises DatabaseAway."""

    def add(self, visitor: Visitor, *, replaces: str = "") -> str:
        """Start a login session and return the token for the visitor's cookie.

        `replaces`: hash of a token whose login session ends with that. Raises AccountError where the user has
        been removed.
        """

    def find(self, token_hash: str) -> Login | None:
        """Return the login session of a token; None if there is none, or the password was changed since."""

    def remove(self, token_hash: str) -> None:
        """End the login session of a token, if there is one."""


class DatabaseLoginSessions:
    """Login sessions in the database; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, visitor: Visitor, *, replaces: str = "") -> str:
        if visitor.id is None:
            raise AccountError("accounts.local")
        token = secrets.token_urlsafe(32)
        with self._database.begin() as tx:
            login_sessions.remove(tx, token_hash=replaces)
            login_sessions.add(
                tx,
                token_hash=hash_token(token),
                user_id=visitor.id,
                auth_hash=visitor.auth_hash,
                seconds=LIFETIME_SECONDS,
            )
        return token

    def find(self, token_hash: str) -> Login | None:
        with self._database.begin() as tx:
            found = login_sessions.find(tx, token_hash=token_hash)
        if found is None:
            return None
        visitor = visitor_of(found.user)
        return Login(visitor, found.seconds_left) if visitor.auth_hash == found.auth_hash else None

    def remove(self, token_hash: str) -> None:
        with self._database.begin() as tx:
            login_sessions.remove(tx, token_hash=token_hash)


class NoLoginSessions:
    """No login sessions at all, for an application without a database."""

    def add(self, visitor: Visitor, *, replaces: str = "") -> str:
        raise AccountError("accounts.none")

    def find(self, token_hash: str) -> Login | None:
        return None

    def remove(self, token_hash: str) -> None:
        pass
