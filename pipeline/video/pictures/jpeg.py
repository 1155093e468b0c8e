"""Count of the scans of a JPEG file by its markers, before anything is decoded.

A progressive file may have any number of scans of a few hundred bytes each, and a decoder processes the whole
image for every one of them.
"""

from __future__ import annotations

import re
from mmap import ACCESS_READ, mmap
from pathlib import Path

MAX_SCANS = 100
"""Encoders make about ten; the finest progression of libjpeg makes fewer than a hundred."""

_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
# Within the data of a scan 0xFF is followed by a zero or is a restart marker.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)


def count_scans(path: Path, most: int = MAX_SCANS) -> int:
    """Count the scans of a JPEG's first image, up to one more than `most`; 0 for other files."""
    with path.open("rb") as file:
        if file.read(2) != _SOI:
            return 0
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return count_scans_in(data, most)


def count_scans_in(data: mmap | bytes, most: int = MAX_SCANS) -> int:
    """Count the scans of a JPEG's first image, up to one more than `most`; 0 for other data."""
    if data[:2] != _SOI:
        return 0
    scans, place = 0, 2
    while scans <= most and (match := _MARKER.search(data, place)) is not None:
        kind, place = match.group(1)[0], match.end()
        if kind == _EOI:
            break
        if kind not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
        scans += kind == _SOS
    return scans
