"""Simulated marks of a person and simulated earlier masks, made from true masks.

Clicks are placed as in Sofiiuk, Petrov and Konushin, "Reviving Iterative Training with Mask Guidance for
Interactive Segmentation" (RITM, ICIP 2022): at random inside the subject at first, then in the middle of the
largest error.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.arrays import Floats, Mask, Matte, as_floats
from pipeline.imaging import optical_flow
from pipeline.models import prompt_maps
from pipeline.prompts import Box, Point


def depth(mask: Mask) -> Floats:
    """The distance of each pixel of the mask to its edge, of which the picture's border is a part."""
    padded = np.pad(mask.astype(np.uint8), 1)
    return as_floats(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1]


def within(mask: Mask, rng: np.random.Generator, deep: float = 0.4) -> Point | None:
    """A random point well inside a mask; None where there is no mask to speak of."""
    deepest = depth(mask)
    if deepest.max() < 2:
        return None
    ys, xs = (deepest >= deep * deepest.max()).nonzero()
    n = rng.integers(len(xs))
    return Point(float(xs[n]), float(ys[n]))


def correction(found: Mask, truth: Mask) -> Point | None:
    """The middle of the largest error; None where there is none to speak of."""
    deepest = [depth(wrong) for wrong in (truth & ~found, found & ~truth)]
    keep = deepest[0].max() >= deepest[1].max()
    chosen = deepest[0] if keep else deepest[1]
    if chosen.max() < 2:
        return None
    y, x = np.unravel_index(int(chosen.argmax()), chosen.shape)
    return Point(float(x), float(y), bool(keep))


def started(alpha: Matte, rng: np.random.Generator) -> Floats:
    """The planes of the marks that say what the subject is: a box, or points; `[3, H, W]`."""
    mask = alpha > 127
    kind = rng.random()
    boxed = kind < 0.5 and bool(mask.any())
    box = _around(mask, rng) if boxed else None
    points = [] if boxed and kind > 0.08 else _pointed(mask, rng)
    height, width = alpha.shape
    return prompt_maps.drawn(height, width, points, box)


def _pointed(mask: Mask, rng: np.random.Generator) -> list[Point]:
    """One to three points in the subject, and now and then one beside it."""
    found = [within(mask, rng) for _ in range(int(rng.choice([1, 1, 1, 2, 3])))]
    points = [point for point in found if point]
    aside = within(~mask, rng, 0.0)
    if aside and rng.random() < 0.3:
        points.append(Point(aside.x, aside.y, keep=False))
    return points


def _around(mask: Mask, rng: np.random.Generator) -> Box:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    loose = rng.uniform(-0.03, 0.1, 4) if rng.random() < 0.5 else rng.uniform(-0.01, 0.02, 4)
    return Box(
        max(0, x - loose[0] * width),
        max(0, y - loose[1] * height),
        min(mask.shape[1], x + width * (1 + loose[2])),
        min(mask.shape[0], y + height * (1 + loose[3])),
    )


def disturbed(alpha: Matte, rng: np.random.Generator) -> Floats:
    """A mask as it might have been carried here: shifted, bent, grown, eaten away, spilt; 0 to 1."""
    size = max(2.0, float(np.sqrt(np.count_nonzero(alpha > 127))))
    image = _bent(_shifted(as_floats(alpha / 255), size, rng), size, rng)
    if rng.random() < 0.5:
        radius = 1 + int(rng.uniform(0, 0.06) * size)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        image = as_floats(cv2.erode(image, disc) if rng.random() < 0.5 else cv2.dilate(image, disc))
    for _ in range(int(rng.choice([0, 0, 1, 1, 2, 3]))):
        _spill(image, size, rng)
    if rng.random() < 0.7:
        image = as_floats(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.5)))
    return image.clip(0, 1)  # a blur may round up


def _shifted(image: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Moved, turned and grown a little; `size` is the subject's, in pixels."""
    height, width = image.shape
    far = rng.uniform(0, 0.12) * size
    angle, grown = rng.normal(0, 0.06), np.exp(rng.normal(0, 0.06))
    linear = grown * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([width, height]) / 2
    way = np.hstack((linear, (centre - linear @ centre + rng.normal(0, 1, 2) * far)[:, None]))
    return as_floats(cv2.warpAffine(image, way, (width, height)))


def _bent(image: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Moved by a little here and a little there, smoothly."""
    height, width = image.shape
    few = as_floats(0.06 * size * rng.random() * rng.normal(0, 1, (4, 4, 2)))
    return as_floats(
        optical_flow.warp(image, as_floats(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)))
    )


def _spill(image: Floats, size: float, rng: np.random.Generator) -> None:
    """Draw an ellipse that the mask has lost, or won."""
    lost = rng.random() < 0.5
    place = within(image > 0.5 if lost or rng.random() < 0.5 else image <= 0.5, rng, 0.0)
    if place:
        axes = np.maximum(1, rng.uniform(0.05, 0.3, 2) * size).astype(int).tolist()
        centre, angle, value = (int(place.x), int(place.y)), rng.uniform(0, 180), 0.0 if lost else 1.0
        cv2.ellipse(image, centre, axes, angle, 0, 360, value, cv2.FILLED)
