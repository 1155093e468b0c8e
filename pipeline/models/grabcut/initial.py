"""The first mask of a stream: from a box, from points, or of the subject that stands out; and corrections.

GrabCut is that of Rother, Kolmogorov and Blake (SIGGRAPH 2004).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Mask, as_floats
from pipeline.imaging import guided_filter, optical_flow, strokes
from pipeline.imaging.guided_filter import Guide
from pipeline.models.grabcut.colours import (
    Bins,
    bin_colours,
    colour_histogram,
    edge_guide,
    log_odds,
    signed_distance,
    smooth_odds,
)
from pipeline.prompts import Box, Point, Prompt, Stroke

SIDE = 480
"""Pixels of the long side of the working size."""

_WAITING_BYTES = 96 * 2**20
"""Memory for the full frames in which a subject is searched."""


def scale_points(prompt: Prompt, frame: Image, small: Image) -> tuple[Point, ...]:
    """Return the prompt's points on the working grid."""
    across, down = small.shape[1] / frame.shape[1], small.shape[0] / frame.shape[0]
    return tuple(Point(p.x * across, p.y * down, p.keep) for p in prompt.points)


def scale_strokes(prompt: Prompt, frame: Image, small: Image) -> tuple[Stroke, ...]:
    """Return the prompt's strokes on the working grid."""
    across, down = small.shape[1] / frame.shape[1], small.shape[0] / frame.shape[0]
    return tuple(
        Stroke(tuple((x * across, y * down) for x, y in s.path), s.width * across, s.keep)
        for s in prompt.strokes
    )


def mask_from_prompt(frame: Image, small: Image, prompt: Prompt) -> Floats:
    """Segment what a box is drawn around, or points to keep lie on; `[h, w]`, the working grid, 0 to 1."""
    if prompt.box is None:
        return _mask_from_points(small, scale_points(prompt, frame, small))
    large = guided_filter.shrink(frame, 1280)
    finer = large.shape[1] / frame.shape[1]
    corners = (prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1)
    mask = _segment_box(large, Box(*(c * finer for c in corners)))
    return as_floats(cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_AREA))


def _segment_box(frame: Image, box: Box) -> Floats:
    """Segment what the box is drawn around, `[H, W]`, 0 to 1: the median over three margins around it.

    GrabCut's result can hang on the last bit of a colour; what most of them agree on does not.
    """
    return as_floats(
        np.median([_segment_with_margin(frame, box, share) for share in (0.15, 0.3, 0.5)], axis=0)
    )


def _segment_with_margin(frame: Image, box: Box, share: float) -> Floats:
    """Run GrabCut on a crop of one size, whatever the subject's; `share` of the box is its margin."""
    height, width = frame.shape[:2]
    margin = share * max(box.x1 - box.x0, box.y1 - box.y0)
    left, top = int(max(0, box.x0 - margin)), int(max(0, box.y0 - margin))
    right, bottom = int(min(width, box.x1 + margin + 1)), int(min(height, box.y1 + margin + 1))
    scale = 240 / max(right - left, bottom - top)
    crop = cv2.resize(
        frame[top:bottom, left:right],
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    inside = Box(
        (box.x0 - left) * scale, (box.y0 - top) * scale, (box.x1 - left) * scale, (box.y1 - top) * scale
    )
    mask = np.zeros((height, width), np.float32)
    crop_mask = _segment_crop(np.ascontiguousarray(crop, np.uint8), inside)
    mask[top:bottom, left:right] = cv2.resize(
        crop_mask,
        (right - left, bottom - top),
        interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR,
    )
    return mask


def _segment_crop(picture: Image, box: Box) -> Floats:
    rough = _guess_in_box(picture, box)
    inside = _box_region(picture, box)
    undecided = np.where(rough > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    seeded = np.where(rough > 0.97, cv2.GC_FGD, np.where(rough < 0.03, cv2.GC_BGD, undecided))
    for start in (undecided, seeded):
        mask = _run_grabcut(picture, np.where(inside, start, cv2.GC_BGD))
        if _fills_box(mask, box):
            return mask
    return rough


def _run_grabcut(picture: Image, labels: NDArray[Any], rounds: int = 4) -> Floats:
    labels = labels.astype(np.uint8)
    # GC_FGD and GC_PR_FGD are the odd labels; without both kinds there are no two models to learn.
    if 0 < np.count_nonzero(labels & 1) < labels.size:
        cv2.setRNGSeed(0)  # its colour clusters begin with a random draw
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(picture, labels, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)
    return as_floats(labels & 1)


def _fills_box(mask: Floats, box: Box) -> bool:
    """Return True if the mask fills its box as one that a person drew around it.

    A tight box is touched by its subject on each side (Lempitsky and others, "Image Segmentation with a
    Bounding Box Prior", ICCV 2009); GrabCut at times shrinks to a speck instead.
    """
    _, _, across, down = cv2.boundingRect(mask.astype(np.uint8))
    high, wide = box.y1 - box.y0, box.x1 - box.x0
    return across > 0.6 * wide and down > 0.6 * high and bool(mask.sum() > 0.1 * high * wide)


def _box_region(picture: Image, box: Box) -> Mask:
    inside = np.zeros(picture.shape[:2], bool)
    inside[max(0, int(box.y0)) : int(np.ceil(box.y1)), max(0, int(box.x0)) : int(np.ceil(box.x1))] = True
    return inside


def _guess_in_box(picture: Image, box: Box) -> Floats:
    """Segment by the colours that a box's centre has and its surroundings have not; `[H, W]`, 0 to 1."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    off = 2 * np.hypot(
        (x - (box.x0 + box.x1) / 2) / (box.x1 - box.x0), (y - (box.y0 + box.y1) / 2) / (box.y1 - box.y0)
    )
    return _segment_by_colour(picture, 1 - off, _box_region(picture, box))


def _segment_by_colour(picture: Image, place: Floats, allowed: Mask, rounds: int = 5) -> Floats:
    """Alternate between two colour models and the mask that they and the log odds of `place` give."""
    bins, guide = bin_colours(picture), edge_guide(picture)
    mask = np.where(allowed, 1 / (1 + np.exp(-2 * place)), 0).astype(np.float32)
    for _ in range(rounds):
        odds = log_odds(colour_histogram(bins, mask), colour_histogram(bins, 1 - mask), bins)
        mask = smooth_odds(np.where(allowed, odds + place, -8).astype(np.float32), guide)
    return mask


def _mask_from_points(small: Image, points: tuple[Point, ...]) -> Floats:
    """Segment by the colours found around the points to keep; `[h, w]`, 0 to 1."""
    height, width = small.shape[:2]
    reach = 0.25 * min(height, width)
    near = np.max([np.exp(-((_distance_to(small, p) / reach) ** 2)) for p in points if p.keep], axis=0)
    return _segment_by_colour(small, (6 * near - 3).astype(np.float32), near > 0.05)


def _distance_to(small: Image, point: Point) -> Floats:
    y, x = np.mgrid[: small.shape[0], : small.shape[1]].astype(np.float32)
    return np.asarray(np.hypot(x - point.x, y - point.y), np.float32)


def correct_mask(
    small: Image, mask: Floats, points: tuple[Point, ...], painted: tuple[Stroke, ...] = ()
) -> Floats:
    """Return the mask with the surroundings of points and strokes added or removed; `[h, w]`, 0 to 1."""
    bins, guide = bin_colours(small), edge_guide(small)
    for point in points:
        distance = _distance_to(small, point)
        spot = distance < max(2.0, 0.008 * max(mask.shape))
        mask = _apply_mark(bins, guide, mask, spot, distance, point.keep)
    for stroke in painted:
        lowest, highest = strokes.bounds((stroke,), *mask.shape)
        spot = np.asarray(lowest > 127 if stroke.keep else highest <= 127)
        if spot.any():
            distance = as_floats(cv2.distanceTransform((~spot).astype(np.uint8), cv2.DIST_L2, 3))
            mask = _apply_mark(bins, guide, mask, spot, distance, stroke.keep)
    return mask


def _apply_mark(bins: Bins, guide: Guide, mask: Floats, spot: Mask, distance: Floats, keep: bool) -> Floats:
    """Return the mask after one click or stroke, which surely covers `spot`. Only what touches that changes.

    `distance` is each pixel's from the mark.
    """
    sign = 1.0 if keep else -1.0
    side = max(mask.shape)
    # A click stands for a neighbourhood in proportion to the subject.
    reach = max(0.25 * float(np.sqrt((mask > 0.5).sum())), 0.04 * side)
    near = np.exp(-((distance / reach) ** 2))
    wrong = 1 - mask if keep else mask
    beside = 0.5 * wrong * np.exp(-((distance / (0.4 * reach)) ** 2))
    likeness = log_odds(
        colour_histogram(bins, beside + spot), colour_histogram(bins, wrong * (1 - near)), bins
    )
    place = 3 * np.tanh(signed_distance(mask) / 6) + sign * (2.5 * near * (likeness + 1.5) + 20 * spot)
    probability = smooth_odds(as_floats(place), guide)
    crossed = (probability > 0.5) != (mask > 0.5)
    changed = spot | (crossed & (sign * (probability - mask) > 0))
    _, parts = cv2.connectedComponents(changed.astype(np.uint8))
    touched = changed & np.isin(parts, parts[spot])
    return as_floats(np.where(touched, np.where(spot, keep, probability), mask))


def look_ahead(frame: Image) -> int:
    """Return how many full frames may be held while a subject is searched."""
    return int(min(24, _WAITING_BYTES // frame.nbytes))


def propose_mask(small: Image, ahead: list[Image]) -> Floats:
    """Segment the subject that moves by itself, else what stands out in the centre; `[h, w]`, 0 to 1."""
    moving = _segment_moving(small, ahead)
    if moving is not None:
        return moving
    height, width = small.shape[:2]
    return _segment_box(small, Box(0.15 * width, 0.1 * height, 0.85 * width, height))


def _segment_moving(small: Image, ahead: list[Image]) -> Floats | None:
    """Segment what moves against the camera in the next frames; None: nothing of a subject's size."""
    share = np.zeros(small.shape[:2], np.float32)
    steps = ahead[1::4]
    for other in steps:
        motion, trusted = _independent_motion(small, other)
        share += (trusted & (motion > np.median(motion) + 1.5)) / np.float32(len(steps))
    moving = cv2.morphologyEx((share > 0.3).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        guided_filter.dilate(np.asarray(moving, np.uint8), 6)
    )
    if count < 2:
        return None
    # Leaves and passers-by move too: the subject is mostly in the centre.
    weights = np.bincount(parts.ravel(), (share * _centre_weight(small)).ravel())
    x, y, w, h, area = stats[1 + int(np.argmax(weights[1:]))].tolist()
    if not 0.004 < area / share.size < 0.6:
        return None
    return _segment_box(small, Box(x, y, x + w, y + h))


def _centre_weight(small: Image) -> Floats:
    """Return weights, `[h, w]`: 1 in the centre of the picture, about an eighth at its corners."""
    height, width = small.shape[:2]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    return as_floats(np.exp(-(y[:, None] ** 2) - x**2))


def _independent_motion(here: Image, there: Image) -> tuple[Floats, Mask]:
    """Return each pixel's motion relative to the camera's, in pixels, and where the flow is reliable."""
    a, b = optical_flow.grey(here), optical_flow.grey(there)
    flow = optical_flow.flow(a, b)
    trusted = optical_flow.trusted(flow, optical_flow.flow(b, a))
    camera = optical_flow.camera_flow(optical_flow.estimate_homography(flow, trusted), *a.shape)
    return np.asarray(np.linalg.norm(flow - camera, axis=2), np.float32), trusted
