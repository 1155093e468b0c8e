"""Access middleware: decides which requests reach the application, and adds headers to every response.

    app = AccessMiddleware(app, authenticator=..., hosts={"recorte.example.org"})

A plain ASGI layer, so that streamed responses stay streamed. A request is let through when
1. its Host is one of this server's names, which keeps out DNS rebinding (`hosts`);
2. it does not come from a page of another origin, unless somebody follows a link to the page itself;
3. its visitor is authenticated, or the address is public, as that of a shared result is; without accounts
   only this machine is served;
4. its address is one that the page needs (`gradio_requests`), or one of the API (`api_requests`);
5. what it sends to Gradio's events names the visitor's own event streams and uploads only.

Handlers find the visitor as `request.state.user`, and as `request.state.local` whether the request is local.
Every response has a request id. At the API a refusal is a problem (`ui.server.api.problems`), and each
request is a line in the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from db.errors import DatabaseAway
from ui import text
from ui.addresses import API_DOCUMENTATION, is_api_address, is_shared_address
from ui.server.api.problems import problem
from ui.server.middleware import api_requests
from ui.server.middleware.bodies import MAX_HELD_BYTES, Bodies, enforce_min_rate, read_body, replay_body
from ui.server.middleware.gradio_requests import UPLOAD, GradioRequests, is_allowed
from ui.server.middleware.headers import STATIC_PAGE_POLICY, strip_forwarded, with_security_headers
from ui.server.middleware.hosts import is_local, is_own_host
from ui.server.middleware.refusal import Refused, refusal
from ui.server.middleware.request_ids import request_id, with_request_id
from ui.server.visitors import Authenticator, Visitor
from ui.visitor import language_of

log = logging.getLogger(__name__)

_PUBLIC = {"/login", "/plain.css", "/healthz", "/metrics", "/favicon.ico", "/manifest.json"}
"""Addresses that need no login. Browsers request the manifest without cookies."""
_ANONYMOUS = {"/plain.css", "/healthz", "/favicon.ico", "/manifest.json"}
"""Public addresses whose response is the same for everybody, so that no visitor is looked up."""

_MAX_EVENT_BYTES = 4 * 2**20
"""Longest body of the page's requests other than uploads; usual ones have a few kB."""
_MAX_FORM_BYTES = 16 * 2**10
"""Longest body of the forms of pages without a script; the longest name and password fit in."""


class AccessMiddleware:
    """ASGI middleware that checks every request before the application gets it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        hosts: Iterable[str] = (),
        open: bool = False,
        uploads: Callable[[Visitor], Path] | None = None,
        on_response: Callable[[int], None] = lambda status: None,
        max_requests: int = 1000,
    ) -> None:
        """`hosts`: names of this server beside the loopback ones, without ports.

        `open`: without accounts, serve other machines too.
        `uploads` returns the folder of a visitor's uploads; `on_response` gets the status of each response.
        `max_requests`: how many are served at once, beside those for the server's health.
        """
        self._app = app
        self._authenticator = authenticator
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._open = open
        self._on_response = on_response
        self._max_requests = max_requests
        self._active = 0
        self._gradio = GradioRequests(uploads)
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # the application has none
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        on_response = self._on_response
        if is_api_address(scope["path"]):
            on_response = _log_response(scope, on_response)
        send = with_security_headers(scope, send, on_response)
        receive = enforce_min_rate(receive)
        self._active += 1
        try:
            with request_id(scope) as id, ExitStack() as body_stack:
                send = with_request_id(send, id)
                try:
                    receive = await self._check_request(scope, receive, body_stack)
                except Refused as refused:
                    await _refused_response(scope, refused)(scope, receive, send)
                    return
                scope["headers"] = strip_forwarded(scope["headers"])
                await self._app(scope, receive, send)
        finally:
            self._active -= 1

    async def _check_request(self, scope: Scope, receive: Receive, body_stack: ExitStack) -> Receive:
        """Check a request and return the `receive` that the application is given. Raises Refused.

        `body_stack` keeps the body counted; it is closed when the response has been sent.
        """
        request = Request(scope)
        language = language_of(request)
        if self._active > self._max_requests and scope["path"] != "/healthz":
            raise refusal(503, text.translate_access(language, "busy"))
        if not is_own_host(scope, request.headers, self._hosts):
            raise refusal(400, text.translate_access(language, "host"))
        _check_origin(scope, request.headers, language)
        visitor = await self._authenticate(request, language)
        scope.setdefault("state", {}).update(user=visitor, local=is_local(request))
        path, method = scope["path"], scope["method"]
        if is_api_address(path):
            return await self._check_api_request(scope, receive, body_stack, language)
        if not is_allowed(method, path):
            raise refusal(404, text.translate_access(language, "nothing"))
        if visitor is not None:
            self._gradio.check_query(scope["query_string"], visitor, language)
        if method != "POST" or path == UPLOAD:
            return receive
        is_event = visitor is not None and path.startswith("/gradio_api/")
        counted = body_stack.enter_context(self._bodies.hold(visitor.id if visitor else None))
        max_bytes = _MAX_EVENT_BYTES if is_event else _MAX_FORM_BYTES
        body = await read_body(receive, max_bytes, counted, language)
        if visitor is not None and is_event:
            self._gradio.check_event(body, visitor, language)
        return replay_body(body, receive)

    async def _check_api_request(
        self, scope: Scope, receive: Receive, body_stack: ExitStack, language: str
    ) -> Receive:
        """Return the `receive` of a request of the API, whose body is bounded. Raises Refused."""
        path, method = scope["path"], scope["method"]
        if not api_requests.is_allowed(method, path):
            raise refusal(404, text.translate_access(language, "nothing"))
        if method in ("GET", "HEAD") or api_requests.is_streamed(method, path, Headers(scope=scope)):
            return receive
        visitor: Visitor = scope["state"]["user"]
        counted = body_stack.enter_context(self._bodies.hold(visitor.id))
        max_bytes = MAX_HELD_BYTES if api_requests.may_hold_picture(method, path) else _MAX_EVENT_BYTES
        return replay_body(await read_body(receive, max_bytes, counted, language), receive)

    async def _authenticate(self, request: Request, language: str) -> Visitor | None:
        """Return the visitor; None for a public address. Raises Refused for visitors who have to sign in."""
        if request.url.path in _ANONYMOUS or is_shared_address(request.scope["path"]):
            return None
        public = request.url.path in _PUBLIC
        try:
            visitor = await self._authenticator.authenticate(request)
        except DatabaseAway as error:
            if public:
                return None
            raise refusal(503, error.message.render(language)) from error
        if visitor is not None and visitor.id is None and not self._open and not is_local(request):
            if public:
                return None
            raise refusal(403, text.translate_access(language, "not_local"))
        if visitor is not None or public:
            return visitor
        if is_api_address(request.scope["path"]) and request.scope["path"] != API_DOCUMENTATION:
            key = "token" if "authorization" in request.headers else "no_token"
            raise refusal(401, text.translate_access(language, key))
        if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
            raise refusal(401, text.translate_access(language, "sign_in_first"))
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A link on another site is followed without the SameSite=Strict cookie; reloaded from this page,
            # the same address is requested with it.
            reload = HTMLResponse(
                '<!doctype html><meta http-equiv="refresh" content="0"><title>Recorte</title>',
                headers={"Content-Security-Policy": STATIC_PAGE_POLICY, "Cache-Control": "no-store"},
            )
            raise Refused(reload)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise Refused(
            RedirectResponse(
                f"/login?next={quote(target, safe='')}", 303, headers={"Cache-Control": "no-store"}
            )
        )


def _refused_response(scope: Scope, refused: Refused) -> Response:
    """Return the response of a refusal, as the address asked for answers errors."""
    if not refused.sentence or not is_api_address(scope["path"]):
        return refused.response
    return problem(Request(scope), refused.response.status_code, refused.sentence)


def _log_response(scope: Scope, on_response: Callable[[int], None]) -> Callable[[int], None]:
    """Wrap `on_response` so that the response is a line in the log, too."""
    started = time.monotonic()

    def log_and_count(status: int) -> None:
        user = scope["state"].get("user")
        log.info(
            "answered a request of the API",
            extra={
                "status": status,
                "seconds": round(time.monotonic() - started, 3),
                "user": None if user is None else user.id,
            },
        )
        on_response(status)

    return log_and_count


def _check_origin(scope: Scope, headers: Headers, language: str) -> None:
    """Raise Refused for a request that a page of another origin has sent.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; other clients carry nobody's cookies.
    """
    site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
    if origin is not None:
        scheme, _, host = origin.lower().partition("://")
        if host != headers["host"].lower():
            raise refusal(403, text.translate_access(language, "elsewhere"))
        if scheme != scope["scheme"]:
            raise refusal(403, text.translate_access(language, "scheme"))
    if site not in ("same-origin", "none"):
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if scope["method"] not in ("GET", "HEAD") or not link:
            raise refusal(403, text.translate_access(language, "elsewhere"))
