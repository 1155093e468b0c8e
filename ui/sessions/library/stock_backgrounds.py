"""Background pictures that are shipped with the program."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.compositing.images import open_image
from pipeline.errors import InputError
from ui.assets import ASSETS
from ui.sessions.rendering import overlay

NAMES = (
    *("studio", "paper", "blush", "concrete"),
    *("window", "wood", "curtain", "brick"),
    *("garden", "dusk", "city", "lights"),
)

_FOLDER = ASSETS / "backgrounds"
_THUMBNAIL_WIDTH = 192


def path(name: str) -> Path:
    """Return a picture's path. Raises InputError for a name not in NAMES: user input never becomes a path."""
    if name not in NAMES:
        raise InputError("background.no_such_background", name=name)
    return _FOLDER / f"{name}.jpg"


@cache
def thumbnail(name: str) -> tuple[bytes, str]:
    """Return a thumbnail and its MIME type. Raises as `path` does."""
    return overlay.encode(open_image(path(name)), width=_THUMBNAIL_WIDTH)
