"""Colour models of subject and background, and edge-aware smoothing of their log odds.

The smoothing is mean-field inference (Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs",
NIPS 2011) whose messages are passed by a guided filter.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, as_floats
from pipeline.imaging.guided_filter import Guide

Bins = NDArray[np.int32]
"""The cell of the colour histogram that each pixel falls into, `[h, w]` int32."""

_CELLS = (16, 32, 32)
"""Histogram cells of lightness, a and b: finer in hue, which shade does not change."""


def bin_colours(image: Image) -> Bins:
    """Return the histogram cell of each pixel of an RGB image."""
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.int32)
    # Pictures rarely leave the middle half of the a and b axes.
    a, b = (np.clip((lab[..., axis] - 64) >> 2, 0, 31) for axis in (1, 2))
    return np.asarray(((lab[..., 0] >> 4) * 32 + a) * 32 + b, np.int32)


def colour_histogram(bins: Bins, weight: NDArray[Any]) -> Floats:
    """Return the weighted share of each colour, smoothed over neighbouring cells; `[cells]`, of sum 1.

    `weight` is `[h, w]`, not negative.
    """
    count = np.bincount(bins.ravel(), weight.ravel(), np.prod(_CELLS)).reshape(_CELLS).astype(np.float32)
    broad = np.array([1, 4, 6, 4, 1], np.float32) / 16
    for plane in count:
        plane[:] = cv2.sepFilter2D(plane, -1, broad, broad)
    across = np.array([1, 2, 1], np.float32) / 4
    rows = cv2.sepFilter2D(count.reshape(_CELLS[0], -1), -1, np.ones(1, np.float32), across)
    return np.asarray(rows.ravel() / max(rows.sum(), 1e-6), np.float32)


def log_odds(subject: Floats, background: Floats, bins: Bins) -> Floats:
    """Return the log odds of each pixel's colour, `[h, w]`, -3 to 3: a colour alone decides nothing.

    `subject` and `background` are histograms, `[cells]`.
    """
    rare = 1e-5
    return np.clip(np.log((subject + rare) / (background + rare)), -3, 3)[bins]


def smooth_odds(odds: Floats, guide: Guide, rounds: int = 3) -> Floats:
    """Return the probability of the subject, `[h, w]`, 0 to 1, from log odds by mean-field inference.

    Neighbours of similar colour are drawn to the same side.
    """
    odds = np.clip(odds, -30, 30)
    mean = np.tanh(odds / 2)
    for _ in range(rounds):
        mean = np.tanh((odds + 2 * guide.filter(mean)) / 2)
    return np.asarray((mean + 1) / 2, np.float32)


def edge_guide(image: Image) -> Guide:
    return Guide(image, radius=4, eps=1e-3)


def signed_distance(mask: NDArray[Any]) -> Floats:
    """Return the distance to the mask's edge, `[h, w]`, in pixels, positive inside and negative outside."""
    inside = (mask > 0.5).astype(np.uint8)
    within, without = (cv2.distanceTransform(part, cv2.DIST_L2, 3) for part in (inside, 1 - inside))
    # Where there is no edge, OpenCV returns an infinite distance.
    return as_floats(np.clip(as_floats(within) - as_floats(without), -sum(mask.shape), sum(mask.shape)))
