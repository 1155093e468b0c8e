"""Conversion of variable frame times to a constant rate, or limitation to a maximum rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

Picture = TypeVar("Picture")


class ConstantRate(Generic[Picture]):
    """Frames sampled at 0, 1 / rate, 2 / rate, … seconds, before `length` seconds.

    Frames are repeated or dropped; none is interpolated. At least one is output.
    """

    def __init__(self, rate: Fraction, length: Fraction) -> None:
        self._rate = rate
        self._count = max(1, -(-length * rate // 1))
        self._number = 0
        self._shown: Picture | None = None

    def add(self, seconds: Fraction, picture: Picture) -> Iterator[tuple[int, Picture]]:
        """Add a frame shown from `seconds` on; yield the frame numbers now complete with their frames.

        Times must ascend; the first frame is also shown before its time.
        """
        yield from self._until(min(self._count, -(-seconds * self._rate // 1)))
        self._shown = picture

    def flush(self) -> Iterator[tuple[int, Picture]]:
        """Yield the remaining frame numbers with the last frame."""
        yield from self._until(self._count)

    def _until(self, number: int) -> Iterator[tuple[int, Picture]]:
        while self._shown is not None and self._number < number:
            yield self._number, self._shown
            self._number += 1


class LimitedRate(Generic[Picture]):
    """Frames limited to at most `rate` per second, before `length` seconds; longer ones keep their length.

    A frame that comes too early is delayed, and dropped if the next one comes before its turn. At least one
    is output.
    """

    def __init__(self, rate: Fraction, length: Fraction) -> None:
        self._gap = 1 / rate
        self._length = length
        self._free = Fraction(0)
        """Earliest time of the next frame, in seconds."""
        self._waiting: tuple[Fraction, Picture] | None = None
        self._shown = False
        self.dropped = 0
        """Number of dropped frames."""

    def add(self, seconds: Fraction, picture: Picture) -> Iterator[tuple[Fraction, Picture]]:
        """Add a frame at `seconds`; yield each (time, frame) that is now final.

        Times must ascend; the first frame is also shown before its time.
        """
        if self._waiting is not None:
            yield from self._until(seconds)
        self._waiting = (seconds if self._waiting is not None else Fraction(0), picture)

    def flush(self) -> Iterator[tuple[Fraction, Picture]]:
        """Yield the last frame, if it still fits before the end."""
        yield from self._until(self._length)

    def _until(self, seconds: Fraction) -> Iterator[tuple[Fraction, Picture]]:
        if self._waiting is None:
            return
        due, picture = self._waiting
        due = max(due, self._free)
        if due < seconds or not self._shown:
            self._free, self._shown = due + self._gap, True
            yield due, picture
        else:
            self.dropped += 1
