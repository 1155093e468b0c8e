"""The door before everything that the server answers: which host, from which page, who, and which address.

    app = AccessMiddleware(app, authenticator=..., hosts={"recorte.example.org"})

A plain ASGI layer, so that what streams goes on streaming. A request is let through when
1. its Host is one of this server's names: a page elsewhere that points a name of its own at this machine has
   no business here (DNS rebinding);
2. it does not come from a page of another origin, unless somebody follows a link to the page itself;
3. who asks is known, or what is asked for is open to all (`_OPEN`); without accounts this machine alone asks;
4. its address is one that the page needs (`_ROUTES`): Gradio answers many more, which read, list and fetch;
5. what it sends to Gradio's events names nobody else's event stream, and no file but the visitor's uploads.

Handlers find the visitor as `request.state.user`, and as `request.state.local` whether this machine asks.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import DatabaseAway
from ui import text
from ui.server.claims import NAME, Claims
from ui.server.middleware.bodies import Bodies, Body, TooMuchHeld, enforce_min_rate


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    id: UUID | None
    """None: the one user of a server without accounts."""
    name: str
    admin: bool = False
    auth_hash: str = field(default="", repr=False)
    """Changes with the password, so that whoever signed in with an older one is out."""


LOCAL = Visitor(None, "", admin=True)

UPLOAD = "/gradio_api/upload"

# What the page asks for, by method; a HEAD may ask what a GET may. All else is not there.
_NAME = r"[\w@-][\w@.-]*"
_ALLOWED_ROUTES = {
    "GET": re.compile(
        rf"/|/(assets|static)/({_NAME}/)*{_NAME}|/theme\.css|/favicon\.ico|/manifest\.json|/plain\.css"
        r"|/gradio_api/queue/data|/gradio_api/upload_progress"
        rf"|/media/({_NAME}/)*{_NAME}|/login|/healthz|/metrics|/admin"
    ),
    "POST": re.compile(
        rf"/gradio_api/queue/join|/gradio_api/run/predict|{UPLOAD}|/login|/logout|/admin/cancel/[0-9a-f-]+"
    ),
}
_ALLOWED_ROUTES["HEAD"] = _ALLOWED_ROUTES["GET"]

# Open to all. A browser asks for the manifest without its cookies.
_PUBLIC = {"/login", "/plain.css", "/healthz", "/metrics", "/favicon.ico", "/manifest.json"}
# Of these, answered alike to whoever asks: nobody has to be looked up.
_ANONYMOUS = {"/plain.css", "/healthz", "/favicon.ico", "/manifest.json"}

# Gradio's page has scripts in its HTML and makes functions from words, so those two cannot be forbidden; but
# nothing is loaded from, sent to or framed by another origin.
_PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
STATIC_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of the pages that have no script."""

_SECURITY_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
}
_HSTS = "max-age=31536000"

_MAX_EVENT_BYTES = 4 * 2**20
"""Bytes of what the page sends that is no upload: a few kB."""
_MAX_FORM_BYTES = 16 * 2**10
"""Bytes of what a page without a script sends: the longest name and password that may be."""
_MAX_QUERY_FIELDS = 50
"""Of an address."""

_FORWARDED_HEADERS = (b"x-forwarded-", b"forwarded", b"x-gradio-server")
"""Beginnings of headers from which Gradio's page would take its server's name, whoever sent them. What a
trusted proxy says in them uvicorn has put into the scope already."""


class Authenticator(Protocol):
    """Who is asking."""

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        """None: has to sign in first. Raises DatabaseAway."""


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        self.response = response


class AccessMiddleware:
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
        """`hosts`: names of this server beside those of this machine for itself, without ports.

        `open`: without accounts others than this machine may ask as well.
        `uploads` tells where what a visitor uploaded lies; `answered` hears the status of every answer.
        `most`: requests that are worked on at once, beside those for the server's health.
        """
        self._app = app
        self._authenticator = authenticator
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._open = open
        self._uploads_folder = uploads
        self._on_response = on_response
        self._max_requests = max_requests
        self._active = 0
        self._claims = Claims()
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none here
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send, receive = self._with_headers(scope, send), enforce_min_rate(receive)
        self._active += 1
        try:
            with ExitStack() as held:
                try:
                    receive = await self._check_request(scope, receive, held)
                except _Refused as refused:
                    await refused.response(scope, receive, send)
                    return
                scope["headers"] = [
                    header for header in scope["headers"] if not header[0].startswith(_FORWARDED_HEADERS)
                ]
                await self._app(scope, receive, send)
        finally:
            self._active -= 1

    # ------------------------------------------------------------------ on the way in

    async def _check_request(self, scope: Scope, receive: Receive, held: ExitStack) -> Receive:
        """`held` is closed when the request has been answered."""
        request = Request(scope)
        language = text.negotiate_language(request.headers.get("accept-language"))
        if self._active > self._max_requests and scope["path"] != "/healthz":
            raise _refusal(503, text.translate_access(language, "busy"))
        if not self._is_own_host(scope, request.headers):
            raise _refusal(400, text.translate_access(language, "host"))
        _check_origin(scope, request.headers, language)
        visitor = await self._authenticate(request, language)
        scope.setdefault("state", {}).update(user=visitor, local=is_local(request))
        path, method = scope["path"], scope["method"]
        if method not in _ALLOWED_ROUTES or not _ALLOWED_ROUTES[method].fullmatch(path):
            raise _refusal(404, text.translate_access(language, "nothing"))
        if visitor is not None:
            self._check_query(scope["query_string"], visitor, language)
        if method != "POST" or path == UPLOAD:
            return receive
        event = visitor is not None and path.startswith("/gradio_api/")
        with_bound = self._bodies.hold(visitor.id if visitor else None)
        body = await _read_body(
            receive, _MAX_EVENT_BYTES if event else _MAX_FORM_BYTES, held.enter_context(with_bound), language
        )
        if visitor is not None and event:
            self._check_event(body, visitor, language)
        return _replay_body(body, receive)

    def _is_own_host(self, scope: Scope, headers: Headers) -> bool:
        """Whether the Host is a name of this server, on whatever port: a proxy may be before it."""
        named = headers.getlist("host")
        if len(named) != 1:
            return False
        host = parse_host(named[0])
        if host is None:
            return False
        arrived, _port = scope.get("server") or (None, None)
        return is_loopback(host) or host in self._hosts or host == arrived

    async def _authenticate(self, request: Request, language: str) -> Visitor | None:
        """Raises _Refused for those who have to sign in first."""
        if request.url.path in _ANONYMOUS:
            return None
        public = request.url.path in _PUBLIC
        try:
            visitor = await self._authenticator.authenticate(request)
        except DatabaseAway as error:
            if public:
                return None
            raise _refusal(503, str(error)) from error
        if visitor is not None and visitor.id is None and not self._open and not is_local(request):
            if public:
                return None
            raise _refusal(403, text.translate_access(language, "not_local"))
        if visitor is not None or public:
            return visitor
        if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("accept", ""):
            raise _refusal(401, text.translate_access(language, "sign_in_first"))
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # Whoever follows a link from elsewhere comes without the cookie; from here they come with it.
            again = HTMLResponse(
                '<!doctype html><meta http-equiv="refresh" content="0"><title>Recorte</title>',
                headers={"Content-Security-Policy": STATIC_PAGE_POLICY, "Cache-Control": "no-store"},
            )
            raise _Refused(again)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise _Refused(
            RedirectResponse(
                f"/login?next={quote(wanted, safe='')}", 303, headers={"Cache-Control": "no-store"}
            )
        )

    # ------------------------------------------------------------------ Gradio's events

    def _claim(self, kind: str, name: object, visitor: Visitor, language: str) -> None:
        """Raises _Refused where this is no name, or somebody else's."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise _refusal(400, text.translate_access(language, "malformed"))
        if not self._claims.claim(f"{kind}={name}", visitor.id):
            raise _refusal(404, text.translate_access(language, "nothing"))

    def _check_query(self, query: bytes, visitor: Visitor, language: str) -> None:
        try:
            asked = parse_qs(
                query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS
            )
        except ValueError as error:
            raise _refusal(400, text.translate_access(language, "malformed")) from error
        for kind in ("session_hash", "upload_id"):
            names = asked.get(kind, [])
            if len(names) > 1:
                raise _refusal(400, text.translate_access(language, "malformed"))
            for name in names:
                self._claim(kind, name, visitor, language)

    def _check_event(self, body: bytes, visitor: Visitor, language: str) -> None:
        """What the page sends names the visitor's own event stream and uploads, and nothing else.

        Gradio itself would take any file of this machine, and any address of the web, for an upload.
        """
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise _refusal(400, text.translate_access(language, "malformed"))
        name = event.get("session_hash")
        if name is not None:
            self._claim("session_hash", name, visitor, language)
        folder = None if self._uploads_folder is None else self._uploads_folder(visitor).resolve()
        for path in _file_paths(event):
            if folder is None or not _is_inside(path, folder):
                raise _refusal(404, text.translate_access(language, "no_upload"))

    # ------------------------------------------------------------------ on the way out

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_response(message["status"])
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name in [n for n in headers if n.startswith("access-control-")]:
                    del headers[name]  # Gradio opens itself to every page that this machine serves
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"] == "/":
                    headers["Cache-Control"] = "no-store"
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _HSTS)
                message["headers"] = headers.raw
            await send(message)

        return sent


def is_loopback(host: str) -> bool:
    """Whether this name or address is one of this machine for itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_local(request: HTTPConnection) -> bool:
    """Tell whether this machine asks itself, with no proxy between that may pass on what others ask.

    A proxy sends headers of its own, or the server's public name; one that is set up to send neither (nginx
    as it comes, up to 1.29.6) speaks HTTP/1.0, which no browser does.
    """
    peer, host = request.client, parse_host(request.headers.get("host", ""))
    passed_on = any(
        name in ("forwarded", "via") or name.startswith("x-forwarded-") for name in request.headers
    )
    return (
        peer is not None
        and is_loopback(peer.host)
        and host is not None
        and is_loopback(host)
        and not passed_on
        and request.scope["http_version"] != "1.0"
    )


def parse_host(netloc: str) -> str | None:
    """The name or address in a Host header; None for what is none."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    if parts.netloc != netloc or parts.username is not None or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def _check_origin(scope: Scope, headers: Headers, language: str) -> None:
    """Raise _Refused for a request that a page of another origin has sent.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; what is no browser carries nobody's cookies.
    """
    site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
    if origin is not None:
        scheme, _, host = origin.lower().partition("://")
        if host != headers["host"].lower():
            raise _refusal(403, text.translate_access(language, "elsewhere"))
        if scheme != scope["scheme"]:
            raise _refusal(403, text.translate_access(language, "scheme"))
    if site not in ("same-origin", "none"):
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if scope["method"] not in ("GET", "HEAD") or not link:
            raise _refusal(403, text.translate_access(language, "elsewhere"))


def _file_paths(event: Any) -> Iterable[str]:
    """Every path in what was sent, however deep."""
    left = [event]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value["path"]
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _is_inside(path: str, folder: Path) -> bool:
    try:
        return Path(path).is_absolute() and Path(path).resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):  # too long, a null character, a loop of links
        return False


async def _read_body(receive: Receive, most: int, held: Body, language: str) -> bytes:
    """The body. Raises _Refused for more than the page ever sends, as soon as it is more."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _refusal(408, text.translate_access(language, "too_slow"))  # read by who is still there
        body += message.get("body", b"")
        if len(body) > most:
            raise _refusal(413, text.translate_access(language, "too_much"))
        try:
            held.grow(len(body))
        except TooMuchHeld as error:
            raise _refusal(429, text.translate_access(language, "busy")) from error
        if not message.get("more_body", False):
            return bytes(body)


def _replay_body(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """The body that was read, and then what comes after it: that the visitor has gone."""
    left = [body]

    async def received() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return received


def _refusal(status: int, sentence: str) -> _Refused:
    return _Refused(JSONResponse({"error": sentence}, status, headers={"Cache-Control": "no-store"}))
