"""How much a user may bring and keep."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from pipeline.clip import Clip
from pipeline.errors import InputError
from ui import text

_FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Allowance:
    """Limits for every user alike; 0 is none."""

    upload_bytes: int = 0
    seconds: float = 0
    pixels: int = 0
    """Of one frame."""
    quota_bytes: int = 0
    """Of all files of all sessions of one user."""
    _measured: dict[UUID | None, tuple[float, int]] = field(default_factory=dict, repr=False, compare=False)
    """By user: when, by `time.monotonic`, and how many bytes."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def check_bytes(self, name: str, size: int) -> None:
        """Raise InputError for a file that is too large."""
        if self.upload_bytes and size > self.upload_bytes:
            raise InputError(
                f"{name}: this file has {text.size(size)}, and {text.size(self.upload_bytes)} are the most "
                "that can be uploaded here. Cut a part out of it, or make it smaller, first."
            )

    def check(self, clip: Clip, size: int) -> None:
        """Raise InputError for a video that is too large, too long, or has too many pixels a frame.

        Told from what probing says, before anything is decoded.
        """
        self.check_bytes(clip.name, size)
        if self.seconds and clip.duration > self.seconds:
            raise InputError(
                f"{clip.name}: this video lasts {text.length(clip.duration)}, and "
                f"{text.length(self.seconds)} are the most that can be taken here. "
                "Cut a part out of it first."
            )
        if self.pixels and clip.width * clip.height > self.pixels:
            raise InputError(
                f"{clip.name}: frames of {clip.width} × {clip.height} are larger than can be taken here "
                f"({self.pixels / 1e6:.1f} million pixels). Scale the video down first."
            )

    def check_quota(self, owner: UUID | None, folders: Callable[[], Iterable[Path]], need: int) -> None:
        """Raise InputError where `need` more bytes are more than the user may keep.

        `folders` gives those of the user's sessions, where they have to be measured.
        """
        if not self.quota_bytes:
            return
        used = self.used(owner, folders)
        if used + need > self.quota_bytes:
            raise InputError(
                f"This may take {text.size(need)}, and {text.size(max(0, self.quota_bytes - used))} are left "
                f"of the {text.size(self.quota_bytes)} that you may keep here. "
                "Delete sessions that you no longer need."
            )

    def used(self, owner: UUID | None, folders: Callable[[], Iterable[Path]]) -> int:
        """Bytes of all files in the user's folders, as they were a few seconds ago at most."""
        with self._lock:
            when, known = self._measured.get(owner, (-_FRESH_SECONDS, 0))
        now = time.monotonic()
        if now - when < _FRESH_SECONDS:
            return known
        used = sum(map(measured, folders()))
        with self._lock:
            self._measured[owner] = now, used
        return used

    def forget(self) -> None:
        """Measure anew when it is asked next: files have come or gone."""
        with self._lock:
            self._measured.clear()


def measured(folder: Path) -> int:
    """Bytes of all files in a folder, those below it included; one that goes meanwhile counts for nothing."""
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total
