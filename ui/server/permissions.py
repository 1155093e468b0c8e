"""Permissions of the routes for administrators, and the response to everybody else."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from ui import text
from ui.server.visitors import Visitor
from ui.visitor import language_of


def is_admin(request: Request) -> bool:
    """Return True if the request's visitor is an administrator."""
    visitor: Visitor | None = request.state.user
    return visitor is not None and visitor.admin


def not_found(request: Request) -> Response:
    """Return the response of an address that does not exist, which hides one that the visitor may not use."""
    return JSONResponse({"error": text.translate_access(language_of(request), "nothing")}, 404)
