"""How the page's handlers meet Gradio: errors as sentences, the browser's language."""

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
from ui import error_text, text, visitor

log = logging.getLogger(__name__)

Translate = Callable[[str], Any]
"""Gives a key of the page's text to Gradio, which shows it in the browser's language."""

Updates = dict[Any, Any]
"""What a handler returns: new values, by component."""


UPLOAD_HANDLED_JS = "() => window.recorte.read()"
"""To be run in the browser when what was uploaded has been dealt with; see `assets/uploads.js`."""

UPLOAD_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
"""Options of an upload event: a file that comes while one before it, or its cancelling, is dealt with, waits.

Gradio's default would drop it.
"""


def no_change() -> Updates:
    """Return the updates of a handler where nothing is to be done."""
    nothing: Updates = gr.skip()
    return nothing


def language_of(request: gr.Request) -> str:
    """Return the language in which an event is answered."""
    return text.negotiate_language(request.headers.get("accept-language"))


def user_id_of(request: gr.Request) -> UUID | None:
    """Return the user who caused an event; None: the local user.

    Gradio wraps the request that brought the event, also of one that waits in its queue.
    """
    return None if request.request is None else visitor.user_id_of(request.request)


@contextmanager
def take_upload(file: str) -> Iterator[Path]:
    """An upload to be taken from Gradio's folder: it lies in one of its own, which then goes."""
    path = Path(file)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.parent.rmdir()


@contextmanager
def _errors_as_toasts(args: Iterable[Any]) -> Iterator[None]:
    try:
        yield
    except (RecorteError, DatabaseError) as error:
        log.info("refused", extra={"kind": type(error).__name__})
        raise _toast(error_text.translate(_language_of_caller(args), str(error))) from error
    except gr.Error:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        log.exception("the disk is full" if full else "a handler failed")
        tongue = _language_of_caller(args)
        said = text.translate_access(tongue, "disk_full") if full else text.translate(tongue, "broken")
        raise _toast(said) from error


def _language_of_caller(args: Iterable[Any]) -> str:
    """The language of whoever called a handler with these arguments."""
    return next((language_of(arg) for arg in args if isinstance(arg, gr.Request)), "en")


def error_toast(request: gr.Request, key: str) -> gr.Error:
    """An error that says a sentence of the page's text, to be raised by a handler."""
    return _toast(text.translate(language_of(request), key))


def _toast(sentence: str) -> gr.Error:
    # Gradio reads the sentence as HTML, and it may hold a file's name.
    return gr.Error(html.escape(sentence), print_exception=False)


def with_error_toasts(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, whose errors become toasts: ours in their own words, others in a general sentence."""
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
