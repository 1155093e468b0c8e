"""Prompt maps: marks drawn as channels beside the picture's own."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.arrays import Floats
from pipeline.prompts import Box, Point

KEPT, REMOVED, SO_FAR = range(3)
"""The planes: points to keep and the box, points to remove, the mask that there is so far."""

RADIUS = 4
"""The radius of a point's disc, in pixels."""

_WITHIN = 0.5
"""The value inside a box; a point to keep is 1."""


def draw(
    height: int, width: int, points: Iterable[Point] = (), box: Box | None = None, mask: Floats | None = None
) -> Floats:
    """Draw marks as planes, `[3, height, width]` float32, 0 to 1; marks are in pixels of this grid."""
    planes = np.zeros((3, height, width), np.float32)
    if box is not None:
        rows = slice(max(0, round(box.y0)), max(0, round(box.y1)))
        planes[KEPT, rows, max(0, round(box.x0)) : max(0, round(box.x1))] = _WITHIN
    for point in points:
        add_point(planes, point)
    if mask is not None:
        planes[SO_FAR] = mask
    return planes


def add_point(planes: Floats, point: Point) -> None:
    """Draw one more point into the planes."""
    plane = planes[KEPT if point.keep else REMOVED]
    cv2.circle(plane, (int(point.x), int(point.y)), RADIUS, 1.0, cv2.FILLED)
