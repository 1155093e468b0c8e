"""Request ids: each response has one in a header, and so has each line that is logged meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

HEADER = "X-Request-Id"

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def request_id(scope: Scope) -> Iterator[str]:
    """Give a request an id of this server's, whatever its client sends; yields it.

    Handlers find it as `request.state.request_id`; threads that run for the request have it, too.
    """
    id = uuid4().hex
    scope.setdefault("state", {})["request_id"] = id
    token = _current.set(id)
    try:
        yield id
    finally:
        _current.reset(token)


def with_request_id(send: Send, id: str) -> Send:
    """Wrap `send` so that the response has the id in a header."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers[HEADER] = id
        await send(message)

    return send_with_id


class RequestIdFilter(logging.Filter):
    """Filter that adds the request's id to each record as `request`; it drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request"):
            record.request = _current.get()
        return True
