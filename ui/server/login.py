"""Signing in and out: who has done so, and the pages for it."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.requests import HTTPConnection

from db.errors import DatabaseAway
from db.users import LONGEST_NAME, normalise_name
from pipeline.files import read_json, write_json
from ui import text
from ui.server import html_pages
from ui.server.lookups import K, Lookups, V
from ui.server.throttle import LoginThrottle
from ui.server.visitors import LOCAL, Visitor

log = logging.getLogger(__name__)

COOKIE = "recorte"
SECURE_COOKIE = "__Host-recorte"
"""Behind https: with this name a browser takes it from this host alone, and only so."""
_LIFETIME_SECONDS = 30 * 24 * 3600
_FRESH_SECONDS = 5.0
"""How long an account is taken to be as it was last read."""
_TIMEOUT_SECONDS, _SHORT_TIMEOUT_SECONDS = 5.0, 1.0
"""Seconds to wait for the database to say who asks; the second where that is known from before."""
_LOOKUP_THREADS = 4
"""Threads that ask it."""
_CONCURRENT_CHECKS = 2
"""Each takes a core, and memory on purpose."""
# Where one may be led after signing in: nowhere else, and to no other host.
_REDIRECTS = re.compile(r"/(\?session=[0-9a-f-]{36})?|/admin")


class Accounts(Protocol):
    """Those who may sign in. Each raises DatabaseAway."""

    def check(self, name: str, password: str) -> Visitor | None:
        """`name` is in its normal form (`db.users.normalise_name`)."""

    def get(self, id: UUID) -> Visitor | None: ...
    def any(self) -> bool: ...


class NoAccounts:
    """There are none, and none can be made."""

    def check(self, name: str, password: str) -> Visitor | None:
        return None

    def get(self, id: UUID) -> Visitor | None:
        return None

    def any(self) -> bool:
        return False


# ---------------------------------------------------------------- who has signed in


@dataclass(frozen=True)
class _Login:
    user: str
    stamp: str
    until: float


class LoginSessions:
    """Who has signed in, by the hash of what their cookie holds; kept in a file over a restart."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Login] = {}
        if file is not None:
            # Damaged or of another version: everybody signs in again.
            with suppress(TypeError):
                kept = read_json(file)
                self._entries = {key: _Login(**entry) for key, entry in kept.items()}

    def add(self, visitor: Visitor) -> str:
        """The secret for the visitor's cookie."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}
            self._entries[_digest(token)] = _Login(
                str(visitor.id), visitor.auth_hash, now + _LIFETIME_SECONDS
            )
            self._save()
        return token

    def find(self, token: str) -> tuple[UUID, str] | None:
        """The account and its stamp at the time; None: not signed in, or too long ago."""
        entry = self._entries.get(_digest(token))
        if entry is None or entry.until <= self._clock():
            return None
        return UUID(entry.user), entry.stamp

    def remove(self, token: str) -> None:
        with self._lock:
            if self._entries.pop(_digest(token), None) is not None:
                self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        try:
            write_json(self._file, {key: asdict(entry) for key, entry in self._entries.items()})
        except OSError:
            # Nobody who signed out is in again after a restart: rather everybody signs in again then.
            log.exception("who is signed in cannot be kept")
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class CookieAuthenticator:
    """The visitor by their cookie; the local user as long as there are no accounts.

    `required`: to sign in is needed also while there are no accounts. Once there was one, it stays so.
    """

    def __init__(
        self,
        accounts: Accounts,
        login_sessions: LoginSessions,
        *,
        required: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
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
        if not await self.login_required():
            return LOCAL
        found = self.login_sessions.find(cookie_token(request))
        if found is not None:
            id, stamp = found
            visitor = await self._get(id)
            if visitor is not None and visitor.auth_hash == stamp:
                return visitor
        return None

    async def login_required(self) -> bool:
        self._required = self._required or await _get_or_last_known(self._any, None)
        return self._required

    async def _get(self, id: UUID) -> Visitor | None:
        return await _get_or_last_known(self._accounts, id)

    def clear_cache(self) -> None:
        """Look everything up again when it is asked next."""
        self._any.clear()
        self._accounts.clear()


async def _get_or_last_known(lookups: Lookups[K, V], key: K) -> V:
    """The answer, or the last there was where the database does not give one soon.

    Who was known a moment ago may go on watching a run that goes on, too. Raises DatabaseAway.
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

    The other one is not looked at: anybody who answers in a host's name without TLS can set a plain one.
    """
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE


def cookie_token(request: HTTPConnection) -> str:
    """Return the secret that the request's cookie holds; empty without one."""
    return request.cookies.get(cookie_name(request), "")


# ---------------------------------------------------------------- pages


def router(visitors: CookieAuthenticator, throttle: LoginThrottle | None = None) -> APIRouter:
    routes = APIRouter()
    throttle = throttle or LoginThrottle()
    limiter = CapacityLimiter(_CONCURRENT_CHECKS)

    @routes.get("/login")
    async def login(request: Request, next: str = "/") -> Response:
        if request.state.user is not None:
            return RedirectResponse(_safe_redirect(next), 303)
        return _page(request, next)

    @routes.post("/login")
    async def sign_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=3)
        typed, password = _string(form.get("name")), _string(form.get("password"))
        # Made once, for counting and for looking up: where they differ, every attempt has a count of its own.
        name = normalise_name(typed)
        next = _string(form.get("next"))
        address = request.client.host if request.client else ""
        wait = throttle.register_attempt(name, address)
        if wait > 0:
            return _page(request, next, 429, "wait", typed, seconds=int(wait) + 1)
        try:
            visitor = await to_thread.run_sync(visitors.accounts.check, name, password, limiter=limiter)
        except DatabaseAway:
            return _page(request, next, 503, "away", typed)
        if visitor is None:
            return _page(request, next, 401, "wrong", typed)
        throttle.forgive(name, address)
        # A fresh secret for each, and the one of before is nobody's any more.
        visitors.login_sessions.remove(cookie_token(request))
        response = RedirectResponse(_safe_redirect(next), 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            cookie_name(request),
            visitors.login_sessions.add(visitor),
            max_age=_LIFETIME_SECONDS,
            httponly=True,
            secure=cookie_name(request) == SECURE_COOKIE,
            samesite="strict",
        )
        return response

    @routes.post("/logout")
    async def sign_out(request: Request) -> Response:
        visitors.login_sessions.remove(cookie_token(request))
        # What the browser has kept of the pictures is the next one's to find otherwise.
        response = RedirectResponse(
            "/login", 303, headers={"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'}
        )
        for name in (COOKIE, SECURE_COOKIE):
            response.delete_cookie(name, secure=name == SECURE_COOKIE, httponly=True, samesite="strict")
        return response

    return routes


def _page(
    request: Request, next: str, status: int = 200, why: str = "", name: str = "", **fields: object
) -> Response:
    language = text.negotiate_language(request.headers.get("accept-language"))

    def say(key: str, **fields: object) -> str:
        return html_pages.escape(text.translate_access(language, key, **fields))

    failure = f'<p class="failure" role="alert">{say(why, **fields)}</p>' if why else ""
    return html_pages.render_page(
        language,
        text.translate_access(language, "sign_in"),
        f"""<main class="narrow"><h1>Recorte</h1>
<form method="post" action="/login">
<input type="hidden" name="next" value="{html_pages.escape(_safe_redirect(next))}">
<label for="name">{say("name")}</label>
<input id="name" name="name" value="{html_pages.escape(name[:LONGEST_NAME])}" autocomplete="username"
 autocapitalize="none" spellcheck="false" required{"" if name else " autofocus"}>
<label for="password">{say("password")}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
 {"autofocus" if name else ""}>
{failure}<button>{say("sign_in")}</button>
</form></main>""",
        status,
        {"Retry-After": str(fields["seconds"])} if "seconds" in fields else {},
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _safe_redirect(wanted: str) -> str:
    return wanted if _REDIRECTS.fullmatch(wanted) else "/"
