"""Prompt maps: marks drawn as channels beside the picture's own."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.arrays import Floats
from pipeline.imaging.strokes import path_length, spread_along
from pipeline.prompts import Box, Point, Stroke

KEPT, REMOVED, SO_FAR = range(3)
"""The planes: points to keep and the box, points to remove, the mask that there is so far."""

RADIUS = 4
"""The radius of a point's disc, in pixels."""

_APART = 6 * RADIUS
"""The distance of the points that stand for a stroke to remove, in pixels."""

_WITHIN = 0.5
"""The value inside a box; a point to keep is 1."""


def draw(
    height: int,
    width: int,
    points: Iterable[Point] = (),
    box: Box | None = None,
    mask: Floats | None = None,
    strokes: Iterable[Stroke] = (),
) -> Floats:
    """Draw marks as planes, `[3, height, width]` float32, 0 to 1; marks are in pixels of this grid."""
    planes = np.zeros((3, height, width), np.float32)
    if box is not None:
        rows = slice(max(0, round(box.y0)), max(0, round(box.y1)))
        planes[KEPT, rows, max(0, round(box.x0)) : max(0, round(box.x1))] = _WITHIN
    for stroke in strokes:
        add_stroke(planes, stroke)
    for point in points:
        add_point(planes, point)
    if mask is not None:
        planes[SO_FAR] = mask
    return planes


def add_point(planes: Floats, point: Point) -> None:
    """Draw one more point into the planes."""
    plane = planes[KEPT if point.keep else REMOVED]
    cv2.circle(plane, (int(point.x), int(point.y)), RADIUS, 1.0, cv2.FILLED)


def add_stroke(planes: Floats, stroke: Stroke) -> None:
    """Draw one more stroke into the planes; earlier ones end beneath it.

    One to keep is a line, as wide as points are. One to remove is a row of points that lie apart, because
    networks that learnt from points remove more than a line covers.
    """
    line = [np.array(stroke.path).astype(np.int32)]
    cv2.polylines(planes[REMOVED if stroke.keep else KEPT], line, False, 0.0, 2 * RADIUS + 1)
    if stroke.keep:
        cv2.polylines(planes[KEPT], line, False, 1.0, 2 * RADIUS + 1)
        return
    count = max(1, int(path_length(stroke.path) / _APART))
    for x, y in spread_along(stroke.path, count):
        add_point(planes, Point(x, y, keep=False))
