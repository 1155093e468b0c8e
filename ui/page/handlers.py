"""Helpers of the page's event handlers: errors as toasts, the visitor, uploaded files."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any
from uuid import UUID

import gradio as gr

from db.errors import DatabaseError
from pipeline.errors import DISK_FULL, RecorteError
from ui import text, visitor

log = logging.getLogger(__name__)

Updates = dict[Any, Any]
"""New values by component: the return value of a handler."""


UPLOAD_HANDLED_JS = "() => window.recorte.read()"
"""Script for the browser once an upload has been handled; see `assets/uploads.js`."""

UPLOAD_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
"""Options of an upload event: a file that arrives while an earlier one is being handled, or cancelled, waits.

With Gradio's default it would be dropped.
"""


def no_change() -> Updates:
    """Return the updates of a handler that changes nothing."""
    nothing: Updates = gr.skip()
    return nothing


def language_of(request: gr.Request) -> str:
    """Return the language in which an event is answered."""
    wrapped = request.request
    chosen = None if wrapped is None else wrapped.cookies.get(text.LANGUAGE_COOKIE)
    return text.choose_language(chosen, request.headers.get("accept-language"))


def user_id_of(request: gr.Request) -> UUID | None:
    """Return the user who caused an event; None: the local user.

    Gradio wraps the request that brought the event, also of one that waits in its queue.
    """
    return None if request.request is None else visitor.user_id_of(request.request)


@contextmanager
def take_upload(file: str) -> Iterator[Path]:
    """Yield the path of an uploaded file, which the caller moves away; then remove its folder of Gradio's."""
    path = Path(file)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.parent.rmdir()


@contextmanager
def _errors_as_toasts(args: Iterable[Any]) -> Iterator[None]:
    """Raise errors as toasts, in the language of the request among `args`."""
    try:
        yield
    except (RecorteError, DatabaseError) as error:
        log.info("refused", extra={"kind": type(error).__name__})
        raise _toast(error.message.render(_language_of_caller(args))) from error
    except gr.Error:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        log.exception("the disk is full" if full else "a handler failed")
        language = _language_of_caller(args)
        if full:
            raise _toast(text.translate_access(language, "disk_full")) from error
        raise _toast(text.translate(language, "broken")) from error


def _language_of_caller(args: Iterable[Any]) -> str:
    """Return the language of the request among a handler's arguments, or English."""
    return next((language_of(arg) for arg in args if isinstance(arg, gr.Request)), "en")


def error_toast(request: gr.Request, key: str) -> gr.Error:
    """Return an error that shows a text of the page, for a handler to raise."""
    return _toast(text.translate(language_of(request), key))


def _toast(sentence: str) -> gr.Error:
    # Gradio takes the sentence for HTML, and it may contain a file's name.
    return gr.Error(html.escape(sentence), print_exception=False)


def with_error_toasts(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler so that its errors become toasts.

    Errors of Recorte and of the database are shown as their own sentence in the visitor's language; any other
    is logged and shown as a general one.
    """
    if isgeneratorfunction(handler):

        @wraps(handler)
        def steps(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            with _errors_as_toasts(args):
                yield from handler(*args, **kwargs)

        return steps

    @wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _errors_as_toasts(args):
            return handler(*args, **kwargs)

    return call
