"""Aspect ratios that a result can be cropped to."""

from __future__ import annotations

ASPECTS: dict[str, tuple[int, int]] = {"9:16": (9, 16), "1:1": (1, 1), "4:5": (4, 5), "16:9": (16, 9)}
"""Width and height by the name of the ratio."""


def window_size(aspect: str, width: int, height: int) -> tuple[int, int]:
    """Return the size of the largest window of an aspect ratio inside a frame: width and height, in pixels.

    `aspect` is a key of `ASPECTS`. Sizes are even, as most encoders need them, and so less than two
    pixels below the exact ones; a frame that is one pixel wide or high keeps that.
    """
    across, down = ASPECTS[aspect]
    return (
        _even(min(width, height * across // down), width),
        _even(min(height, width * down // across), height),
    )


def _even(length: int, most: int) -> int:
    return min(max(length - length % 2, 2), most)
