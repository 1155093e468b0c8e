"""Frames at an even rate, for where that is asked for or players show no other."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

Picture = TypeVar("Picture")


class Even(Generic[Picture]):
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

    def rest(self) -> Iterator[tuple[int, Picture]]:
        """The numbers that the last picture has until the end."""
        yield from self._until(self._count)

    def _until(self, number: int) -> Iterator[tuple[int, Picture]]:
        while self._shown is not None and self._number < number:
            yield self._number, self._shown
            self._number += 1
