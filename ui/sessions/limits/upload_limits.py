"""Limits on uploads."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.clip import Clip
from pipeline.errors import InputError


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
            raise InputError("limits.upload_size", name=name, size=size, most=self.upload_bytes)

    def check(self, clip: Clip, size: int) -> None:
        """Raise InputError for a video that is too large, too long, or has too many pixels a frame.

        Decided by the probed values, before anything is decoded.
        """
        self.check_bytes(clip.name, size)
        if self.seconds and clip.duration > self.seconds:
            raise InputError("limits.length", name=clip.name, length=clip.duration, most=self.seconds)
        if self.pixels and clip.width * clip.height > self.pixels:
            raise InputError(
                "limits.pixels",
                name=clip.name,
                width=clip.width,
                height=clip.height,
                most=self.pixels / 1000000.0,
            )
