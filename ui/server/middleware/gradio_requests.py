"""Allow-list of the addresses that are answered, and checks of the requests that the page sends to Gradio.

Gradio answers many more addresses than its page needs, which read, list and fetch files; it hands an event
stream to anybody who names it, and takes any file of this machine, or any address of the web, for an upload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ui import text
from ui.server.claims import NAME, Claims
from ui.server.middleware.refusal import refusal
from ui.server.visitors import Visitor

UPLOAD = "/gradio_api/upload"

# What the page requests, by method; HEAD as GET. Everything else is answered with 404.
_NAME = r"[\w@-][\w@.-]*"
_ALLOWED_ROUTES = {
    "GET": re.compile(
        rf"/|/(assets|static)/({_NAME}/)*{_NAME}|/theme\.css|/favicon\.ico|/manifest\.json|/plain\.css"
        r"|/gradio_api/queue/data|/gradio_api/upload_progress"
        rf"|/media/({_NAME}/)*{_NAME}|/shared/{_NAME}(/file)?|/login|/healthz|/metrics|/admin"
    ),
    "POST": re.compile(
        rf"/gradio_api/queue/join|/gradio_api/run/predict|{UPLOAD}|/login|/logout|/admin/cancel/[0-9a-f-]+"
        r"|/share/[0-9a-f-]+/[0-9a-f-]+(/revoke)?"
    ),
}
_ALLOWED_ROUTES["HEAD"] = _ALLOWED_ROUTES["GET"]

_MAX_QUERY_FIELDS = 50


def is_allowed(method: str, path: str) -> bool:
    """Return True if the page needs this address."""
    return method in _ALLOWED_ROUTES and _ALLOWED_ROUTES[method].fullmatch(path) is not None


class GradioRequests:
    """Checks that what a visitor sends to Gradio names their own event streams and uploads only."""

    def __init__(self, uploads_folder: Callable[[Visitor], Path] | None = None) -> None:
        """`uploads_folder` returns the folder of a visitor's uploads; without it no file may be named."""
        self._uploads_folder = uploads_folder
        self._claims = Claims()

    def check_query(self, query: bytes, visitor: Visitor, language: str) -> None:
        """Claim the ids in a query string for a visitor. Raises Refused for a malformed or another's id."""
        try:
            fields = parse_qs(
                query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS
            )
        except ValueError as error:
            raise refusal(400, text.translate_access(language, "malformed")) from error
        for kind in ("session_hash", "upload_id"):
            names = fields.get(kind, [])
            if len(names) > 1:
                raise refusal(400, text.translate_access(language, "malformed"))
            for name in names:
                self._claim(kind, name, visitor, language)

    def check_event(self, body: bytes, visitor: Visitor, language: str) -> None:
        """Check the JSON of an event. Raises Refused for another's event stream, and for any other file."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise refusal(400, text.translate_access(language, "malformed"))
        name = event.get("session_hash")
        if name is not None:
            self._claim("session_hash", name, visitor, language)
        folder = None if self._uploads_folder is None else self._uploads_folder(visitor).resolve()
        for path in _file_paths(event):
            if folder is None or not _is_inside(path, folder):
                raise refusal(404, text.translate_access(language, "no_upload"))

    def _claim(self, kind: str, name: object, visitor: Visitor, language: str) -> None:
        """Claim an id for a visitor. Raises Refused for a malformed or another's id."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise refusal(400, text.translate_access(language, "malformed"))
        if not self._claims.claim(f"{kind}={name}", visitor.id):
            raise refusal(404, text.translate_access(language, "nothing"))


def _file_paths(event: Any) -> Iterator[str]:
    """Yield every file path in an event, at any depth."""
    pending = [event]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value["path"]
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _is_inside(path: str, folder: Path) -> bool:
    try:
        return Path(path).is_absolute() and Path(path).resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):  # too long, a null character, a loop of links
        return False
