"""Tracking of a mask from frame to frame with a network that segments single frames by prompts.

On each following frame the mask is warped by dense flow, and the network is prompted with the box around the
warped mask, the warped mask itself, and a few points deep inside it. The confidence is the product of the
network's score, the overlap of its mask with the warped one, and the similarity of colours.

Such a network always returns a mask, also of another object. Its colours decide if it is the subject: they
are compared with the subject's as in Swain and Ballard, "Color Indexing" (IJCV 1991), by the intersection of
histograms; an occluded subject is searched by their backprojection, near where it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Mask, as_floats
from pipeline.imaging import guided_filter, mask_files, optical_flow, strokes
from pipeline.models.base import LOW_CONFIDENCE, Prediction
from pipeline.models.segmenter import FrameView, initial_masks
from pipeline.prompts import Point, Prompt
from pipeline.stream_state import State

_OUTSIDE = -10.0
"""The logit of places outside the picture."""

_LOST, _AGAIN = 0.05, 0.1
"""The shares of its area below which the subject counts as occluded, and above which it is redetected."""

_WHOLE = 0.9
"""The share of its area from which on it counts as visible whole."""

_ALIKE = 0.6
"""The share of a mask that has the subject's colours, from which on it may be the subject."""

_RELIT = 0.5
"""The share of a picture's colours that the next one has at least, unless the light has changed."""

_ROOM = 1.5
"""Largest area taken for the subject, as a multiple of its usual one."""


class MaskTracker:
    """The state of one stream: the subject's mask and appearance. Call it with each frame and its marks."""

    def __init__(self) -> None:
        self._before: FrameView | None = None
        self._logits: Floats | None = None
        """The mask on the frame before, on the working grid; None: the subject was not visible."""
        self._appearance: Appearance | None = None
        """None: there were no marks yet."""

    def state(self) -> State:
        """Return the state behind the latest frame, as plain data.

        The attributes of `Appearance` are keys of saved states: they stay.
        """
        return {
            "before": None if self._before is None else self._before.image,
            "logits": self._logits,
            "known": None if self._appearance is None else dict(vars(self._appearance)),
        }

    @classmethod
    def from_state(cls, state: State, view: Callable[[Image], FrameView]) -> Self:
        """Restore a tracker from what `state` returned; `view` makes the view of a frame."""
        tracker = cls()
        tracker._before = None if state["before"] is None else view(state["before"])
        tracker._logits = state["logits"]
        tracker._appearance = None if state["known"] is None else Appearance(**state["known"])
        return tracker

    def __call__(self, view: FrameView, prompt: Prompt | None) -> Prediction:
        before, self._before = self._before, view
        motion = None
        if self._appearance is not None and before is not None:
            motion = Motion(view, before, self._logits)
            self._appearance.predict(motion.camera)
            # A subject of which almost nothing is left is occluded, or left the picture.
            self._logits = motion.logits if self._appearance.is_visible(motion.mask) else None
        if prompt and prompt.mask is not None:
            return self._take_mask(view, prompt)
        if prompt and prompt.candidate is None:  # a chosen candidate is that of the click alone
            prompt = strokes.with_points(prompt, *view.size)
        if prompt and (prompt.initialises or self._logits is not None):
            return self._apply_prompt(view, prompt)
        if self._appearance is None or motion is None:
            return Prediction(view.empty_matte(), 0.0)
        if self._logits is None:
            return self._redetect(view, self._appearance)
        return self._track(view, self._appearance, motion)

    def _apply_prompt(self, view: FrameView, prompt: Prompt) -> Prediction:
        """Segment by the marks, which initialise the subject or correct the tracked mask."""
        if self._logits is None or prompt.box is not None or prompt.candidate is not None:
            masks = initial_masks(view, prompt)
            best = max(range(len(masks)), key=lambda n: masks[n].score)
            result = masks[best if prompt.candidate is None else prompt.candidate]
        else:
            mask = self._logits > 0
            for point in prompt.points:
                mask[view.pixel(point)] |= point.keep
            (result,) = view.segment(Prompt(points=prompt.points, box=view.box(mask)), self._logits)
        logits = view.paint(result.logits, prompt.strokes)
        self._appearance = Appearance.from_mask(view, logits > 0)
        return self._accept(view, logits, result.score)

    def _take_mask(self, view: FrameView, prompt: Prompt) -> Prediction:
        """Begin anew with the mask that was given, which points correct."""
        matte = mask_files.of_prompt(prompt, *view.size)
        if matte is None:
            raise RuntimeError("The prompt has no mask.")
        logits, score = view.logits(matte), 1.0
        if prompt.points:
            mask = logits > 0
            for point in prompt.points:
                mask[view.pixel(point)] |= point.keep
            (result,) = view.segment(Prompt(points=prompt.points, box=view.box(mask)), logits)
            logits, score = view.paint(result.logits, prompt.strokes), result.score
        self._appearance = Appearance.from_mask(view, logits > 0)
        prediction = self._accept(view, logits, score)
        return prediction if prompt.points else prediction._replace(matte=matte)

    def _track(self, view: FrameView, appearance: Appearance, motion: Motion) -> Prediction:
        """Segment around the warped mask; accept that, or the warped mask, if it matches the subject."""
        if motion.light_changed:
            appearance.reset_colours(view, motion.mask)
        target, points = motion.mask, _interior_points(view, motion.mask, motion.trusted)
        if not appearance.is_whole(motion.mask):
            # It is partly occluded: no point may lie on the occluder, and the flow does not lead to the parts
            # that appear behind it.
            points = _interior_points(view, motion.mask, motion.trusted & appearance.backproject(view))
            parts = appearance.find_parts(view, appearance.search_area(view, 0.1)) & ~_dilate(motion.mask)
            if appearance.is_visible(parts):
                target = motion.mask | parts
                points += _interior_points(view, parts, count=1)
        (result,) = view.segment(Prompt(points=points, box=view.box(target)), motion.logits)
        mask = result.logits > 0
        agreement = max(_overlap(mask, motion.mask), _overlap(mask, target))
        confidence = result.score * agreement * appearance.similarity(view, mask)
        if confidence >= LOW_CONFIDENCE:
            appearance.update(view, mask, motion)
            return self._accept(view, result.logits, confidence)
        # Neither mask is certain. The network's may be right where the outline changed suddenly; the warped
        # one cannot drift to another object.
        if appearance.matches(view, mask) and (mask & motion.mask).sum() > 0.5 * motion.mask.sum():
            return self._accept(view, result.logits, confidence)
        if appearance.matches(view, motion.mask):
            return self._accept(view, motion.logits, confidence)
        return self._mark_occluded(view)

    def _redetect(self, view: FrameView, appearance: Appearance) -> Prediction:
        """Search the subject by its colours near where it should be; an empty mask where it is not found."""
        region = _largest_part(appearance.find_parts(view, appearance.search_area(view, 0.5)))
        if region.sum() < _AGAIN * appearance.area:
            return self._mark_occluded(view)
        marks = Prompt(points=_interior_points(view, region, count=1), box=view.box(region))
        (result,) = view.segment(marks)
        mask = result.logits > 0
        confidence = result.score * appearance.similarity(view, mask)
        if (
            confidence < LOW_CONFIDENCE
            or not appearance.matches(view, mask)
            or (mask & region).sum() < 0.5 * region.sum()
        ):
            return self._mark_occluded(view)
        appearance.reset_position(mask)
        return self._accept(view, result.logits, confidence)

    def _accept(self, view: FrameView, logits: Floats, confidence: float) -> Prediction:
        if self._appearance is None or not self._appearance.is_visible(logits > 0):
            return self._mark_occluded(view)
        self._logits = logits
        return Prediction(view.matte(logits), confidence)

    def _mark_occluded(self, view: FrameView) -> Prediction:
        self._logits = None
        return Prediction(view.empty_matte(), 0.0)


class Motion:
    """Motion from one frame to the next: the flow, the camera's part of it, and the warped mask."""

    def __init__(self, view: FrameView, before: FrameView, logits: Floats | None) -> None:
        flow = optical_flow.flow(view.grey, before.grey)
        self.trusted: Mask = optical_flow.trusted(flow, optical_flow.flow(before.grey, view.grey))
        self.logits = np.full(view.grid, _OUTSIDE, np.float32)
        if logits is not None:
            self.logits = as_floats(optical_flow.warp(logits, flow, border=_OUTSIDE))
        self.mask: Mask = self.logits > 0
        shared = np.minimum(_histogram(view), _histogram(before)).sum()
        self.light_changed = bool(shared < _RELIT)
        """True if the whole picture has other colours."""
        background = optical_flow.estimate_homography(flow, self.trusted & ~self.mask)
        self.camera = optical_flow.camera_flow(background, *view.grid)
        """The flow, to the frame before, of what stands still."""
        core = self.mask & self.trusted
        self.own = np.median((self.camera - flow)[core], axis=0) if core.any() else None
        """The subject's motion against the background, x and y, in pixels; None: it cannot be measured."""


@dataclass
class Appearance:
    """A subject's appearance and position, from the frames on which it was predicted with confidence."""

    area: float
    """Pixels of the working grid that it covers when visible whole."""
    first: Floats
    """Its colours on the frame that was marked, as `_histogram`."""
    colours: Floats
    place: NDArray[np.float64]
    """The top left and the bottom right corner of all of it, extrapolated; `[2, 2]`, x before y."""
    seen_at: NDArray[np.float64]
    """The corners where it was last visible."""
    speed: NDArray[np.float64]
    """Against the background, in pixels per frame, averaged over the last frames."""
    followed: int = 0

    @classmethod
    def from_mask(cls, view: FrameView, mask: Mask) -> Self:
        """Create it on the marked frame."""
        colours, place = _histogram(view, mask), _corners(mask)
        return cls(max(1.0, float(mask.sum())), colours, colours, place, place, np.zeros(2))

    def is_visible(self, mask: Mask) -> bool:
        """Return True if the mask covers more than a small share of the subject."""
        return bool(mask.sum() > _LOST * self.area)

    def is_whole(self, mask: Mask) -> bool:
        """Return True if the mask covers about all of it."""
        return bool(mask.sum() > _WHOLE * self.area)

    def update(self, view: FrameView, mask: Mask, motion: Motion) -> None:
        """Update it with a mask of high confidence."""
        if self.is_whole(mask):  # a part would drop the colours of the rest
            self.colours = 0.95 * self.colours + 0.04 * _histogram(view, mask) + 0.01 * self.first
            if motion.own is not None:
                self.followed += 1
                self.speed += max(0.3, 1 / self.followed) * (motion.own - self.speed)
        self.area = max(0.98 * self.area, float(mask.sum()))
        self._set_position(mask)

    def reset_colours(self, view: FrameView, mask: Mask) -> None:
        """Take its colours from this mask alone, after a change of light."""
        self.first = self.colours = _histogram(view, mask)

    def reset_position(self, mask: Mask) -> None:
        """Set its position after an occlusion; its speed is unknown then."""
        self.speed, self.followed = np.zeros(2), 0
        self._set_position(mask)

    def _set_position(self, mask: Mask) -> None:
        """Set its position to that of the mask."""
        extent = _corners(mask)
        if self.is_whole(mask):
            self.place = extent
        else:  # partly visible: shift the predicted extent so that it contains the visible part
            self.place = self.place + np.minimum(extent[0] - self.place[0], 0)
            self.place = self.place + np.maximum(extent[1] - self.place[1], 0)
        self.seen_at = self.place

    def predict(self, camera: Floats) -> None:
        """Extrapolate its position by the camera's motion and its own; `camera` is the flow backwards."""
        height, width = camera.shape[:2]
        x, y = self.place.mean(0)
        shift = camera[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]
        self.place = self.place - shift + self.speed
        self.seen_at = self.seen_at - shift

    def search_area(self, view: FrameView, room: float) -> NDArray[np.float64]:
        """Return the area to search: from where it was last visible to where it should be.

        Two corners, `[2, 2]`; `room` is a share of its size.
        """
        both = np.vstack((self.place, self.seen_at))
        both = both.clip(0, view.grid[::-1])  # it reappears where it left the picture
        margin = room * np.ptp(self.place, axis=0) + 0.25 * np.abs(self.place - self.seen_at).max(0)
        return np.stack((both.min(0) - margin, both.max(0) + margin))

    def similarity(self, view: FrameView, mask: Mask) -> float:
        """Return the similarity of the mask's colours to the subject's, 0 to 1."""
        return min(1.0, self._shared_colours(view, mask) / _ALIKE)

    def matches(self, view: FrameView, mask: Mask) -> bool:
        """Return True if the mask may be the subject: by its colours, and not too large."""
        return self._shared_colours(view, mask) > _ALIKE and mask.sum() < _ROOM * self.area

    def _shared_colours(self, view: FrameView, mask: Mask) -> float:
        """Return the share of the mask that has the subject's colours, each as often as it has them."""
        count = mask.sum()
        own, there = self.colours * self.area * _ROOM, _histogram(view, mask) * count
        return float(np.minimum(own, there).sum() / max(count, 1))

    def backproject(self, view: FrameView) -> Mask:
        """Return where its colours are, if they would be rare in the picture without it; `[h, w]`."""
        picture = _histogram(view) * view.grey.size
        share = as_floats(np.minimum(1, self.colours * self.area / np.maximum(picture, 1e-6)))[
            _bin_colours(view)
        ]
        radius = max(1, round(0.05 * float(np.sqrt(self.area))))
        return np.asarray((guided_filter.box(share, radius) > 0.5) & (share > 0.5))

    def find_parts(self, view: FrameView, place: NDArray[np.float64]) -> Mask:
        """Return the connected regions of its colours, of some size, that lie mostly between two corners."""
        likely = self.backproject(view)
        _, numbers, stats, _ = cv2.connectedComponentsWithStats(likely.astype(np.uint8))
        (x0, y0), (x1, y1) = np.maximum(place, 0).astype(int)
        inside = np.bincount(numbers[y0:y1, x0:x1].ravel(), minlength=len(stats))
        areas = stats[:, cv2.CC_STAT_AREA]
        accepted = (inside > 0.5 * areas) & (areas > 0.5 * _LOST * self.area) & (areas < _ROOM * self.area)
        accepted[0] = False
        return np.asarray(accepted[numbers])


def _dilate(mask: Mask) -> Mask:
    return guided_filter.dilate(mask.astype(np.uint8), 2) > 0


def _overlap(a: Mask, b: Mask) -> float:
    """Return the intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def _corners(mask: Mask) -> NDArray[np.float64]:
    """Return the top left and the bottom right corner of a mask, x before y; `[2, 2]`."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([[x, y], [x + width, y + height]], float)


def _interior_points(
    view: FrameView, mask: Mask, trusted: Mask | None = None, count: int = 3
) -> tuple[Point, ...]:
    """Return up to `count` points to keep, deep inside the mask and apart from each other."""
    inside = mask if trusted is None or not (mask & trusted).any() else mask & trusted
    # The picture's border is an edge, too.
    depth = as_floats(cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3))[1:-1, 1:-1]
    points: list[Point] = []
    deepest = float(depth.max())
    positions = optical_flow.grid(*mask.shape)
    while len(points) < count and depth.max() > 0.5 * deepest > 0:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        points.append(view.point(float(x), float(y)))
        depth[np.linalg.norm(positions - (x, y), axis=2) <= 1.5 * deepest] = 0
    return tuple(points)


def _largest_part(mask: Mask) -> Mask:
    """Return the largest connected part of a mask."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(parts == 1 + int(areas.argmax())) if len(areas) else mask


_CELLS = (8, 16, 16)
"""Histogram cells of lightness, a and b: finer in hue, which shade does not change."""


def _bin_colours(view: FrameView) -> NDArray[np.int32]:
    """Return the histogram cell of each pixel's colour, `[h, w]` int32, on the working grid."""
    lab = np.asarray(cv2.cvtColor(view.small, cv2.COLOR_RGB2LAB), np.int32)
    # Pictures rarely leave the middle half of the a and b axes.
    a, b = (np.clip((lab[..., axis] - 64) >> 3, 0, 15) for axis in (1, 2))
    return np.asarray(((lab[..., 0] >> 5) * 16 + a) * 16 + b, np.int32)


def _histogram(view: FrameView, mask: Mask | None = None) -> Floats:
    """Return the share of each colour in a mask, or in the whole picture, a little smoothed; `[cells]`."""
    bins = _bin_colours(view) if mask is None else _bin_colours(view)[mask]
    count = np.bincount(bins.ravel(), minlength=int(np.prod(_CELLS))).reshape(_CELLS).astype(np.float32)
    near = np.array([0.25, 0.5, 0.25], np.float32)
    for plane in count:
        plane[:] = cv2.sepFilter2D(plane, -1, near, near, borderType=cv2.BORDER_REFLECT)
    light = cv2.sepFilter2D(count.reshape(_CELLS[0], -1), -1, np.ones(1, np.float32), near)
    return as_floats(light.ravel() / max(1, bins.size))
