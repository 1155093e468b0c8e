"""Headers: the security headers of every response, and those of requests that Gradio must not see."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

# Gradio's page has scripts in its HTML and builds functions from strings, so those two cannot be forbidden;
# but nothing is loaded from, sent to or framed by another origin.
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
"""Content security policy of the pages without a script."""

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
"""One year."""

_FORWARDED_HEADERS = (b"x-forwarded-", b"forwarded", b"x-gradio-server")
"""Prefixes of request headers from which Gradio's page would take its server's name, whoever sent them.

uvicorn has already put into the scope what a trusted proxy says in them.
"""


def strip_forwarded(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return a request's headers without those that name the server."""
    return [header for header in headers if not header[0].startswith(_FORWARDED_HEADERS)]


def with_security_headers(scope: Scope, send: Send, on_response: Callable[[int], None]) -> Send:
    """Wrap `send` so that each response has the security headers; `on_response` gets its status."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            on_response(message["status"])
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name in [n for n in headers if n.startswith("access-control-")]:
                del headers[name]  # Gradio allows every page that this machine serves to read it
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if scope["path"] == "/":
                headers["Cache-Control"] = "no-store"
            if scope["scheme"] == "https":
                headers.setdefault("Strict-Transport-Security", _HSTS)
            message["headers"] = headers.raw
        await send(message)

    return send_with_headers
