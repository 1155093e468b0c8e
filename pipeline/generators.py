"""Generators that yield the progress of some work and return its result: run to their end, or retold."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar, cast

Yielded = TypeVar("Yielded")
Told = TypeVar("Told")
Returned = TypeVar("Returned")


def complete(steps: Generator[object, None, Returned]) -> Returned:
    """Run a generator to its end, and return its value."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast(Returned, end.value)


def retell(
    steps: Generator[Yielded, None, Returned], tell: Callable[[Yielded], Told]
) -> Generator[Told, None, Returned]:
    """Yield what `tell` makes of each value of a generator, return its value, and close it."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return cast(Returned, end.value)
            yield tell(step)
