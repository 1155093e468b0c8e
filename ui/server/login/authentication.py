"""Authentication: find the visitor behind a request by the cookie of their login session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from starlette.requests import HTTPConnection

from db.errors import AccountError, DatabaseAway
from db.tokens import hash_token
from ui.server.login.login_sessions import LoginSessions
from ui.server.lookups import K, Lookups, V
from ui.server.visitors import LOCAL, Visitor

COOKIE = "recorte"
SECURE_COOKIE = "__Host-recorte"
"""Name of the cookie over https; browsers accept it only from this host itself and only over TLS."""
FRESH_SECONDS = 5.0
"""Time for which a login session that was read is taken to be unchanged, with its user."""
_TIMEOUT_SECONDS, _SHORT_TIMEOUT_SECONDS = 5.0, 1.0
"""Seconds to wait for the database; the second one where an earlier answer is known."""
LOOKUP_THREADS = 4


class Accounts(Protocol):
    """The accounts of users who may sign in. Each method raises DatabaseAway."""

    def check(self, name: str, password: str) -> Visitor | None:
        """Return the visitor of a name, in its normal form (`db.users.normalise_name`), and a password."""

    def any(self) -> bool: ...


class NoAccounts:
    """No accounts at all, for an application without a database."""

    def check(self, name: str, password: str) -> Visitor | None:
        return None

    def any(self) -> bool:
        return False


class KnownLogin(NamedTuple):
    """Visitor who was found by a token, as it is cached."""

    visitor: Visitor
    expires_at: float
    """By the authenticator's clock."""


class CookieAuthenticator:
    """Finds visitors by their cookie; as long as there are no accounts, everybody is the local user.

    A login session that was found is read again after some seconds: until then it outlives the removal of its
    user and a change of the password. One that is ended here ends at once.
    """

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
        self._clock = clock
        self._required = required
        self._any: Lookups[None, bool] = Lookups(
            lambda _: accounts.any(), fresh_seconds=FRESH_SECONDS, name="accounts", clock=clock
        )
        self._logins: Lookups[str, KnownLogin | None] = Lookups(
            self._find, fresh_seconds=FRESH_SECONDS, threads=LOOKUP_THREADS, name="logins", clock=clock
        )
        self._ended: set[str] = set()
        """Hashes of the tokens of login sessions that were ended while the database was away."""

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        """Return the visitor; None: they have to sign in first. Raises DatabaseAway."""
        if not await self.login_required():
            return LOCAL
        token = cookie_token(request)
        key = hash_token(token)
        if not token or key in self._ended:
            return None
        login = await get_or_last_known(self._logins, key)
        return None if login is None or login.expires_at <= self._clock() else login.visitor

    def sign_in(self, name: str, password: str, *, old_token: str) -> str | None:
        """Start a login session and return its token; None for a wrong name or password. Raises DatabaseAway.

        The login session of `old_token`, which the browser had before, ends with that.
        """
        visitor = self.accounts.check(name, password)
        if visitor is None:
            return None
        old = hash_token(old_token)
        try:
            token = self.login_sessions.add(visitor, replaces=old)
        except AccountError:  # removed since the check
            return None
        self._logins.forget(old)
        return token

    def sign_out(self, token: str) -> None:
        """End the login session of a token.

        Raises DatabaseAway: it has ended for this server, which deletes it as soon as the database is asked
        again.
        """
        key = hash_token(token)
        try:
            self.login_sessions.remove(key)
        except DatabaseAway:
            self._ended.add(key)
            raise
        finally:
            self._logins.forget(key)

    def _find(self, token_hash: str) -> KnownLogin | None:
        for ended in tuple(self._ended):
            self.login_sessions.remove(ended)
            self._ended.discard(ended)
        login = self.login_sessions.find(token_hash)
        return None if login is None else KnownLogin(login.visitor, self._clock() + login.seconds_left)

    async def login_required(self) -> bool:
        """Return True if visitors have to sign in. Raises DatabaseAway."""
        self._required = self._required or await get_or_last_known(self._any, None)
        return self._required

    def clear_cache(self) -> None:
        """Forget what was read of accounts and login sessions, so that it is read again."""
        self._any.clear()
        self._logins.clear()


async def get_or_last_known(lookups: Lookups[K, V], key: K) -> V:
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
