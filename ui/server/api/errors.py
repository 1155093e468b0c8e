"""Errors of the API's handlers, and the problems that they are answered with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from db.errors import DatabaseAway, DatabaseError, NotFound
from pipeline.errors import DISK_FULL, INTERNAL_ERROR, RecorteError, WorkerLost
from pipeline.languages.messages import Message, MessageError
from ui import text
from ui.addresses import API_PREFIX
from ui.error_text import translate_message
from ui.server.api.problems import problem
from ui.server.uploads import UploadRefused
from ui.sessions.limits.quota import QuotaExceeded
from ui.sessions.rendering.protocol import MarksChanged
from ui.sessions.runs import Run
from ui.visitor import language_of

log = logging.getLogger(__name__)

_BUSY = {"choices.uploads_busy", "choices.previews_busy"}
"""Keys of refusals that say no more than that a user asks for too much at once."""
_CONFLICTS = {"choices.already_running"}
"""Keys of refusals by the present state."""
_MISSING = {"video.no_such_frame"}
"""Keys of refusals of an address that does not exist, below one that does."""
_STATUSES: tuple[tuple[type[MessageError], int], ...] = (
    (NotFound, 404),
    (MarksChanged, 409),
    (DatabaseAway, 503),
    (DatabaseError, 422),
    (QuotaExceeded, 507),
    (WorkerLost, 503),
    (RecorteError, 422),
)
"""Status by class of error; the first that fits counts."""

_MAX_PLACES = 20
"""Most refused values that one problem lists."""

Handler = Callable[[Request, Exception], Response]


def add_error_handlers(api: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    for kind, handler in _HANDLERS.items():
        api.add_exception_handler(kind, handler)


def answer_error(request: Request, error: Exception) -> Response:
    """Return the problem of an error that an answer under way has met; one of no known kind is logged."""
    handler = next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), _answer_unexpected)
    try:
        response = handler(request, error)
    except Exception:
        handler, response = _answer_unexpected, _answer_unexpected(request, error)
    if handler is _answer_unexpected:
        log.error("an answer under way has failed", exc_info=error)
    return response


def failed_run_problem(request: Request, run: Run) -> Response:
    """Return the problem of a run that has ended without a result."""
    sentence = translate_message(language_of(request), *run.stored.error) or f"{run.state}"
    return problem(request, 422, sentence, headers={"Location": f"{API_PREFIX}/runs/{run.id}"})


def message_problem(request: Request, status: int, message: Message) -> Response:
    """Return a problem with the sentence of a message, in the request's language."""
    return problem(request, status, message.render(language_of(request)), code=message.key)


def text_problem(request: Request, status: int, key: str, **fields: object) -> Response:
    """Return a problem with one of the sentences with which requests are refused."""
    return problem(request, status, text.translate_access(language_of(request), key, **fields))


class BadCursor(Exception):
    """The cursor of a list is not one that this API has given."""


class WrongType(Exception):
    """The request has content that the address does not take (415), or accepts none that it has (406)."""

    def __init__(self, status: Literal[406, 415], *types: str) -> None:
        self.status, self.types = status, types


def _answer_wrong_type(request: Request, error: Exception) -> Response:
    assert isinstance(error, WrongType)
    key = "not_acceptable" if error.status == 406 else "unsupported"
    return text_problem(request, error.status, key, types=", ".join(error.types))


def _answer_upload(request: Request, error: Exception) -> Response:
    assert isinstance(error, UploadRefused)
    language = language_of(request)
    sizes = {name: text.format_size(count, language) for name, count in error.sizes.items()}
    return text_problem(request, error.status, error.key, **sizes)


def _answer_slow(request: Request, error: Exception) -> Response:
    return text_problem(request, 408, "too_slow")  # read by clients that are too slow, but still connected


def _answer_cursor(request: Request, error: Exception) -> Response:
    return text_problem(request, 422, "invalid", places="query.cursor")


def _answer_message(request: Request, error: Exception) -> Response:
    assert isinstance(error, MessageError)
    if error.message.key in _BUSY:
        return message_problem(request, 429, error.message)
    if error.message.key in _MISSING:
        return message_problem(request, 404, error.message)
    if error.message.key in _CONFLICTS:
        return message_problem(request, 409, error.message)
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
    if status is None:
        raise error
    return message_problem(request, status, error.message)


def _answer_invalid(request: Request, error: Exception) -> Response:
    """Answer values that the schema refuses; the places are named, the values are not."""
    assert isinstance(error, RequestValidationError)
    places = [{"at": _place(each), "message": str(each["msg"])} for each in error.errors()[:_MAX_PLACES]]
    if any(each["type"] == "json_invalid" and each["loc"][0] == "body" for each in error.errors()):
        return problem(request, 400, text.translate_access(language_of(request), "unreadable"), errors=places)
    sentence = text.translate_access(
        language_of(request), "invalid", places=", ".join(place["at"] for place in places)
    )
    return problem(request, 422, sentence, errors=places)


def _place(error: dict[str, Any]) -> str:
    """Return where a refused value was, such as "body.edges.grow"."""
    return ".".join(map(str, error["loc"]))


def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    key = "no_method" if error.status_code == 405 else "nothing"
    sentence = text.translate_access(language_of(request), key)
    return problem(request, error.status_code, sentence, headers=error.headers)


def _answer_missing_file(request: Request, error: Exception) -> Response:
    return message_problem(request, 404, Message("choices.gone"))  # deleted a moment ago


def _answer_system_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, OSError) or error.errno not in DISK_FULL:
        raise error
    return text_problem(request, 507, "disk_full")


def _answer_unexpected(request: Request, error: Exception) -> Response:
    return message_problem(request, 500, INTERNAL_ERROR)  # and it is logged, for Starlette raises it again


_HANDLERS: dict[type[Exception], Handler] = {
    MessageError: _answer_message,
    RequestValidationError: _answer_invalid,
    HTTPException: _answer_http,
    BadCursor: _answer_cursor,
    WrongType: _answer_wrong_type,
    UploadRefused: _answer_upload,
    ClientDisconnect: _answer_slow,
    FileNotFoundError: _answer_missing_file,
    OSError: _answer_system_error,
    Exception: _answer_unexpected,
}
"""Handler by class of error."""
