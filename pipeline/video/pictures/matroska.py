"""Writing of Matroska (RFC 9559) with one track of pictures that no muxer of FFmpeg's accepts.

FFmpeg's demuxer reads such a file for its times and sizes; whoever opens it chooses the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

MILLISECOND = 1_000_000
"""Matroska's default tick, in nanoseconds."""


class Block(NamedTuple):
    """One picture of the track; times in ticks."""

    time: int
    duration: int
    is_keyframe: bool
    data: bytes


def write_matroska(
    file: BinaryIO, size: tuple[int, int], blocks: Iterable[Block], tick: int = MILLISECOND
) -> None:
    """Write a file with a cluster for each block; `size` in pixels (width, height), `tick` in nanoseconds."""
    # FFmpeg's Matroska has no codec id for what the blocks hold.
    shape = _element("B0", _uint64(size[0])) + _element("BA", _uint64(size[1])) + _element("2EB524", b"BGRA")
    track = (
        _element("D7", b"\1")  # its number
        + _element("73C5", b"\1")
        + _element("83", b"\1")  # video
        + _element("86", b"V_UNCOMPRESSED")
        + _element("E0", shape)
    )
    file.write(_element("1A45DFA3", _element("4282", b"matroska")))
    file.write(bytes.fromhex("18538067 01ffffffffffffff"))  # a segment that ends with the file
    if tick != MILLISECOND:
        file.write(_element("1549A966", _element("2AD7B1", _uint64(tick))))
    file.write(_element("1654AE6B", _element("AE", track)))
    for block in blocks:
        group = _element("A1", b"\x81\0\0\0" + block.data) + _element("9B", _uint64(block.duration))
        if not block.is_keyframe:
            group += _element("FB", (-1).to_bytes(1, "big", signed=True))  # it references another
        file.write(_element("1F43B675", _element("E7", _uint64(block.time)) + _element("A0", group)))


def _element(id: str, data: bytes) -> bytes:
    """Return an EBML element (RFC 8794) with an eight-byte size."""
    return bytes.fromhex(id) + (len(data) | 1 << 56).to_bytes(8, "big") + data


def _uint64(value: int) -> bytes:
    return value.to_bytes(8, "big")
