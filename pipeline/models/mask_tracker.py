"""A mask carried from frame to frame by a network that answers marks on single frames.

On each next frame dense flow says where the mask should be, and the network is asked what is there: by the
box around the warped mask, the warped mask itself, and a few points deep inside it. How good it thinks its
answer is, and how far answer and warped mask agree, is the confidence.

A network that is asked always finds something. Whether that still is the subject is told by its colours: they
are compared with the subject's as in Swain and Ballard, "Color Indexing" (IJCV 1991), by the intersection of
histograms, and a subject that is hidden is looked for with their backprojection, near where it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Mask, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.models.base import LOW_CONFIDENCE, Prediction
from pipeline.models.segmenter import View, readings
from pipeline.prompts import Point, Prompt
from pipeline.propagation.stream_state import State

_OUTSIDE = -10.0
"""The logit of what was not in the picture."""

_LOST, _AGAIN = 0.05, 0.1
"""The shares of its area below which the subject counts as hidden, and above which it is seen again."""

_WHOLE = 0.9
"""The share of its area from which on it counts as seen whole."""

_ALIKE = 0.6
"""The share of a mask that has the subject's colours, from which on it may be the subject."""

_RELIT = 0.5
"""The share of a picture's colours that the next one has at least, unless the light has changed."""

_ROOM = 1.5
"""How many times the subject's usual area may be taken for it."""


class Carried:
    """One stream's subject: where it is, and what is known of it. Call it with each frame and its marks."""

    def __init__(self) -> None:
        self._before: View | None = None
        self._logits: Floats | None = None
        """The mask on the frame before; None: it was not to be seen."""
        self._known: _Known | None = None
        """None: nothing has said yet what the subject is."""

    def state(self) -> State:
        """What it takes to go on with the next frame, as plain data."""
        return {
            "before": None if self._before is None else self._before.image,
            "logits": self._logits,
            "known": None if self._known is None else dict(vars(self._known)),
        }

    @classmethod
    def restored(cls, state: State, view: Callable[[Image], View]) -> Self:
        """One that goes on where `state` was taken."""
        carried = cls()
        carried._before = None if state["before"] is None else view(state["before"])
        carried._logits = state["logits"]
        carried._known = None if state["known"] is None else _Known(**state["known"])
        return carried

    def __call__(self, view: View, prompt: Prompt | None) -> Prediction:
        before, self._before = self._before, view
        move = None
        if self._known is not None and before is not None:
            move = _Move(view, before, self._logits)
            self._known.follow(move.camera)
            # What next to nothing is left of is hidden, or left the picture.
            self._logits = move.logits if self._known.seen(move.mask) else None
        if prompt and (prompt.initialises or self._logits is not None):
            return self._told(view, prompt)
        if self._known is None or move is None:
            return Prediction(view.empty(), 0.0)
        if self._logits is None:
            return self._sought(view, self._known)
        return self._followed(view, self._known, move)

    def _told(self, view: View, prompt: Prompt) -> Prediction:
        """What the person's marks say, by themselves or of the mask that was carried here."""
        if self._logits is None or prompt.box is not None or prompt.candidate is not None:
            found = readings(view, prompt)
            best = max(range(len(found)), key=lambda n: found[n].score)
            reading = found[best if prompt.candidate is None else prompt.candidate]
        else:
            mask = self._logits > 0
            for point in prompt.points:
                mask[view.pixel(point)] |= point.keep
            (reading,) = view.ask(Prompt(points=prompt.points, box=view.box(mask)), self._logits)
        self._known = _Known.shown(view, reading.logits > 0)
        return self._settled(view, reading.logits, reading.score)

    def _followed(self, view: View, known: _Known, move: _Move) -> Prediction:
        """The network's answer to the warped mask, if it is the subject; else what is."""
        if move.relit:
            known.relearn(view, move.mask)
        asked, points = move.mask, _interior(view, move.mask, move.trusted)
        if not known.whole(move.mask):
            # Something stands before it: no point may lie on that, and what comes out behind it is not found
            # by the flow.
            points = _interior(view, move.mask, move.trusted & known.likely(view))
            parts = known.parts(view, known.surroundings(view, 0.1)) & ~_grown(move.mask)
            if known.seen(parts):
                asked = move.mask | parts
                points += _interior(view, parts, count=1)
        (reading,) = view.ask(Prompt(points=points, box=view.box(asked)), move.logits)
        mask = reading.logits > 0
        agreement = max(_agreement(mask, move.mask), _agreement(mask, asked))
        confidence = reading.score * agreement * known.likeness(view, mask)
        if confidence >= LOW_CONFIDENCE:
            known.learn(view, mask, move)
            return self._settled(view, reading.logits, confidence)
        # Neither is sure. The answer may be right where the subject changed its outline suddenly; the warped
        # mask cannot run away.
        if known.fits(view, mask) and (mask & move.mask).sum() > 0.5 * move.mask.sum():
            return self._settled(view, reading.logits, confidence)
        if known.fits(view, move.mask):
            return self._settled(view, move.logits, confidence)
        return self._hidden(view)

    def _sought(self, view: View, known: _Known) -> Prediction:
        """The subject, where it comes out again; else nothing."""
        place = _largest(known.parts(view, known.surroundings(view, 0.5)))
        if place.sum() < _AGAIN * known.area:
            return self._hidden(view)
        marks = Prompt(points=_interior(view, place, count=1), box=view.box(place))
        (reading,) = view.ask(marks)
        mask = reading.logits > 0
        confidence = reading.score * known.likeness(view, mask)
        if (
            confidence < LOW_CONFIDENCE
            or not known.fits(view, mask)
            or (mask & place).sum() < 0.5 * place.sum()
        ):
            return self._hidden(view)
        known.find(mask)
        return self._settled(view, reading.logits, confidence)

    def _settled(self, view: View, logits: Floats, confidence: float) -> Prediction:
        if self._known is None or not self._known.seen(logits > 0):
            return self._hidden(view)
        self._logits = logits
        return Prediction(view.matte(logits), confidence)

    def _hidden(self, view: View) -> Prediction:
        self._logits = None
        return Prediction(view.empty(), 0.0)


class _Move:
    """From one frame to the next: the flow, the camera, and the mask that they carry."""

    def __init__(self, view: View, before: View, logits: Floats | None) -> None:
        way = optical_flow.flow(view.grey, before.grey)
        self.trusted: Mask = optical_flow.trusted(way, optical_flow.flow(before.grey, view.grey))
        self.logits = np.full(view.grid, _OUTSIDE, np.float32)
        if logits is not None:
            self.logits = as_floats(optical_flow.warp(logits, way, border=_OUTSIDE))
        self.mask: Mask = self.logits > 0
        shared = np.minimum(_histogram(view), _histogram(before)).sum()
        self.relit = bool(shared < _RELIT)
        """Whether everything has other colours."""
        background = optical_flow.camera(way, self.trusted & ~self.mask)
        self.camera = optical_flow.camera_way(background, *view.grid)
        """The way back of what stands still."""
        core = self.mask & self.trusted
        self.own = np.median((self.camera - way)[core], axis=0) if core.any() else None
        """How the subject moved against the background, x and y; None where that cannot be seen."""


@dataclass
class _Known:
    """What is known of a subject from the frames on which it was surely seen."""

    area: float
    """What it covers when it is to be seen whole, in pixels of the working grid."""
    first: Floats
    """Its colours on the frame that says what it is, as `_histogram`."""
    colours: Floats
    place: NDArray[np.float64]
    """The top left and the bottom right corner of all of it, as far as it went on as it went before."""
    seen_at: NDArray[np.float64]
    """Those of where it was seen last."""
    speed: NDArray[np.float64]
    """Against the background, in pixels a frame, as it went lately."""
    followed: int = 0

    @classmethod
    def shown(cls, view: View, mask: Mask) -> Self:
        """As it is on the frame that says what it is."""
        colours, place = _histogram(view, mask), _extent(mask)
        return cls(max(1.0, float(mask.sum())), colours, colours, place, place, np.zeros(2))

    def seen(self, mask: Mask) -> bool:
        """Whether more than next to nothing of it is in this mask."""
        return bool(mask.sum() > _LOST * self.area)

    def whole(self, mask: Mask) -> bool:
        """Whether the mask is about all of it."""
        return bool(mask.sum() > _WHOLE * self.area)

    def learn(self, view: View, mask: Mask, move: _Move) -> None:
        """Take in a mask that is believed."""
        if self.whole(mask):  # of a part the rest would be unlearnt
            self.colours = 0.95 * self.colours + 0.04 * _histogram(view, mask) + 0.01 * self.first
            if move.own is not None:
                self.followed += 1
                self.speed += max(0.3, 1 / self.followed) * (move.own - self.speed)
        self.area = max(0.98 * self.area, float(mask.sum()))
        self.stand(mask)

    def relearn(self, view: View, mask: Mask) -> None:
        """Take its colours from this mask alone: the light has changed."""
        self.first = self.colours = _histogram(view, mask)

    def find(self, mask: Mask) -> None:
        """It is here, after it was hidden; how it moves now is not known."""
        self.speed, self.followed = np.zeros(2), 0
        self.stand(mask)

    def stand(self, mask: Mask) -> None:
        """It is here."""
        extent = _extent(mask)
        if self.whole(mask):
            self.place = extent
        else:  # the rest of it lies where it would be, but so that this is a part of it
            self.place = self.place + np.minimum(extent[0] - self.place[0], 0)
            self.place = self.place + np.maximum(extent[1] - self.place[1], 0)
        self.seen_at = self.place

    def follow(self, camera: Floats) -> None:
        """Go on with the background and by itself; `camera` is the way back to the frame before."""
        height, width = camera.shape[:2]
        x, y = self.place.mean(0)
        way = camera[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]
        self.place = self.place - way + self.speed
        self.seen_at = self.seen_at - way

    def surroundings(self, view: View, room: float) -> NDArray[np.float64]:
        """Where one would look for it: from where it was seen last to where it should be.

        Two corners; `room` is a share of its size.
        """
        both = np.vstack((self.place, self.seen_at))
        both = both.clip(0, view.grid[::-1])  # where it left the picture it comes in again
        margin = room * np.ptp(self.place, axis=0) + 0.25 * np.abs(self.place - self.seen_at).max(0)
        return np.stack((both.min(0) - margin, both.max(0) + margin))

    def likeness(self, view: View, mask: Mask) -> float:
        """1 where the mask has the subject's colours, falling to 0 as it has others."""
        return min(1.0, self._shared(view, mask) / _ALIKE)

    def fits(self, view: View, mask: Mask) -> bool:
        """Whether the mask may be the subject: by its colours, and not too large."""
        return self._shared(view, mask) > _ALIKE and mask.sum() < _ROOM * self.area

    def _shared(self, view: View, mask: Mask) -> float:
        """The share of the mask that has the subject's colours, none of them more often than it has them."""
        count = mask.sum()
        own, there = self.colours * self.area * _ROOM, _histogram(view, mask) * count
        return float(np.minimum(own, there).sum() / max(count, 1))

    def likely(self, view: View) -> Mask:
        """Where its colours are to be seen and would be rare in the picture without it."""
        picture = _histogram(view) * view.grey.size
        share = as_floats(np.minimum(1, self.colours * self.area / np.maximum(picture, 1e-6)))[_bins(view)]
        radius = max(1, round(0.05 * float(np.sqrt(self.area))))
        return np.asarray((guided_filter.box(share, radius) > 0.5) & (share > 0.5))

    def parts(self, view: View, place: NDArray[np.float64]) -> Mask:
        """Connected regions of its colours, of some size, that lie between two corners for the most part."""
        likely = self.likely(view)
        _, numbers, stats, _ = cv2.connectedComponentsWithStats(likely.astype(np.uint8))
        (x0, y0), (x1, y1) = np.maximum(place, 0).astype(int)
        inside = np.bincount(numbers[y0:y1, x0:x1].ravel(), minlength=len(stats))
        areas = stats[:, cv2.CC_STAT_AREA]
        taken = (inside > 0.5 * areas) & (areas > 0.5 * _LOST * self.area) & (areas < _ROOM * self.area)
        taken[0] = False
        return np.asarray(taken[numbers])


def _grown(mask: Mask) -> Mask:
    return guided_filter.dilate(mask.astype(np.uint8), 2) > 0


def _agreement(a: Mask, b: Mask) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def _extent(mask: Mask) -> NDArray[np.float64]:
    """The top left and the bottom right corner of a mask, x before y; `[2, 2]`."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([[x, y], [x + width, y + height]], float)


def _interior(view: View, mask: Mask, trusted: Mask | None = None, count: int = 3) -> tuple[Point, ...]:
    """Up to `count` points to keep, deep inside the mask and apart from each other."""
    inside = mask if trusted is None or not (mask & trusted).any() else mask & trusted
    # The picture's border is an edge, too.
    depth = as_floats(cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3))[1:-1, 1:-1]
    found: list[Point] = []
    deepest = float(depth.max())
    away = optical_flow.grid(*mask.shape)
    while len(found) < count and depth.max() > 0.5 * deepest > 0:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        found.append(view.point(float(x), float(y)))
        depth[np.linalg.norm(away - (x, y), axis=2) <= 1.5 * deepest] = 0
    return tuple(found)


def _largest(mask: Mask) -> Mask:
    """The largest connected part of a mask."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(parts == 1 + int(areas.argmax())) if len(areas) else mask


_CELLS = (8, 16, 16)
"""Lightness, a and b: finer in hue, which shade does not change."""


def _bins(view: View) -> NDArray[np.int32]:
    """The histogram cell of each pixel's colour, `[h, w]` on the working grid."""
    lab = np.asarray(cv2.cvtColor(view.small, cv2.COLOR_RGB2LAB), np.int32)
    # Pictures rarely leave the middle half of the a and b axes.
    a, b = (np.clip((lab[..., axis] - 64) >> 3, 0, 15) for axis in (1, 2))
    return np.asarray(((lab[..., 0] >> 5) * 16 + a) * 16 + b, np.int32)


def _histogram(view: View, mask: Mask | None = None) -> Floats:
    """The share of each colour in a mask, or in the whole picture, a little smoothed; `[cells]`."""
    bins = _bins(view) if mask is None else _bins(view)[mask]
    count = np.bincount(bins.ravel(), minlength=int(np.prod(_CELLS))).reshape(_CELLS).astype(np.float32)
    near = np.array([0.25, 0.5, 0.25], np.float32)
    for plane in count:
        plane[:] = cv2.sepFilter2D(plane, -1, near, near, borderType=cv2.BORDER_REFLECT)
    light = cv2.sepFilter2D(count.reshape(_CELLS[0], -1), -1, np.ones(1, np.float32), near)
    return as_floats(light.ravel() / max(1, bins.size))
