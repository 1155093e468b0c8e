"""Visitors: the user behind a request, and the interface that finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from starlette.requests import HTTPConnection


@dataclass(frozen=True)
class Visitor:
    """The user who sent a request."""

    id: UUID | None
    """None: the one user of a server without accounts."""
    name: str
    admin: bool = False
    auth_hash: str = field(default="", repr=False)
    """Digest that changes with the password, so that a changed password ends all earlier logins."""


LOCAL = Visitor(None, "", admin=True)


class Authenticator(Protocol):
    """Finds the visitor behind a request."""

    async def authenticate(self, request: HTTPConnection) -> Visitor | None:
        """Return the visitor; None: they have to sign in first. Raises DatabaseAway."""
