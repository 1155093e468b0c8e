"""Review of a cut: lowers the confidence of mattes that look implausible.

A model that has drifted to another object is often confident. Its masks are therefore compared with the
prompted frames and with the previous frame: a mask that is empty, that jumps in size or place, or whose
colours are no longer the subject's gets a low confidence, whatever the model's own. Colours are compared
as in Swain and Ballard, "Color Indexing" (IJCV 1991), by the intersection of histograms.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Matte
from pipeline.models import LOW_CONFIDENCE, Prediction
from pipeline.stream_state import State

_WIDTH, _HEIGHT = 160, 90
"""Size at which a frame is compared: enough for areas and colours."""

_NOTHING = 1e-4
"""Share of the picture below which a mask counts as empty."""

_LOST = 0.05
"""Share of the prompted subject's area below which it counts as lost."""

_UNLIKE, _ALIKE = 0.6, 0.66
"""Shares of common colours below which a mask gets a low confidence, and above which that ends.
In hand-made masks of subjects that turn, come nearer and run it stays above 0.68."""

_GROWN = 2.5
"""Largest factor by which a mask's area can grow or shrink from one frame to the next."""

_LONGEST_JUMP = 3.0
"""Longest way, in its own widths, that a mask can move between frames where it does not overlap itself."""

_MOST = 4
"""Most prompted frames to compare with: the first, and the latest ones."""

_CELLS = (8, 16, 16)
"""Of the histograms: lightness, a and b; finer in hue, which shade does not change."""


class _PromptedSubject(NamedTuple):
    """Subject on a prompted frame."""

    area: float
    """Share of the picture."""
    colours: Floats


class Review:
    """Review of one stream: call it with each frame and its prediction, in order."""

    def __init__(self) -> None:
        self._prompted: list[_PromptedSubject] = []
        self._before: Matte | None = None
        """Mask on the previous frame, small; None: it was empty, or another scene ended there."""
        self._unlike = False

    def state(self) -> State:
        """Return the state behind the latest frame, as plain data."""
        return {
            "areas": [subject.area for subject in self._prompted],
            "colours": [subject.colours for subject in self._prompted],
            "before": self._before,
            "unlike": self._unlike,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Create a review that continues from a state."""
        review = cls()
        review._prompted = [
            _PromptedSubject(*subject) for subject in zip(state["areas"], state["colours"], strict=True)
        ]
        review._before, review._unlike = state["before"], state["unlike"]
        return review

    def begin_scene(self) -> None:
        """Expect a frame of another scene next, where the mask may be anywhere."""
        self._before = None

    def __call__(self, image: Image, prediction: Prediction, prompted: bool) -> Prediction:
        """Return the prediction, its confidence below LOW_CONFIDENCE where the mask cannot be right.

        `prompted`: the user has prompted this frame.
        """
        size = _WIDTH, _HEIGHT
        mask = np.asarray(cv2.resize(prediction.matte, size, interpolation=cv2.INTER_AREA), np.uint8)
        before, self._before = self._before, mask if mask.any() else None
        area = float(mask.mean()) / 255
        if area < _NOTHING:
            return _lower_confidence(prediction)
        if prompted or self._prompted:
            small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            colours = _colours(small, mask)
        if prompted:
            # A frame that the user has prompted counts as right.
            self._prompted = [
                *self._prompted[:1],
                *self._prompted[1:][2 - _MOST :],
                _PromptedSubject(area, colours),
            ]
            self._unlike = False
            return prediction
        if self._prompted:
            if area < _LOST * min(subject.area for subject in self._prompted):
                return _lower_confidence(prediction)
            common = max(float(np.minimum(subject.colours, colours).sum()) for subject in self._prompted)
            self._unlike = common < (_ALIKE if self._unlike else _UNLIKE)
        jumped = before is not None and _has_jumped(before, mask)
        return _lower_confidence(prediction) if self._unlike or jumped else prediction


def _lower_confidence(prediction: Prediction) -> Prediction:
    return prediction._replace(confidence=min(prediction.confidence, LOW_CONFIDENCE / 2))


def _has_jumped(before: Matte, mask: Matte) -> bool:
    """Return True if a mask has jumped in size or place since the previous frame; both `[h, w]` uint8."""
    areas = float(before.sum()) / 255, float(mask.sum()) / 255
    if max(areas) > _GROWN * min(areas):
        return True
    if np.minimum(before, mask).any():
        return False
    distance = np.linalg.norm(np.subtract(_centre(before), _centre(mask)))
    return bool(distance > _LONGEST_JUMP * np.sqrt(max(areas)))


def _centre(mask: Matte) -> tuple[float, float]:
    weights = mask.astype(np.float64)
    total = weights.sum()
    return (
        float((weights.sum(0) * np.arange(mask.shape[1])).sum() / total),
        float((weights.sum(1) * np.arange(mask.shape[0])).sum() / total),
    )


def _colours(picture: Image, mask: Matte) -> Floats:
    """Return the smoothed colour histogram within the mask; `[cells]` float32, its sum is 1."""
    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), np.int32)
    # Pictures rarely leave the middle half of the a and b axes.
    a, b = (np.clip((lab[..., axis] - 64) >> 3, 0, 15) for axis in (1, 2))
    bins = ((lab[..., 0] >> 5) * _CELLS[1] + a) * _CELLS[2] + b
    counts = np.bincount(bins.ravel(), mask.ravel(), int(np.prod(_CELLS))).reshape(_CELLS)
    near = np.array([0.25, 0.5, 0.25], np.float32)
    planes = [cv2.sepFilter2D(plane, -1, near, near) for plane in counts.astype(np.float32)]
    smooth = cv2.sepFilter2D(np.stack(planes).reshape(_CELLS[0], -1), -1, np.ones(1, np.float32), near)
    return np.asarray(smooth.ravel() / max(1e-6, float(smooth.sum())), np.float32)
