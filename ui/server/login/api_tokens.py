"""Tokens of the API: find the visitor behind a request of a program by its `Authorization: Bearer TOKEN`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from starlette.requests import HTTPConnection

from db import api_tokens
from db.engine import Database
from db.tokens import hash_token
from ui.addresses import is_api_address
from ui.server.login.accounts import visitor_of
from ui.server.login.authentication import (
    FRESH_SECONDS,
    LOOKUP_THREADS,
    CookieAuthenticator,
    KnownLogin,
    get_or_last_known,
)
from ui.server.login.login_sessions import Login
from ui.server.lookups import Lookups
from ui.server.visitors import LOCAL, Visitor


class ApiTokens(Protocol):
    """Store of the API's tokens."""

    def use(self, token_hash: str) -> Login | None:
        """Return the visitor of a token and note its use; None without one. Raises DatabaseAway."""


class DatabaseApiTokens:
    """Tokens in the database; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, token_hash: str) -> Login | None:
        with self._database.begin() as tx:
            found = api_tokens.use(tx, token_hash=token_hash)
        if found is None:
            return None
        return Login(visitor_of(found.user), math.inf if found.seconds_left is None else found.seconds_left)


class NoApiTokens:
    """No tokens at all, for an application without a database."""

    def use(self, token_hash: str) -> Login | None:
        return None


class TokenAuthenticator:
    """Finds visitors by a token at the API, and by their cookie where no token is sent.

    A token that was found is read again after some seconds: until then it outlives its removal. Outside the
    API a token is nothing, and without accounts it is not looked at.
    """

    def __init__(
        self, cookies: CookieAuthenticator, tokens: ApiTokens, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cookies = cookies
        self._tokens = tokens
        self._clock = clock
        self._found: Lookups[str, KnownLogin | None] = Lookups(
            self._find, fresh_seconds=FRESH_SECONDS, threads=LOOKUP_THREADS, name="tokens", clock=clock
        )

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        """Return the visitor; None: neither token nor cookie is valid. Raises DatabaseAway.

        The cookie beside a token is ignored, so that a program whose token has ended notices.
        """
        token = bearer_token(request) if is_api_address(request.scope["path"]) else None
        if token is None:
            return await self._cookies.authenticate(request)
        if not await self._cookies.login_required():
            return LOCAL
        known = await get_or_last_known(self._found, hash_token(token))
        return None if known is None or known.expires_at <= self._clock() else known.visitor

    def clear_cache(self) -> None:
        """Forget the tokens that were read, so that they are read again."""
        self._found.clear()

    def _find(self, token_hash: str) -> KnownLogin | None:
        login = self._tokens.use(token_hash)
        return None if login is None else KnownLogin(login.visitor, self._clock() + login.seconds_left)


def bearer_token(request: HTTPConnection) -> str | None:
    """Return the token in the request's Authorization header; None without one of this scheme."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
