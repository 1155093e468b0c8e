"""Requests of the API: which methods and addresses there may be, and whose body is streamed."""

from __future__ import annotations

import re

from ui.addresses import API_PREFIX

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
_ADDRESS = re.compile(rf"{API_PREFIX}(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")


def is_allowed(method: str, path: str) -> bool:
    """Return True for what the API may have an answer to; what it has not, it says itself."""
    return method in _METHODS and _ADDRESS.fullmatch(path) is not None
