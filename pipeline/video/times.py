"""When each frame of a video is shown, read from its packets without decoding."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av

from pipeline.errors import VideoError
from pipeline.video.border import DAMAGED
from pipeline.video.pictures import Pictures
from pipeline.video.source import Source, time_base


@dataclass(frozen=True)
class Index:
    """When each frame is shown, ascending, and from which of them decoding can start."""

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    origin: int = 0
    """The container's own pts of the first frame."""
    tick: Fraction = Fraction(1)
    """How many seconds one of pts is."""

    def at(self, pts: int) -> int:
        """The pts of the frame on screen at `pts`: the last one not after it, else the first."""
        return self.pts[max(0, bisect.bisect_right(self.pts, pts) - 1)]

    def key_before(self, pts: int) -> int:
        return self.keys[max(0, bisect.bisect_right(self.keys, pts) - 1)] if self.keys else 0


@dataclass(frozen=True)
class Scan:
    index: Index
    packets: int
    """How many packets of the stream the file holds, those that show nothing among them."""


def index(path: Path) -> Index:
    """The frame times of a video, read from its packets without decoding; kept for the last few files."""
    return scan_of(path).index


def scan_of(path: Path) -> Scan:
    stat = path.stat()
    return _scanned(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scanned(path: Path, _mtime_ns: int, _size: int) -> Scan:
    shown: set[int] = set()
    keys: set[int] = set()
    held = 0
    with Source(path) as source:
        pictures = Pictures(source)
        packets = source.container.demux(source.stream)
        while True:
            try:
                packet = next(packets, None)
            except DAMAGED:
                break  # what was read so far stands; probe compares it with what the container promised
            except av.error.FFmpegError as error:
                raise VideoError(f"{source.name}: the file cannot be read to its end.") from error
            if packet is None:
                break
            pts = packet.dts if packet.pts is None or source.unstamped else packet.pts
            if pts is None or not packet.size:
                continue
            held += 1
            brings = pictures.brings(packet, pts)
            if packet.is_discard:
                continue
            if brings:
                shown.add(pts)
            if packet.is_keyframe:
                keys.add(pts)
        tick = time_base(source.stream)
    origin = min(shown, default=0)
    times, starts = (tuple(sorted(pts - origin for pts in found)) for found in (shown, keys))
    return Scan(Index(times, starts, origin, tick), held)
