"""Frame index: presentation times of all frames of a video, and its keyframes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class FrameIndex:
    """Presentation times of all frames, ascending, and the keyframes that decoding can start from."""

    pts: tuple[int, ...]
    keyframes: tuple[int, ...]
    origin: int = 0
    """Time of the first frame by the container's clock, in ticks."""
    tick: Fraction = Fraction(1)
    """Seconds per tick of pts."""
    keyframe_packets: tuple[tuple[int, int], ...] = ()
    """Container pts and size in bytes of each keyframe's packet, to recognise it after a seek."""
    container_pts: tuple[int | None, ...] = ()
    """If timestamps were repaired, the container pts of each frame; None where it is unusable."""
    last_duration: int = 1
    """Duration of the last frame, in ticks."""
    size: tuple[int, int] | None = None
    """Stored width and height of most frames, in pixels; None: that of the first frame."""
    lead: int = 0
    """Ticks that the first frame is shown before its own pts, because audio begins earlier."""

    @property
    def end(self) -> int:
        """The pts at which the last frame ends."""
        return self.pts[-1] + self.last_duration

    @cached_property
    def usual_duration(self) -> int:
        """Duration of most frames, in ticks."""
        return int(np.median(np.diff(self.pts))) if len(self.pts) > 1 else self.last_duration

    def with_lead(self, lead: int) -> FrameIndex:
        """Return the index with the first frame extended by `lead` ticks, from 0 on."""
        pts, keys = (
            (*times[:1], *(time + lead for time in times[1:])) for times in (self.pts, self.keyframes)
        )
        if self.keyframes[:1] != (0,):
            keys = tuple(key + lead for key in self.keyframes)
        return replace(self, pts=pts, keyframes=keys, origin=self.origin - lead, lead=lead)

    def frame_at(self, pts: int) -> int:
        """Return the pts of the frame displayed at `pts`: the last one not after it, else the first."""
        return self.pts[max(0, bisect.bisect_right(self.pts, pts) - 1)]

    def between(self, begin: int, end: int) -> tuple[int, ...]:
        """Return the pts of the frames with begin <= pts < end, ascending."""
        return self.pts[bisect.bisect_left(self.pts, begin) : bisect.bisect_left(self.pts, end)]

    def last_before(self, end: int | None) -> int:
        """Return the pts of the last frame before `end` (None: of all frames); -1 if there is none."""
        place = len(self.pts) if end is None else bisect.bisect_left(self.pts, end)
        return self.pts[place - 1] if place else -1

    def keyframe_before(self, pts: int) -> int:
        """Return the pts of the last keyframe not after `pts`, else of the first; 0 without keyframes."""
        return self.keyframes[max(0, bisect.bisect_right(self.keyframes, pts) - 1)] if self.keyframes else 0


@dataclass(frozen=True)
class Scan:
    """Result of a packet scan: the frame index and what probing needs besides."""

    index: FrameIndex
    packets: int
    """Number of the stream's packets, including those that display no frame."""
    repaired: int = 0
    """Number of frames whose missing or repeated timestamp was repaired."""
