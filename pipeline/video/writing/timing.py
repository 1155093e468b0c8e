"""What the pictures of a result are: how large, when they are shown, and for how long."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class StreamSpec:
    """What is known of a result's pictures before the first of them."""

    width: int
    height: int
    time_base: Fraction
    """Seconds in a tick of their pts."""
    rate: Fraction
    """How many there are in a second, about: for how long a lone one lasts, and for encoders."""
    start: int = 0
    """The pts at second 0 of the result."""
    end: int | None = None
    """The pts at which its last picture ends; None: that lasts as long as most."""
    min_last_duration: int = 1
    """Ticks that the last picture lasts in any case."""


class Timeline:
    """The times of a result's pictures, as they come: a picture lasts until the next."""

    def __init__(self, spec: StreamSpec) -> None:
        self.tick = spec.time_base
        self._start = spec.start
        self._end, self._min_last_duration = spec.end, spec.min_last_duration
        self._gap = max(1, round(1 / spec.rate / spec.time_base))
        self._pts = array("q")

    def __len__(self) -> int:
        return len(self._pts)

    def add(self, pts: int) -> int:
        """Ticks from second 0 of the result, where the picture with this pts belongs."""
        self._pts.append(self.ticks_at(pts))
        return self._pts[-1]

    def ticks_at(self, pts: int) -> int:
        """Ticks from second 0 of the result of a pts."""
        return pts - self._start

    def repeat_last(self, after: int) -> int:
        """Show the last picture again so many ticks after it; gives when that is."""
        self._pts.append(self._pts[-1] + after)
        return self._pts[-1]

    @property
    def last_duration(self) -> int:
        """Duration of the last picture, in ticks."""
        if self._end is not None:
            return max(self._min_last_duration, self._end - self._start - self._pts[-1])
        return int(np.median(np.diff(self._pts))) if len(self._pts) > 1 else self._gap

    @property
    def start_times(self) -> list[Fraction]:
        """When each begins."""
        return [pts * self.tick for pts in self._pts]

    @property
    def end(self) -> Fraction:
        """When the last one ends."""
        return (self._pts[-1] + self.last_duration) * self.tick
