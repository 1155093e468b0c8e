"""Addresses under which a session's pictures and results are served."""

from __future__ import annotations

MEDIA_PREFIX = "/media"


def media_address(session_id: str) -> str:
    """Return the path below which the media of a session are served, such as "/media/<id>"."""
    return f"{MEDIA_PREFIX}/{session_id}"
