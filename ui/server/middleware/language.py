"""The language that a visitor has chosen, told to the page before anything of it runs."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import text

_HEAD = b"<head>"
_SCRIPT = (
    '<script>for (const [name, value] of [["language", "{code}"], ["languages", ["{code}"]]])'
    " Object.defineProperty(navigator, name, {{ configurable: true, get: () => value }});</script>"
)


class LanguageMiddleware:
    """Adds a script to the page that has the browser name the chosen language as its own.

    Gradio takes the language of its texts from the browser and from nowhere else, as the page's scripts do;
    what Gradio lets a page add to its head comes too late for that. Without a choice nothing is changed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        code = _chosen_for_page(scope)
        if code is None:
            await self._app(scope, receive, send)
            return
        headers = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        await self._app({**scope, "headers": headers}, receive, _Insertion(send, code))


class _Insertion:
    """Passes a response on, once it is complete, with the script if it is a page."""

    def __init__(self, send: Send, code: str) -> None:
        self._send = send
        self._script = _SCRIPT.format(code=code).encode()
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        headers = MutableHeaders(raw=self._start.setdefault("headers", []))
        if headers.get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(_HEAD, _HEAD + self._script, 1)
            headers["content-length"] = str(len(self._body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})


def _chosen_for_page(scope: Scope) -> str | None:
    """Return the code of the chosen language if this is a request for the page; None otherwise."""
    if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
        return None
    chosen = Request(scope).cookies.get(text.LANGUAGE_COOKIE)
    return chosen if chosen in text.LOCALES else None
