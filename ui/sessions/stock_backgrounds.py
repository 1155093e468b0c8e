"""The pictures that are shipped to stand behind a subject."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.compositing.images import open_image
from pipeline.errors import InputError
from ui.sessions import overlay

NAMES = ("studio", "city", "garden", "brick")

_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "backgrounds"
_THUMBNAIL_WIDTH = 192


def path(name: str) -> Path:
    """Raises InputError for a name that is none of NAMES: what a browser sends never becomes a path."""
    if name not in NAMES:
        raise InputError(f"There is no background called {name!r}.")
    return _FOLDER / f"{name}.jpg"


@cache
def thumbnail(name: str) -> tuple[bytes, str]:
    """A small picture of it and its MIME type. Raises as `path` does."""
    return overlay.encode(open_image(path(name)), width=_THUMBNAIL_WIDTH)
