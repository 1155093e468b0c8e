"""Size and frame times of a result."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class StreamSpec:
    """Properties of a result's video stream, known before its first frame."""

    width: int
    height: int
    time_base: Fraction
    """Seconds per tick of pts."""
    rate: Fraction
    """Approximate frames per second: for encoders, and for the duration of a single frame."""
    start: int = 0
    """The pts at second 0 of the result."""
    end: int | None = None
    """The pts at which the last frame ends; None: it lasts the median frame duration."""
    min_last_duration: int = 1
    """Least duration of the last frame, in ticks."""


class Timeline:
    """Frame times of a result, recorded in order: a frame lasts until the next."""

    def __init__(self, spec: StreamSpec) -> None:
        self.tick = spec.time_base
        self._start = spec.start
        self._end, self._min_last_duration = spec.end, spec.min_last_duration
        self._gap = max(1, round(1 / spec.rate / spec.time_base))
        self._pts = array("q")

    def __len__(self) -> int:
        return len(self._pts)

    def add(self, pts: int) -> int:
        """Record a frame; return its time in ticks from second 0 of the result."""
        self._pts.append(self.ticks_at(pts))
        return self._pts[-1]

    def ticks_at(self, pts: int) -> int:
        """Return the time of a pts in ticks from second 0 of the result."""
        return pts - self._start

    def repeat_last(self, after: int) -> int:
        """Record the last frame again `after` ticks later; return that time."""
        self._pts.append(self._pts[-1] + after)
        return self._pts[-1]

    @property
    def last_duration(self) -> int:
        """Duration of the last frame, in ticks."""
        if self._end is not None:
            return max(self._min_last_duration, self._end - self._start - self._pts[-1])
        return int(np.median(np.diff(self._pts))) if len(self._pts) > 1 else self._gap

    @property
    def start_times(self) -> list[Fraction]:
        """Begin of each frame, in seconds."""
        return [pts * self.tick for pts in self._pts]

    @property
    def end(self) -> Fraction:
        """End of the last frame, in seconds."""
        return (self._pts[-1] + self.last_duration) * self.tick
