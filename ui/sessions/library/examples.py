"""Example clips that are shipped with the program, with their pictures and the clip of the empty page."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import InputError
from ui.assets import ASSETS

NAMES = ("garden", "cat", "balls", "cup", "greenscreen")

_FOLDER = ASSETS / "examples"
_FILES = {"welcome.mp4": "video/mp4", "welcome.jpg": "image/jpeg"} | {f"{n}.jpg": "image/jpeg" for n in NAMES}


def path(name: str) -> Path:
    """Return an example's clip. Raises InputError for a name not in NAMES: input never becomes a path."""
    if name not in NAMES:
        raise InputError("background.no_such_example", name=name)
    return _FOLDER / f"{name}.mp4"


def file(name: str) -> tuple[Path, str]:
    """Return a file that the empty page shows, and its MIME type. Raises InputError for any other name."""
    if name not in _FILES:
        raise InputError("background.no_such_example", name=name)
    return _FOLDER / name, _FILES[name]
