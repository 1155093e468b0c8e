"""Addresses under which a session's pictures and results, and the API, are served."""

from __future__ import annotations

import re

MEDIA_PREFIX = "/media"
SHARED_PREFIX = "/shared"
"""Of results that links lead to, for people without an account."""
SHARE_PREFIX = "/share"
"""Of the forms that make and revoke links."""
API_PREFIX = "/api/v1"
API_DOCUMENTATION = f"{API_PREFIX}/docs"

_SHARED = re.compile(rf"{SHARED_PREFIX}/[A-Za-z0-9_-]{{1,64}}(/file)?")


def is_shared_address(path: str) -> bool:
    """Return True for the address of a shared result, for which nobody has to sign in."""
    return _SHARED.fullmatch(path) is not None


def is_api_address(path: str) -> bool:
    """Return True for an address of the API."""
    return path == API_PREFIX or path.startswith(f"{API_PREFIX}/")


def media_address(session_id: str) -> str:
    """Return the path below which the media of a session are served, such as "/media/<id>"."""
    return f"{MEDIA_PREFIX}/{session_id}"
