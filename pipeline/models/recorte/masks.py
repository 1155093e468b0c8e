"""Operations on the masks that the network predicts: clean-up and scores.

Masks are `[rows, columns]` float32, 0 to 1, on the grid of a window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.arrays import Floats, Matte, as_floats
from pipeline.imaging import strokes
from pipeline.models import prompt_maps
from pipeline.models.window import Window
from pipeline.prompts import Box, Point, Prompt, Stroke

if TYPE_CHECKING:
    import torch

LOST = 0.4
"""The confidence below which the subject counts as absent."""

_SLACK = 0.04
"""Distance by which a subject may stand out of the box around it, as a share of the longer side."""

_FAINT = 0.3
"""Value of a mask from which on pixels connect its parts."""

_VEIL = 0.04
"""Distance from 0 or 1 below which a value counts as 0 or 1."""

_SHARED = 0.1
"""The share of a part that was in the mask before, at least; else it is another object."""

_AS_ALIKE = 0.65
"""The least similarity of a part of a mask to the memory, as a share of its largest part's."""

_SURE, _UNSURE = 1.0, 0.7
"""The mean of a mask's inside where it is certain, and where it is uncertain: on the first picture without
the subject it is 0.87 at most, on the subject hardly ever below 0.92."""


def include_marks(box: Box, prompt: Prompt) -> Box:
    """Return the box grown so that it contains the prompt's points, and its strokes to keep."""
    places = [(p.x, p.y) for p in prompt.points]
    places += [place for stroke in prompt.strokes if stroke.keep for place in stroke.path]
    xs, ys = [box.x0, box.x1, *(x for x, _ in places)], [box.y0, box.y1, *(y for _, y in places)]
    return Box(min(xs), min(ys), max(xs), max(ys))


def matte_on_grid(matte: Matte, window: Window) -> Floats:
    """Return a frame's matte on the grid of a window, `[rows, columns]`, 0 to 1."""
    return as_floats(window.crop(matte)) / np.float32(255)


def clip_to_box(mask: Floats, box: Box) -> Floats:
    """Return the mask without what lies outside the box, with a little slack."""
    slack = _SLACK * max(box.x1 - box.x0, box.y1 - box.y0)
    top, bottom, left, right = (
        max(0, int(v)) for v in (box.y0 - slack, box.y1 + slack + 1, box.x0 - slack, box.x1 + slack + 1)
    )
    clipped = np.zeros_like(mask)
    clipped[top:bottom, left:right] = mask[top:bottom, left:right]
    return clipped


def drop_foreign_parts(mask: Floats, before: Floats, comparison: torch.Tensor) -> Floats:
    """Return the mask without the parts that are other objects: new, or less similar to the memory.

    An object that was included by mistake becomes a separate part when the subject moves away from it.
    """
    count, parts = cv2.connectedComponents((mask > _FAINT).astype(np.uint8))
    areas, common, shares = (
        np.bincount(parts.ravel(), weights.ravel(), count)
        for weights in (np.ones_like(mask), before > _FAINT, _similarity_map(comparison, mask))
    )
    areas[0] = 0  # the background
    similarities = shares / np.maximum(areas, 1)
    same = (common >= _SHARED * areas) & (similarities >= _AS_ALIKE * similarities[areas.argmax()])
    same[0] = True
    return as_floats(np.where(same[parts], mask, 0))


def enforce_points(mask: Floats, window: Window, points: Sequence[Point]) -> Floats:
    """Return the mask with a disc around each point that the network did not follow."""
    mask = mask.copy()
    for point in points:
        on_grid = window.point(point)
        x, y = int(on_grid.x), int(on_grid.y)
        y, x = min(max(y, 0), mask.shape[0] - 1), min(max(x, 0), mask.shape[1] - 1)
        if (mask[y, x] > 0.5) != point.keep:
            cv2.circle(mask, (x, y), 2 * prompt_maps.RADIUS, float(point.keep), cv2.FILLED)
    return mask


def hold_points(matte: Matte, window: Window, points: Sequence[Point]) -> Matte:
    """Return a frame's matte with a disc, as wide as the network sees a point, at each that it contradicts.

    The matte is `[H, W]` uint8, points are in its pixels, and the network saw it in the window. Discs end
    before the pixels of points of the other kind; of two in one pixel the later one counts.
    """
    height, width = matte.shape

    def centre(point: Point) -> tuple[float, float]:
        x, y = min(max(int(point.x), 0), width - 1), min(max(int(point.y), 0), height - 1)
        return x + 0.5, y + 0.5

    radius = prompt_maps.RADIUS * max(window.width / window.columns, window.height / window.rows)
    for point in points:
        x, y = centre(point)
        if (matte[int(y), int(x)] > 127) != point.keep:
            others = (math.dist((x, y), centre(p)) for p in points if p.keep != point.keep)
            across = min((2 * radius + 1, *(apart for apart in others if apart)))
            matte = strokes.paint(matte, [Stroke(((x, y),), across, point.keep)])
    return matte


def paint_strokes(mask: Floats, window: Window, painted: Sequence[Stroke]) -> Floats:
    """Return the mask with strokes, in the frame's pixels, painted into it."""
    if not painted:
        return mask
    lowest, highest = strokes.bounds(tuple(map(window.stroke, painted)), *mask.shape)
    return as_floats(np.clip(mask, lowest / np.float32(255), highest / np.float32(255)))


def overlap(one: Floats, other: Floats) -> float:
    """Return the intersection over union of two masks; 0 where both are empty."""
    a, b = one > 0.5, other > 0.5
    return int(np.count_nonzero(a & b)) / max(1, int(np.count_nonzero(a | b)))


def certainty(mask: Floats) -> float:
    """Return how certain the network is of a mask, 0 to 1; 0 where it is empty."""
    inside = mask[mask > 0.5]
    return float(np.clip((inside.mean() - _UNSURE) / (_SURE - _UNSURE), 0, 1)) if inside.size else 0.0


def similarity(mask: Floats, comparison: torch.Tensor) -> float:
    """Return the mean similarity of the mask's pixels to the inside of the remembered masks, 0 to 1."""
    inside = mask > 0.5
    return float(_similarity_map(comparison, mask)[inside].mean()) if inside.any() else 0.0


def _similarity_map(comparison: torch.Tensor, mask: Floats) -> Floats:
    """Return for each pixel the share of similar places that lay inside the remembered masks, 0 to 1."""
    return as_floats(cv2.resize(comparison[0, 0].float().cpu().numpy(), mask.shape[::-1]))


def clear_veil(mask: Floats) -> Floats:
    """Return the mask with values close to 0 and 1 set to these, or they would veil the background."""
    return as_floats(np.clip((mask - _VEIL) / (1 - 2 * _VEIL), 0, 1))
