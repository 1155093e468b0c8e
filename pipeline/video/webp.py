"""The animated WebP (RFC 9649), which FFmpeg writes and does not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_ALONE = 0b10
"""Flag of a picture: it is not blended with the one before."""


@dataclass(frozen=True)
class Picture:
    """One picture of an animation."""

    flags_at: int
    """Where in the file its flags are."""
    milliseconds: int
    _size: bytes
    _data_at: int
    _data_size: int

    def still(self, file: BinaryIO) -> bytes:
        """It as a file of its own."""
        file.seek(self._data_at)
        data = file.read(self._data_size)
        about = b"VP8X" + (10).to_bytes(4, "little") + bytes([0x10, 0, 0, 0]) + self._size
        rest = b"WEBP" + (about if data.startswith(b"ALPH") else b"") + data
        return b"RIFF" + len(rest).to_bytes(4, "little") + rest


def pictures(file: BinaryIO) -> Iterator[Picture]:
    """Of an animation; none where the file holds one picture only."""
    at = 12  # behind RIFF, its size, WEBP
    while True:
        file.seek(at)
        head = file.read(24)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:8], "little")
        if head[:4] == b"ANMF":
            # Left, top, width and height less one, duration: 3 bytes each; then flags.
            yield Picture(at + 23, int.from_bytes(head[20:23], "little"), head[14:20], at + 24, size - 16)
        at += 8 + size + size % 2


def unblend(path: Path) -> None:
    """Let each picture stand for itself: FFmpeg's muxer lets those before shine through."""
    with path.open("r+b") as file:
        for picture in pictures(file):
            file.seek(picture.flags_at)
            flags = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([flags | _ALONE]))
