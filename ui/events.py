"""How the page's handlers meet Gradio: errors as sentences, the browser's language."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import gradio as gr

from db.errors import DatabaseError
from pipeline.errors import RecorteError
from ui import text

log = logging.getLogger(__name__)

Say = Callable[[str], Any]
"""Gives a key of the page's text to Gradio, which shows it in the browser's language."""

Updates = dict[Any, Any]
"""What a handler returns: new values, by component."""


def language(request: gr.Request) -> str:
    return text.language(request.headers.get("accept-language"))


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except (RecorteError, DatabaseError) as error:
        raise gr.Error(str(error), print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:
        log.exception("a handler failed")
        raise gr.Error(text.say("en", "broken"), print_exception=False) from error


def told(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, whose errors become toasts: ours in their own words, others in a general sentence."""
    if isgeneratorfunction(handler):

        @wraps(handler)
        def steps(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            with _sentences():
                yield from handler(*args, **kwargs)

        return steps

    @wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _sentences():
            return handler(*args, **kwargs)

    return call
