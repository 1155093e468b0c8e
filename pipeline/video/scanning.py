"""When each frame of a video is shown, read from its packets without decoding."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipeline.video.mending import mended

# What a damaged file says beyond this is no time.
_LATEST = 2**52
# The clock of a video is refined by no more than this, and FFmpeg's fractions hold no larger denominator.
_FINEST, _DENOMINATOR = 16, 2**31 - 1


@dataclass(frozen=True)
class Index:
    """When each frame is shown, ascending, and from which of them decoding can start."""

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    origin: int = 0
    """The first frame's time by the container's clock, in ticks as those of `pts`."""
    tick: Fraction = Fraction(1)
    """How many seconds one of pts is."""
    marks: tuple[tuple[int, int], ...] = ()
    """The packet of each of `keys` is known by the time that the container gives it and by its size."""
    stamps: tuple[int | None, ...] = ()
    """Where times were mended, the one that the container has for each frame; None where it is no guide."""

    def at(self, pts: int) -> int:
        """The pts of the frame on screen at `pts`: the last one not after it, else the first."""
        return self.pts[max(0, bisect.bisect_right(self.pts, pts) - 1)]

    def last_before(self, end: int | None) -> int:
        """The pts of the last frame before `end`, or of all; -1 where there is none."""
        place = len(self.pts) if end is None else bisect.bisect_left(self.pts, end)
        return self.pts[place - 1] if place else -1

    def key_before(self, pts: int) -> int:
        return self.keys[max(0, bisect.bisect_right(self.keys, pts) - 1)] if self.keys else 0


@dataclass(frozen=True)
class Scan:
    index: Index
    packets: int
    """How many packets of the stream the file holds, those that show nothing among them."""
    mended: int = 0
    """Frames whose time was missing or repeated."""


class _Shown(NamedTuple):
    """A packet that brings a picture to the screen."""

    pts: int | None
    dts: int | None
    size: int
    key: bool


def scanned(path: Path) -> Scan:
    """Read all packets. Raises VideoError where the file is no video."""
    from pipeline.video.pictures import Pictures
    from pipeline.video.source import Source, time_base

    shown: list[_Shown] = []
    held = 0
    with Source(path) as source:
        pictures = Pictures(source)
        for packet in source.packets():
            if not packet.size:
                continue
            held += 1
            pts, dts = _time(packet.pts), _time(packet.dts)
            if pictures.brings(packet, dts if pts is None else pts) and not packet.is_discard:
                shown.append(_Shown(pts, dts, packet.size, packet.is_keyframe))
        tick = time_base(source.stream)
        rate = source.stream.average_rate or source.stream.guessed_rate or 25
        if pictures.packed or (source.guesses and any(s.pts != s.dts for s in shown)):
            shown = [s._replace(pts=None) for s in shown]
        reorders = source.reorders or any(s.pts != s.dts for s in shown if None not in (s.pts, s.dts))
    index, count = _indexed(shown, tick, max(1, round(1 / Fraction(rate) / tick)), reorders)
    return Scan(index, held, count)


def _time(stamp: int | None) -> int | None:
    return stamp if stamp is not None and abs(stamp) < _LATEST else None


def _indexed(shown: Sequence[_Shown], tick: Fraction, gap: int, reorders: bool) -> tuple[Index, int]:
    """The index, and how many times in it are not the container's own."""
    pts = [s.pts for s in shown if s.pts is not None]
    clock = [s.dts for s in shown if s.dts is not None] if reorders else pts
    if len(set(pts)) == len(shown) and all(a <= b for a, b in pairwise(clock)):
        origin = min(pts, default=0)
        marks = sorted((s.pts, s.size) for s in shown if s.key and s.pts is not None)
        times = tuple(sorted(p - origin for p in pts))
        return Index(times, tuple(p - origin for p, _ in marks), origin, tick, tuple(marks)), 0

    # With frames in another order than they are shown in, only the times of decoding tell how pictures follow
    # each other; these run ahead of their own times by a constant.
    stamps = [s.dts if reorders or s.pts is None else s.pts for s in shown]
    ahead = min(pts) - min((s for s in stamps if s is not None), default=0) if reorders and pts else 0
    stamps = [None if s is None else s + ahead for s in stamps]
    steps = sorted(b - a for a, b in pairwise(stamps) if a is not None and b is not None and b > a)
    gap = steps[len(steps) // 2] if steps else gap
    found, finer = mended(stamps, gap, min(_FINEST, _DENOMINATOR // tick.denominator))
    origin = found[0]
    times = tuple(time - origin for time in found)

    changed = sum(s is None or s * finer != time for s, time in zip(stamps, found, strict=True))
    missing = len(shown) - len(set(pts)) if pts else 0  # some containers have none, and need none
    often = Counter(pts)
    guides = tuple(s.pts if s.pts is not None and often[s.pts] == 1 and not reorders else None for s in shown)
    keys = [(t, (g, s.size)) for t, g, s in zip(times, guides, shown, strict=True) if s.key and g is not None]
    index = Index(
        times, tuple(t for t, _ in keys) or (0,), origin, tick / finer, tuple(m for _, m in keys), guides
    )
    return index, max(changed, missing)
