"""Edge options of the matte: colour cleaning, growing, feathering, despill."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

import cv2
import numpy as np

from pipeline.arrays import Matte
from pipeline.errors import InputError

Despill = Literal["none", "green", "blue"]
"""Screen colour whose spill is removed from the subject."""

MAX_PIXELS = 50.0


@dataclass(frozen=True)
class Edges:
    """Edge options; lengths are in pixels of a frame 720 high and scale with the frame."""

    clean: bool = True
    """Remove the old background's colour from semi-transparent pixels."""
    grow: float = 0.0
    """Distance that the matte grows outwards; negative: shrinks."""
    feather: float = 0.0
    """Distance over which the edge is softened."""
    despill: Despill = "none"

    def check(self) -> None:
        """Raise InputError for what is out of range."""
        if not abs(self.grow) <= MAX_PIXELS:
            raise InputError("choices.grow", most=MAX_PIXELS)
        if not 0 <= self.feather <= MAX_PIXELS:
            raise InputError("choices.feather", most=MAX_PIXELS)
        if self.despill not in get_args(Despill):
            raise InputError("choices.screen", value=self.despill, known=", ".join(get_args(Despill)))

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(**data)


CLEAN = Edges()
"""Default edge options."""


def adjust_edges(matte: Matte, edges: Edges) -> Matte:
    """Grow and feather a matte (`[H, W]` uint8); return it itself if `edges` ask for neither.

    Growing moves the edge without changing its softness. Feathering softens it by the same distance inwards
    and outwards. Both accept fractions of a pixel.
    """
    unit = matte.shape[0] / 720
    if edges.grow:
        operation = cv2.dilate if edges.grow > 0 else cv2.erode
        matte = _interpolate(
            abs(edges.grow) * unit, matte, lambda pixels: _move_edge(matte, pixels, operation)
        )
    if edges.feather:
        soft = matte
        matte = _interpolate(edges.feather * unit, soft, lambda pixels: _soften_edge(soft, pixels))
    return matte


def _interpolate(length: float, unchanged: Matte, apply: Callable[[int], Matte]) -> Matte:
    """Interpolate between the results of `apply` for the two integers next to a fractional length."""
    pixels = math.floor(length)
    share = length - pixels
    lower = apply(pixels) if pixels else unchanged
    if not share:
        return lower
    return np.asarray(cv2.addWeighted(lower, 1 - share, apply(pixels + 1), share, 0), np.uint8)


def _move_edge(matte: Matte, pixels: int, operation: Callable[..., Any]) -> Matte:
    """Return the largest (or smallest) alpha within an octagon of this radius, close to a disc.

    A square and then diamonds make an octagon, and are much faster than a disc.
    """
    square = round(pixels * (math.sqrt(2) - 1))
    matte = operation(matte, np.ones((2 * square + 1, 2 * square + 1), np.uint8))
    return np.asarray(operation(matte, _CROSS, iterations=pixels - square), np.uint8)


def _soften_edge(matte: Matte, pixels: int) -> Matte:
    """Blur with a pyramid kernel of radius `pixels`."""
    return np.asarray(cv2.stackBlur(matte, (2 * pixels + 1, 2 * pixels + 1)), np.uint8)


_CROSS = np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
