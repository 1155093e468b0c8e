"""Requests of the API: which methods and addresses there may be, and whose body is streamed."""

from __future__ import annotations

import re

from starlette.datastructures import Headers

from ui.addresses import API_PREFIX

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
_ADDRESS = re.compile(rf"{API_PREFIX}(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")

_FORMS = re.compile(
    rf"POST {API_PREFIX}/(sessions|cutouts|sessions/[^/]+/masks)"
    rf"|PUT {API_PREFIX}/sessions/[^/]+/(background|matte-in)"
)
_PICTURES = {f"{API_PREFIX}/cutouts", f"{API_PREFIX}/photography/background"}
_UPLOAD = re.compile(rf"{API_PREFIX}/uploads/[^/]+")


def is_form(headers: Headers) -> bool:
    """Return True for a form with a file."""
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def is_streamed(method: str, path: str, headers: Headers) -> bool:
    """Return True for a file that is on its way to the disk, which bounds it itself."""
    if method == "PATCH":
        return _UPLOAD.fullmatch(path) is not None
    return _FORMS.fullmatch(f"{method} {path}") is not None and is_form(headers)


def may_hold_picture(method: str, path: str) -> bool:
    """Return True where a picture may be in the request's JSON."""
    return method == "POST" and path in _PICTURES


def is_allowed(method: str, path: str) -> bool:
    """Return True for what the API may have an answer to; what it has not, it says itself."""
    if method == "OPTIONS":  # of tus
        return path == f"{API_PREFIX}/uploads"
    return method in _METHODS and _ADDRESS.fullmatch(path) is not None
