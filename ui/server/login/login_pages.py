"""Login pages: routes that sign a visitor in and out, without a script."""

from __future__ import annotations

import re
from functools import partial

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from db.errors import DatabaseAway
from db.users import LONGEST_NAME, normalise_name
from ui import text
from ui.server import html_pages
from ui.server.login.authentication import (
    COOKIE,
    SECURE_COOKIE,
    CookieAuthenticator,
    cookie_name,
    cookie_token,
)
from ui.server.login.login_sessions import LIFETIME_SECONDS
from ui.server.login.throttle import LoginThrottle
from ui.visitor import language_of

_CONCURRENT_CHECKS = 2
"""Password checks at once: argon2 takes a core and much memory for each, on purpose."""
_CONCURRENT_SIGN_OUTS = 2

_REDIRECTS = re.compile(r"/(\?session=[0-9a-f-]{36})?|/admin|/api/v1/docs")
"""Addresses to which a login may redirect: none of them is on another host."""


def router(authenticator: CookieAuthenticator, throttle: LoginThrottle | None = None) -> APIRouter:
    """Build the routes of the login form, of signing in and of signing out."""
    routes = APIRouter()
    throttle = throttle or LoginThrottle()
    checks = CapacityLimiter(_CONCURRENT_CHECKS)
    sign_outs = CapacityLimiter(_CONCURRENT_SIGN_OUTS)

    @routes.get("/login")
    async def login(request: Request, next: str = "/") -> Response:
        if request.state.user is not None:
            return RedirectResponse(_safe_redirect(next), 303)
        return _render_form(request, next)

    @routes.post("/login")
    async def sign_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=3)
        typed, password = _string(form.get("name")), _string(form.get("password"))
        # The throttle and the lookup get the same form of a name; else each spelling had its own attempts.
        name = normalise_name(typed)
        next = _string(form.get("next"))
        address = request.client.host if request.client else ""
        wait = throttle.register_attempt(name, address)
        if wait > 0:
            return _render_form(request, next, 429, "wait", typed, seconds=int(wait) + 1)
        check = partial(authenticator.sign_in, name, password, old_token=cookie_token(request))
        try:
            token = await to_thread.run_sync(check, limiter=checks)
        except DatabaseAway:
            return _render_form(request, next, 503, "away", typed)
        if token is None:
            return _render_form(request, next, 401, "wrong", typed)
        throttle.forgive(name, address)
        response = RedirectResponse(_safe_redirect(next), 303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            cookie_name(request),
            token,
            max_age=LIFETIME_SECONDS,
            httponly=True,
            secure=cookie_name(request) == SECURE_COOKIE,
            samesite="strict",
        )
        return response

    @routes.post("/logout")
    async def sign_out(request: Request) -> Response:
        response: Response = RedirectResponse("/login", 303, headers={"Cache-Control": "no-store"})
        try:
            await to_thread.run_sync(authenticator.sign_out, cookie_token(request), limiter=sign_outs)
        except DatabaseAway:
            response = _render_form(request, "/", 503, "out_away")
        # The browser's cache is cleared so that its next user cannot find the pictures in it.
        response.headers["Clear-Site-Data"] = '"cache"'
        for name in (COOKIE, SECURE_COOKIE):
            response.delete_cookie(name, secure=name == SECURE_COOKIE, httponly=True, samesite="strict")
        return response

    return routes


def _render_form(
    request: Request, next: str, status: int = 200, failure_key: str = "", name: str = "", **fields: object
) -> Response:
    language = language_of(request)

    def say(key: str, **fields: object) -> str:
        return html_pages.escape(text.translate_access(language, key, **fields))

    failure = f'<p class="failure" role="alert">{say(failure_key, **fields)}</p>' if failure_key else ""
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


def _safe_redirect(address: str) -> str:
    return address if _REDIRECTS.fullmatch(address) else "/"
