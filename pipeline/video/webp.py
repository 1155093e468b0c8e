"""Container parsing of animated WebP (RFC 9649), which FFmpeg writes but does not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_NO_BLEND = 0b10
"""Frame flag, blending method: overwrite instead of alpha-blend."""
_DISPOSE = 0b01
"""Frame flag, disposal method: clear the frame's area before the next frame."""
_ANIMATED = 0b10
"""VP8X flag of an animated file."""


@dataclass(frozen=True)
class WebPFrame:
    """One frame (ANMF chunk) of an animation."""

    flags_offset: int
    """Byte offset of the frame's flags in the file."""
    milliseconds: int
    _head: bytes
    """X / 2, Y / 2, width - 1 and height - 1: three bytes each, little endian."""
    _data_offset: int
    _data_size: int
    _flags: int

    @property
    def offset(self) -> tuple[int, int]:
        """Left and top on the canvas, in pixels."""
        return 2 * _number(self._head[:3]), 2 * _number(self._head[3:6])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return _number(self._head[6:9]) + 1, _number(self._head[9:]) + 1

    @property
    def no_blend(self) -> bool:
        """True if the frame overwrites the canvas instead of being alpha-blended."""
        return bool(self._flags & _NO_BLEND)

    @property
    def dispose(self) -> bool:
        """True if the frame's area is cleared before the next frame."""
        return bool(self._flags & _DISPOSE)

    def covers(self, size: tuple[int, int]) -> bool:
        """Return True if the frame fills a canvas of this size (width, height)."""
        return self.offset == (0, 0) and self.size == size

    def to_still(self, file: BinaryIO) -> bytes:
        """Return the frame as a still WebP file."""
        file.seek(self._data_offset)
        data = file.read(self._data_size)
        about = b"VP8X" + (10).to_bytes(4, "little") + bytes([0x10, 0, 0, 0]) + self._head[6:]
        rest = b"WEBP" + (about if data.startswith(b"ALPH") else b"") + data
        return b"RIFF" + len(rest).to_bytes(4, "little") + rest


def parse_frames(file: BinaryIO) -> Iterator[WebPFrame]:
    """Yield the frames of an animation; nothing for a still image."""
    at = 12  # behind RIFF, its size, WEBP
    while True:
        file.seek(at)
        head = file.read(24)  # of the chunk, and of a picture
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:8], "little")
        if head[:4] == b"ANMF":
            # Left, top, width and height less one, duration: 3 bytes each; then flags.
            yield WebPFrame(at + 23, _number(head[20:23]), head[8:20], at + 24, size - 16, head[23])
        at += 8 + size + size % 2


def canvas_size(file: BinaryIO) -> tuple[int, int] | None:
    """Return width and height of an animation, in pixels; None for other files."""
    file.seek(0)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or not head[20] & _ANIMATED:
        return None
    return _number(head[24:27]) + 1, _number(head[27:30]) + 1


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def disable_blending(path: Path) -> None:
    """Set "do not blend" on each frame: FFmpeg's muxer leaves alpha blending on."""
    with path.open("r+b") as file:
        for picture in parse_frames(file):
            file.seek(picture.flags_offset)
            flags = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([flags | _NO_BLEND]))
