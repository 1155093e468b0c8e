"""Problem details (RFC 9457): the errors of the API, as JSON with the sentence that the page says.

    {"type": "/api/v1/docs#not-found", "title": "There is no such thing", "status": 404,
     "detail": "There is no session 5f0c….", "code": "choices.no_such_session", "request_id": "6f3d…"}

Of each status there is one type. `code` tells its cases apart, and is the key of the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi.responses import JSONResponse, Response
from starlette.requests import HTTPConnection

from ui.addresses import API_DOCUMENTATION
from ui.visitor import language_of

MEDIA_TYPE = "application/problem+json"

RETRY_SECONDS = 5
"""Seconds after which to try again where nothing better is known."""


class Kind(NamedTuple):
    """Type of problem."""

    name: str
    title: str


KINDS = {
    400: Kind("malformed", "The request cannot be read"),
    401: Kind("unauthorized", "The request has no valid token"),
    403: Kind("forbidden", "The request is not allowed"),
    404: Kind("not-found", "There is no such thing"),
    405: Kind("method-not-allowed", "The address does not have this method"),
    406: Kind("not-acceptable", "There is no answer of a type that the request accepts"),
    408: Kind("too-slow", "The request came too slowly"),
    409: Kind("conflict", "The request does not fit the present state"),
    410: Kind("gone", "The thing is no longer there"),
    412: Kind("precondition", "The request is of another version"),
    413: Kind("too-large", "The request is too large"),
    415: Kind("unsupported", "The content is of another type than the address takes"),
    416: Kind("no-such-range", "The file does not have the range"),
    422: Kind("invalid", "A value is refused"),
    429: Kind("too-many", "Too many requests at once"),
    500: Kind("internal", "The server has failed"),
    503: Kind("unavailable", "The server cannot answer now"),
    507: Kind("no-room", "There is no room"),
}
"""Types of problems by status; never changed, for programs compare them."""


def problem_type(status: int) -> str:
    """Return the `type` of a status: the address of its description."""
    return f"{API_DOCUMENTATION}#{KINDS[status].name}"


def problem(
    request: HTTPConnection,
    status: int,
    detail: str,
    *,
    code: str | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response of a problem. `detail` is a sentence in the request's language.

    `code`: key of the sentence; `errors`: places of the values that are refused.
    """
    more: dict[str, Any] = {"code": code, "errors": errors}
    body = {
        "type": problem_type(status),
        "title": KINDS[status].title,
        "status": status,
        "detail": detail,
        **{name: value for name, value in more.items() if value is not None},
        "request_id": request.state.request_id,
    }
    own = {"Cache-Control": "no-store", "Content-Language": language_of(request)}
    if status == 401:
        own["WWW-Authenticate"] = 'Bearer realm="Recorte"'
    if status in (429, 503):
        own["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse(body, status, own | dict(headers or {}), MEDIA_TYPE)
