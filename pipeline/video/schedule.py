"""When the pictures of a result are shown, and for how long."""

from __future__ import annotations

from array import array
from fractions import Fraction

import numpy as np


class Schedule:
    """The times of a result's pictures, as they come: a picture lasts until the next."""

    def __init__(self, *, tick: Fraction, rate: Fraction, start: int) -> None:
        self.tick = tick
        self._start = start
        self._gap = max(1, round(1 / rate / tick))
        self._pts = array("q")

    def __len__(self) -> int:
        return len(self._pts)

    def add(self, pts: int) -> int:
        """Ticks from second 0 of the result, where the picture with this pts belongs."""
        self._pts.append(pts - self._start)
        return self._pts[-1]

    @property
    def usual(self) -> int:
        """How many ticks the last picture lasts: as many as most."""
        return int(np.median(np.diff(self._pts))) if len(self._pts) > 1 else self._gap

    @property
    def seconds(self) -> list[Fraction]:
        """When each begins."""
        return [pts * self.tick for pts in self._pts]

    @property
    def end(self) -> Fraction:
        """When the last one ends."""
        return (self._pts[-1] + self.usual) * self.tick
