"""A marked subject followed by Recorte's tracker, with the alpha of another network in the tracker's window.

A network that finds what stands out takes no marks. Where there are any, Recorte's own network, which comes
with the application, segments and tracks the subject. The other network is given the window around it at the
frame's own resolution, and those connected parts of its alpha that are the subject's replace the tracker's
coarser mask. Where the two disagree the tracker's mask stays, with a lower confidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Mask, Matte
from pipeline.imaging import guided_filter
from pipeline.models.base import Prediction, PromptedFrame
from pipeline.models.recorte.masks import hold_points
from pipeline.models.recorte.model import Recorte
from pipeline.models.window import Window
from pipeline.stream_state import State

_SHARED = 0.1
"""The share of a part of the alpha that lies in the tracker's mask, at least; else it is another object."""

_REACH = 0.06
"""The distance from the tracker's mask beyond which large pieces are other objects, as a share of the root of
its area."""

_PIECE = 0.03
"""The share of the mask's area above which a piece beyond that distance is large: a person, not a leash."""

_SOFT = 2
"""Pixels around an inside in which its soft edge lies."""

_HOLE = 0.01, 0.15
"""The shares of the mask's area between which a piece deep inside it that the alpha lacks counts as missed:
smaller ones are gaps that the mask is too coarse for, larger ones are something else that it holds."""

AGREEMENT = 0.6
"""The least overlap of alpha and mask with which the alpha is used."""


class GuidedFrame(NamedTuple):
    """A frame with the tracker's prediction."""

    frame: PromptedFrame
    prediction: Prediction
    window: Window | None
    """The part of the frame that the network is to see; None: there is no subject."""


def follow(
    tracker: Recorte, frames: Iterator[PromptedFrame], state: State | None = None
) -> Iterator[GuidedFrame]:
    """Yield each frame with the tracker's prediction and its window; `state` as in `Model.predict`."""
    waiting: list[PromptedFrame] = []

    def source() -> Iterator[PromptedFrame]:
        for frame in frames:
            waiting.append(frame)
            yield frame

    for prediction, place in tracker.follow(source(), state):
        yield GuidedFrame(waiting.pop(), prediction, place if prediction.matte.any() else None)


def refine(guided: GuidedFrame, alpha: Matte) -> Prediction:
    """Return the prediction with the network's alpha in place of the tracker's mask.

    `alpha` is `[height, width]` uint8 of the window. Points hold on their frame. The confidence is the
    tracker's, lowered by how far the alpha disagrees. A mask that was given stays.
    """
    (image, prompt), prediction, place = guided
    if place is None or (prompt and prompt.mask):
        return prediction
    mask = place.cut(prediction.matte)
    own = select(alpha, mask)
    agreement = _overlap(own > 127, mask > 127)
    confidence = prediction.confidence * min(1.0, agreement / AGREEMENT)
    if agreement < AGREEMENT:
        return prediction._replace(confidence=confidence)
    matte = place.paste(own, *image.shape[:2])
    if prompt:
        matte = hold_points(matte, place, prompt.points)
    return prediction._replace(matte=matte, confidence=confidence)


def select(alpha: Matte, mask: Matte) -> Matte:
    """Return the alpha of what a mask marks, without other objects; both `[H, W]` uint8.

    Connected parts that are mostly elsewhere are left out, and so is what is faint far from the subject. Of a
    part that is the subject and more, large pieces far from the mask are cut off, and beside the cut the mask
    bounds the alpha. Pieces of the subject that the network has missed are filled from the mask.
    """
    inside, solid = alpha > 127, mask > 127
    area = int(np.count_nonzero(solid))
    if not area:
        return np.zeros_like(alpha)
    subject = _keep_parts(inside, solid, _SHARED)
    result = np.where(_grow(inside & ~subject, _SOFT) & ~subject, 0, alpha)
    reach = max(2 * _SOFT, round(_REACH * area**0.5))
    far = _pieces(subject & ~_grow(solid, reach), _PIECE * area, inside.size)
    if far.any():
        result = np.where(_grow(far, 2 * reach), np.minimum(result, mask), result)
    # What is faint elsewhere is the rest of something that the network half sees.
    result = np.where(_grow(solid | (subject & ~far), 2 * reach), result, 0)
    deep = guided_filter.erode(solid.astype(np.uint8), reach) > 0
    missed = _pieces(deep & (result <= 127), _HOLE[0] * area, _HOLE[1] * area)
    if missed.any():
        result = np.where(_grow(missed, 2 * reach), np.maximum(result, mask), result)
    return np.asarray(result, np.uint8)


def _pieces(mask: Mask, least: float, most: float) -> Mask:
    """Return the connected parts whose area, in pixels, lies above `least` and below `most`."""
    if not mask.any():
        return mask
    numbers = np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1], np.int32)
    areas = np.bincount(numbers.ravel())
    kept = (areas > least) & (areas < most)
    kept[0] = False
    return np.asarray(kept[numbers])


def _keep_parts(inside: Mask, solid: Mask, share: float) -> Mask:
    """Return the connected parts of which at least this share lies in `solid`."""
    numbers = np.asarray(cv2.connectedComponents(inside.astype(np.uint8))[1], np.int32)
    areas = np.bincount(numbers.ravel())
    common = np.bincount(numbers[solid], minlength=len(areas))
    kept = common >= share * areas
    kept[0] = False
    return np.asarray(kept[numbers])


def _grow(mask: NDArray[np.bool_], radius: int) -> Mask:
    return np.asarray(guided_filter.dilate(mask.astype(np.uint8), radius) > 0)


def _overlap(one: Mask, other: Mask) -> float:
    return int(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))
