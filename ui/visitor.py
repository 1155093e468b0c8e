"""The visitor's language, user id and name, read from a request."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import HTTPConnection, Request

from ui import text


def language_of(request: HTTPConnection) -> str:
    """Return the language to answer a request in: the chosen one, or else one that the browser accepts."""
    return text.choose_language(
        request.cookies.get(text.LANGUAGE_COOKIE), request.headers.get("accept-language")
    )


def user_id_of(request: HTTPConnection) -> UUID | None:
    """Return the user whom the access middleware put into the request's state; None: the local user."""
    visitor = getattr(request.state, "user", None)
    if visitor is None:
        return None
    id: UUID | None = visitor.id
    return id


def user_name_of(request: Request) -> str | None:
    """Return the name of the visitor in the request's state; None where nobody was authenticated."""
    visitor = getattr(request.state, "user", None)
    if visitor is None:
        return None
    name: str = visitor.name
    return name
