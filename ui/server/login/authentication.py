"""Authentication: find the visitor behind a request by the cookie of their login session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from starlette.requests import HTTPConnection

from db.errors import DatabaseAway
from ui.server.login.login_sessions import LoginSessions
from ui.server.lookups import K, Lookups, V
from ui.server.visitors import LOCAL, Visitor

COOKIE = "recorte"
SECURE_COOKIE = "__Host-recorte"
"""Name of the cookie over https; browsers accept it only from this host itself and only over TLS."""
_FRESH_SECONDS = 5.0
"""Time for which an account that was read is taken to be unchanged."""
_TIMEOUT_SECONDS, _SHORT_TIMEOUT_SECONDS = 5.0, 1.0
"""Seconds to wait for the database; the second one where an earlier answer is known."""
_LOOKUP_THREADS = 4


class Accounts(Protocol):
    """The accounts of users who may sign in. Each method raises DatabaseAway."""

    def check(self, name: str, password: str) -> Visitor | None:
        """Return the visitor of a name, in its normal form (`db.users.normalise_name`), and a password."""

    def get(self, id: UUID) -> Visitor | None: ...
    def any(self) -> bool: ...


class NoAccounts:
    """No accounts at all, for an application without a database."""

    def check(self, name: str, password: str) -> Visitor | None:
        return None

    def get(self, id: UUID) -> Visitor | None:
        return None

    def any(self) -> bool:
        return False


class CookieAuthenticator:
    """Finds visitors by their cookie; as long as there are no accounts, everybody is the local user."""

    def __init__(
        self,
        accounts: Accounts,
        login_sessions: LoginSessions,
        *,
        required: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`required`: a login is needed even without accounts. It stays needed once there was an account."""
        self.accounts = accounts
        self.login_sessions = login_sessions
        self._required = required
        self._any: Lookups[None, bool] = Lookups(
            lambda _: accounts.any(), fresh_seconds=_FRESH_SECONDS, name="accounts", clock=clock
        )
        self._accounts = Lookups(
            accounts.get, fresh_seconds=_FRESH_SECONDS, threads=_LOOKUP_THREADS, name="accounts", clock=clock
        )

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        """Return the visitor; None: they have to sign in first. Raises DatabaseAway."""
        if not await self.login_required():
            return LOCAL
        found = self.login_sessions.find(cookie_token(request))
        if found is not None:
            id, auth_hash = found
            visitor = await _get_or_last_known(self._accounts, id)
            if visitor is not None and visitor.auth_hash == auth_hash:
                return visitor
        return None

    async def login_required(self) -> bool:
        """Return True if visitors have to sign in. Raises DatabaseAway."""
        self._required = self._required or await _get_or_last_known(self._any, None)
        return self._required

    def clear_cache(self) -> None:
        """Forget what was read of the accounts, so that it is read again."""
        self._any.clear()
        self._accounts.clear()


async def _get_or_last_known(lookups: Lookups[K, V], key: K) -> V:
    """Return a lookup's answer, or its last one where the database does not answer in time.

    So visitors who were authenticated before can go on watching a run. Raises DatabaseAway.
    """
    known = lookups.last(key)
    try:
        return await lookups.get(key, _TIMEOUT_SECONDS if known is None else _SHORT_TIMEOUT_SECONDS)
    except DatabaseAway:
        if known is None:
            raise
        return known


def cookie_name(request: HTTPConnection) -> str:
    """Return the name of the cookie that fits the request's scheme.

    The other one is ignored: anybody who answers in a host's name without TLS can set a plain cookie.
    """
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def cookie_token(request: HTTPConnection) -> str:
    """Return the token in the request's cookie; empty without one."""
    return request.cookies.get(cookie_name(request), "")
