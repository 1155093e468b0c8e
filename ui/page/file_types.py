"""File types that the page offers to choose, and that it tells apart when a file is dropped."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from pipeline.clip import CONTAINER_SUFFIXES, PICTURE_SUFFIXES

VIDEO_FILE_TYPES = ["video", *CONTAINER_SUFFIXES, ".gif", ".webp", ".apng"]
PICTURE_FILE_TYPES = ["image"]
CLIP_FILE_TYPES = [*VIDEO_FILE_TYPES, "image", *PICTURE_SUFFIXES, ".zip"]
"""Suffixes of clips: videos, pictures, and numbered pictures in a ZIP file."""

_ANIMATED_SUFFIXES = (".gif", ".apng")
"""Pictures that are taken for videos where either may be meant."""


def is_still_picture(path: Path) -> bool:
    """Return True if a file's name is that of a picture that is not animated."""
    kind, _encoding = mimetypes.guess_type(path.name)
    return kind is not None and kind.startswith("image/") and path.suffix.lower() not in _ANIMATED_SUFFIXES
