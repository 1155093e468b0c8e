"""Calming the flicker of mattes that were each found alone."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.models import Found
from pipeline.video import Frame

Pair = tuple[Frame, Found]


def steadied(pairs: Iterator[Pair]) -> Iterator[Pair]:
    """The pairs of one scene, in order and one for one, with calmer mattes."""
    raise NotImplementedError
    yield
