"""Limits on uploads."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.clip import Clip
from pipeline.errors import InputError
from ui import text


@dataclass(frozen=True)
class UploadLimits:
    """Limits for every user; 0: no limit."""

    upload_bytes: int = 0
    seconds: float = 0
    pixels: int = 0
    """Of one frame."""
    quota_bytes: int = 0
    """Of all files of one user; see `ui.sessions.limits.quota`."""

    def check_bytes(self, name: str, size: int) -> None:
        """Raise InputError for a file that is too large."""
        if self.upload_bytes and size > self.upload_bytes:
            raise InputError(
                f"{name}: this file has {text.format_size(size)}, and "
                f"{text.format_size(self.upload_bytes)} are the most that can be uploaded here. "
                "Cut a part out of it, or make it smaller, first."
            )

    def check(self, clip: Clip, size: int) -> None:
        """Raise InputError for a video that is too large, too long, or has too many pixels a frame.

        Decided by the probed values, before anything is decoded.
        """
        self.check_bytes(clip.name, size)
        if self.seconds and clip.duration > self.seconds:
            raise InputError(
                f"{clip.name}: this video lasts {text.format_duration(clip.duration)}, and "
                f"{text.format_duration(self.seconds)} are the most that can be taken here. "
                "Cut a part out of it first."
            )
        if self.pixels and clip.width * clip.height > self.pixels:
            raise InputError(
                f"{clip.name}: frames of {clip.width} × {clip.height} are larger than can be taken here "
                f"({self.pixels / 1e6:.1f} million pixels). Scale the video down first."
            )
