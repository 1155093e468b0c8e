"""Brush strokes on the pixels of a frame: painted into mattes, sampled as points, and simplified.

The centre of the pixel in row r and column c is at (c + 0.5, r + 0.5), as for points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Matte, as_floats
from pipeline.prompts import Point, Prompt, Stroke

_POINTS = 5
"""Most points that stand for one stroke."""

_APART = 0.04
"""Least distance of two points along a stroke, as a share of the frame's longer side."""

_TOLERANCE = 0.5
"""Pixels by which a simplified stroke may be off."""


def paint(matte: Matte, strokes: Sequence[Stroke]) -> Matte:
    """Return the matte, `[H, W]` uint8, opaque where strokes keep, and transparent where they remove.

    Antialiased along the brush's edge. Painting the same strokes again changes nothing.
    """
    if not strokes:
        return matte
    lowest, highest = bounds(tuple(strokes), *matte.shape)
    return np.asarray(np.minimum(np.maximum(matte, lowest), highest), np.uint8)


@lru_cache(maxsize=4)
def bounds(strokes: tuple[Stroke, ...], height: int, width: int) -> tuple[Matte, Matte]:
    """Return the lowest and the highest alpha that strokes leave, each `[height, width]` uint8, read-only.

    They are 0 and 255 where nothing is painted, both 255 where it is kept, and both 0 where it is removed.
    """
    lowest, highest = np.zeros((height, width), np.uint8), np.full((height, width), 255, np.uint8)
    for stroke in strokes:
        rows, columns = _extent(stroke.path, stroke.width, height, width)
        covered = np.rint(255 * _coverage(stroke, rows, columns)).astype(np.uint8)
        for plane in (lowest, highest):
            part = plane[rows, columns]
            plane[rows, columns] = (
                np.maximum(part, covered) if stroke.keep else np.minimum(part, 255 - covered)
            )
    for plane in (lowest, highest):
        plane.flags.writeable = False
    return lowest, highest


def _extent(
    path: Sequence[tuple[float, float]], brush: float, height: int, width: int
) -> tuple[slice, slice]:
    """Return the rows and columns of the frame that a brush on this path can touch."""
    xs, ys = np.array(path).T
    reach = brush / 2 + 1

    def span(values: np.ndarray, end: int) -> slice:
        low, high = (int(np.clip(v, 0, end)) for v in (values.min() - reach, np.ceil(values.max() + reach)))
        return slice(low, high)

    return span(ys, height), span(xs, width)


def _coverage(stroke: Stroke, rows: slice, columns: slice) -> Floats:
    """Return the share of each pixel that a stroke covers, 0 to 1, for these rows and columns; float32."""
    distance = np.full((rows.stop - rows.start, columns.stop - columns.start), np.inf, np.float32)
    ends = stroke.path[1:] or stroke.path
    for a, b in zip(stroke.path, ends, strict=False):
        # Only the pixels near this part of the path, in the coordinates of `distance`.
        near = _extent((a, b), stroke.width, rows.stop, columns.stop)
        inside = tuple(
            slice(max(part.start, whole.start) - whole.start, max(part.stop, whole.start) - whole.start)
            for part, whole in zip(near, (rows, columns), strict=True)
        )
        y, x = (
            np.arange(part.start, part.stop, dtype=np.float32) + np.float32(whole.start + 0.5)
            for part, whole in zip(inside, (rows, columns), strict=True)
        )
        distance[inside] = np.minimum(distance[inside], _distance(x[None], y[:, None], a, b))
    return np.clip(stroke.width / 2 + 0.5 - distance, 0, 1)


def _distance(x: Floats, y: Floats, a: tuple[float, float], b: tuple[float, float]) -> Floats:
    """Return the distances of places to the line between two others, in pixels."""
    along = b[0] - a[0], b[1] - a[1]
    length = along[0] ** 2 + along[1] ** 2
    t = 0.0 if not length else np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length, 0, 1)
    return as_floats(np.hypot(x - (a[0] + t * along[0]), y - (a[1] + t * along[1])))


def path_length(path: Sequence[tuple[float, float]]) -> float:
    """Return the length of a path, in its own unit."""
    return float(_lengths(path)[-1])


def spread_along(path: Sequence[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Return `count` places on a path, x before y: the middles of as many parts of equal length."""
    lengths, (xs, ys) = _lengths(path), np.array(path).T
    places = (np.arange(count) + 0.5) / count * lengths[-1]
    return [(float(np.interp(at, lengths, xs)), float(np.interp(at, lengths, ys))) for at in places]


def _lengths(path: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return the length of a path up to each of its vertices."""
    steps = np.hypot(*np.diff(np.array(path), axis=0).T)
    return np.concatenate(([0.0], steps.cumsum()))


def sample_points(strokes: Sequence[Stroke], height: int, width: int) -> tuple[Point, ...]:
    """Return a few points along each stroke, for a model that knows points only.

    Those that a later stroke has painted over, and those outside the `height` x `width` frame, are left out.
    """
    if not strokes:
        return ()
    lowest, highest = bounds(tuple(strokes), height, width)
    points: list[Point] = []
    for stroke in strokes:
        along = path_length(stroke.path) / (_APART * max(height, width))
        for place in spread_along(stroke.path, int(np.clip(1 + along, 1, _POINTS))):
            x, y = (round(value, 1) for value in place)
            if not (0 <= x < width and 0 <= y < height):
                continue
            plane = lowest if stroke.keep else highest
            if plane[int(y), int(x)] == 255 * stroke.keep:
                points.append(Point(x, y, stroke.keep))
    return tuple(points)


def with_points(prompt: Prompt, height: int, width: int) -> Prompt:
    """Return the prompt with points along its strokes beside its own, for a `height` x `width` frame."""
    sampled = sample_points(prompt.strokes, height, width)
    if not sampled:
        return prompt
    own = {(point.x, point.y) for point in prompt.points}
    return replace(prompt, points=(*prompt.points, *(p for p in sampled if (p.x, p.y) not in own)))


def simplify(stroke: Stroke) -> Stroke:
    """Return the stroke with as few vertices as do within half a pixel (Douglas and Peucker, 1973)."""
    if len(stroke.path) < 3:
        return stroke
    path = as_floats(stroke.path)[:, None]
    kept = cv2.approxPolyDP(path, _TOLERANCE, closed=False)[:, 0]
    return replace(stroke, path=tuple((round(float(x), 2), round(float(y), 2)) for x, y in kept))
