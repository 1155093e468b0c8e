"""Simulated user prompts and simulated earlier masks, made from true masks.

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


def distance_to_edge(mask: Mask) -> Floats:
    """Return each mask pixel's distance to the mask's edge or the picture's border, `[H, W]`, pixels."""
    padded = np.pad(mask.astype(np.uint8), 1)
    return as_floats(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1]


def random_point(mask: Mask, rng: np.random.Generator, min_depth: float = 0.4) -> Point | None:
    """Return a random point well inside a mask; None if the mask is less than two pixels deep.

    `min_depth` is the least distance to the edge, as a share of the largest one.
    """
    distance = distance_to_edge(mask)
    if distance.max() < 2:
        return None
    ys, xs = (distance >= min_depth * distance.max()).nonzero()
    n = rng.integers(len(xs))
    return Point(float(xs[n]), float(ys[n]))


def correction_click(predicted: Mask, truth: Mask) -> Point | None:
    """Return a click in the middle of the largest error; None if no error is two pixels deep."""
    distances = [distance_to_edge(wrong) for wrong in (truth & ~predicted, predicted & ~truth)]
    keep = distances[0].max() >= distances[1].max()
    largest = distances[0] if keep else distances[1]
    if largest.max() < 2:
        return None
    y, x = np.unravel_index(int(largest.argmax()), largest.shape)
    return Point(float(x), float(y), bool(keep))


def simulate_prompts(alpha: Matte, rng: np.random.Generator) -> Floats:
    """Return the prompt maps of a simulated first prompt, a box or points; `[3, H, W]`, 0 to 1."""
    mask = alpha > 127
    kind = rng.random()
    with_box = kind < 0.5 and bool(mask.any())
    box = _sample_box(mask, rng) if with_box else None
    points = [] if with_box and kind > 0.08 else _sample_points(mask, rng)
    height, width = alpha.shape
    return prompt_maps.draw(height, width, points, box)


def _sample_points(mask: Mask, rng: np.random.Generator) -> list[Point]:
    """Sample one to three points in the subject, and sometimes one outside it."""
    drawn = [random_point(mask, rng) for _ in range(int(rng.choice([1, 1, 1, 2, 3])))]
    points = [point for point in drawn if point]
    outside = random_point(~mask, rng, 0.0)
    if outside and rng.random() < 0.3:
        points.append(Point(outside.x, outside.y, keep=False))
    return points


def _sample_box(mask: Mask, rng: np.random.Generator) -> Box:
    """Sample a box around the mask, tight or loose."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    margins = rng.uniform(-0.03, 0.1, 4) if rng.random() < 0.5 else rng.uniform(-0.01, 0.02, 4)
    return Box(
        max(0, x - margins[0] * width),
        max(0, y - margins[1] * height),
        min(mask.shape[1], x + width * (1 + margins[2])),
        min(mask.shape[0], y + height * (1 + margins[3])),
    )


def perturb_mask(alpha: Matte, rng: np.random.Generator) -> Floats:
    """Return a mask with simulated propagation errors: moved, bent, dilated or eroded, with blobs; 0 to 1."""
    size = max(2.0, float(np.sqrt(np.count_nonzero(alpha > 127))))
    image = _bend(_transform(as_floats(alpha / 255), size, rng), size, rng)
    if rng.random() < 0.5:
        radius = 1 + int(rng.uniform(0, 0.06) * size)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        image = as_floats(cv2.erode(image, disc) if rng.random() < 0.5 else cv2.dilate(image, disc))
    for _ in range(int(rng.choice([0, 0, 1, 1, 2, 3]))):
        _draw_blob(image, size, rng)
    if rng.random() < 0.7:
        image = as_floats(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.5)))
    return image.clip(0, 1)  # a blur may round up


def _transform(image: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Apply a small random shift, rotation and scale; `size` is the subject's, in pixels."""
    height, width = image.shape
    shift = rng.uniform(0, 0.12) * size
    angle, scale = rng.normal(0, 0.06), np.exp(rng.normal(0, 0.06))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([width, height]) / 2
    affine = np.hstack((linear, (centre - linear @ centre + rng.normal(0, 1, 2) * shift)[:, None]))
    return as_floats(cv2.warpAffine(image, affine, (width, height)))


def _bend(image: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Warp an image by a small smooth random flow; `size` is the subject's, in pixels."""
    height, width = image.shape
    coarse_flow = as_floats(0.06 * size * rng.random() * rng.normal(0, 1, (4, 4, 2)))
    return as_floats(
        optical_flow.warp(
            image, as_floats(cv2.resize(coarse_flow, (width, height), interpolation=cv2.INTER_CUBIC))
        )
    )


def _draw_blob(image: Floats, size: float, rng: np.random.Generator) -> None:
    """Draw an ellipse that is missing from the mask, or falsely added to it."""
    removed = rng.random() < 0.5
    point = random_point(image > 0.5 if removed or rng.random() < 0.5 else image <= 0.5, rng, 0.0)
    if point:
        axes = np.maximum(1, rng.uniform(0.05, 0.3, 2) * size).astype(int).tolist()
        centre, angle, value = (int(point.x), int(point.y)), rng.uniform(0, 180), 0.0 if removed else 1.0
        cv2.ellipse(image, centre, axes, angle, 0, 360, value, cv2.FILLED)
