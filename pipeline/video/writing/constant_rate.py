"""Frames at an even rate, or no faster than at one, for where that is asked for or players show no more."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

Picture = TypeVar("Picture")


class ConstantRate(Generic[Picture]):
    """What is on screen at 0, 1 / rate, 2 / rate, … seconds, before `length`.

    A picture is repeated or passed over as the times want it; none is made. At least one comes out.
    """

    def __init__(self, rate: Fraction, length: Fraction) -> None:
        self._rate = rate
        self._count = max(1, -(-length * rate // 1))
        self._number = 0
        self._shown: Picture | None = None

    def add(self, seconds: Fraction, picture: Picture) -> Iterator[tuple[int, Picture]]:
        """The numbers that are known now that `picture` is on screen from `seconds` on, each with its own.

        Times ascend; the first picture is also shown before its time.
        """
        yield from self._until(min(self._count, -(-seconds * self._rate // 1)))
        self._shown = picture

    def flush(self) -> Iterator[tuple[int, Picture]]:
        """The numbers that the last picture has until the end."""
        yield from self._until(self._count)

    def _until(self, number: int) -> Iterator[tuple[int, Picture]]:
        while self._shown is not None and self._number < number:
            yield self._number, self._shown
            self._number += 1


class LimitedRate(Generic[Picture]):
    """Pictures that follow each other no faster than `rate`, before `length` seconds; long ones stay as long.

    One that comes sooner waits until its turn, and is passed over where the next one is there by then. At
    least one comes out.
    """

    def __init__(self, rate: Fraction, length: Fraction) -> None:
        self._gap = 1 / rate
        self._length = length
        self._free = Fraction(0)
        """From when on the next picture can be shown."""
        self._waiting: tuple[Fraction, Picture] | None = None
        self._shown = False
        self.dropped = 0
        """Number of pictures that were passed over."""

    def add(self, seconds: Fraction, picture: Picture) -> Iterator[tuple[Fraction, Picture]]:
        """Yield each picture whose time is known now that `picture` comes at `seconds`, behind that time.

        Times ascend; the first picture is also shown before its time.
        """
        if self._waiting is not None:
            yield from self._until(seconds)
        self._waiting = (seconds if self._waiting is not None else Fraction(0), picture)

    def flush(self) -> Iterator[tuple[Fraction, Picture]]:
        """The last picture, where there is time for it."""
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
