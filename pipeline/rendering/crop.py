"""Crop of a result to another aspect ratio: a window of fixed size that pans after the subject.

The window is the largest of its aspect ratio inside the frame, so there is room to move along one axis only.
Its path is computed from the mattes of all frames, a few numbers each: the place that shows the subject best
is found per frame, and then simplified over time in both directions, so that the window does not lag. Within
a tolerance (the dead zone) it takes the shortest path through time, the "taut string", as L1-optimal camera
paths do (Grundmann, Kwatra and Essa, 2011): still while that is possible, else at an even pace. A Gaussian
eases the changes of pace, and the pace is limited. Where the subject jumps, as at a scene cut, so does the
window.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Matte
from pipeline.models import Prediction
from pipeline.propagation.predictions import FramePrediction

_LEAST_ALPHA = 25
"""Lower alphas are not counted: a haze over the whole frame would pull at the centre."""

_LEAST_SHARE = 1e-4
"""Share of the frame below which a subject counts as absent."""

_TAIL = 0.02
"""Share of the subject outside its extent at either end."""

_MARGIN = 0.04
"""Distance of the subject's extent from the window's edge, in window sides."""

_DEAD_ZONE = 0.05
"""Distance from the best place within which the window may stay, in window sides."""

_EASE_SECONDS = 0.35
"""Standard deviation of the Gaussian; a change of pace takes about four of them."""

MAX_SPEED = 1.5
"""Largest speed of the window, in its sides per second."""

_JUMP = 0.25
"""Least step of the subject from one frame to the next at which the window jumps, in window sides."""

_JUMP_RATIO = 3.0
"""Least ratio of such a step to the usual one around it: a fast subject makes large steps all the time."""

_NEIGHBOURS = 5
"""Number of frames on either side that a step is compared with, and that it has to last for half of."""

Floats64 = NDArray[np.float64]


class Extent(NamedTuple):
    """Place of the subject along one axis of a frame, in pixels from its left or top."""

    centre: float
    """Mean of the pixels' centres, weighted by alpha."""
    first: int
    past: int
    """The subject lies in [first, past), but for a small share."""


def measure(matte: Matte, axis: int) -> Extent | None:
    """Return the place of the subject along an axis; None for an empty matte.

    `matte` is `[H, W]` uint8; `axis` as in NumPy: 0 from top to bottom, 1 from left to right.
    """
    counted = cv2.threshold(matte, _LEAST_ALPHA, 0, cv2.THRESH_TOZERO)[1]
    sums = cv2.reduce(counted, 1 - axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    profile = np.asarray(sums).ravel().astype(np.int64)
    total = int(profile.sum())
    if total < _LEAST_SHARE * 255 * matte.size:
        return None
    centre = int((profile * (2 * np.arange(len(profile)) + 1)).sum()) / (2 * total)
    reached = np.cumsum(profile)
    first = int(np.searchsorted(reached, _TAIL * total, side="right"))
    past = int(np.searchsorted(reached, (1 - _TAIL) * total)) + 1
    return Extent(centre, min(first, past - 1), past)


# ---------------------------------------------------------------------- the path of a window


def pan(
    seconds: Sequence[float], extents: Sequence[Extent | None], side: int, window: int, upright: bool = False
) -> list[int]:
    """Return the window's offset on each frame, in pixels from the frame's left or top.

    `seconds` are the frames' times, ascending, and `extents` the places of the subject, one for each. `side`
    and `window` are the lengths of frame and window along the axis, in pixels. A subject that is longer than
    the window is shown around its centre, or if `upright` from its top, where a person's head is.
    """
    room = side - window
    if not len(seconds) or room <= 0:
        return [0] * len(seconds)
    times = np.asarray(seconds, np.float64)
    wanted = np.asarray(_hold_gaps([e and _place(e, window, room, upright) for e in extents], room / 2))
    offsets = np.empty_like(wanted)
    bounds = [0, *_find_jumps(wanted, window), len(wanted)]
    for first, past in pairwise(bounds):
        part = slice(first, past)
        path = _pull_taut(times[part], _remove_outliers(wanted[part]), _DEAD_ZONE * window)
        path = _ease(times[part], path).clip(0, room)
        offsets[part] = _limit_speed(times[part], path, MAX_SPEED * window)
    return [round(float(offset)) for offset in offsets.clip(0, room)]


def _place(extent: Extent, window: int, room: int, upright: bool) -> float:
    """Return the offset at which the window shows the subject best."""
    margin = _MARGIN * window
    last, first = extent.past + margin - window, extent.first - margin
    if last > first and upright:
        return min(max(first, 0.0), float(room))
    low, high = sorted((last, first))
    return min(max(extent.centre - window / 2, low, 0.0), max(high, 0.0), float(room))


def _hold_gaps(places: Iterable[float | None], default: float) -> list[float]:
    """Replace each None by the value before it, the leading ones by the first value."""
    places = list(places)
    held = next((place for place in places if place is not None), default)
    filled = []
    for place in places:
        held = held if place is None else place
        filled.append(held)
    return filled


def _find_jumps(wanted: Floats64, window: int) -> list[int]:
    """Return the numbers of the frames at which the subject has jumped."""
    steps = np.abs(np.diff(wanted))
    jumps = []
    for n in np.flatnonzero(steps > _JUMP * window):
        before, after = steps[max(0, n - _NEIGHBOURS) : n], steps[n + 1 : n + 1 + _NEIGHBOURS]
        around = np.concatenate((before, after))
        usual = float(np.median(around)) if len(around) else 0.0
        left = np.median(wanted[max(0, n + 1 - _NEIGHBOURS) : n + 1])
        right = np.median(wanted[n + 1 : n + 1 + _NEIGHBOURS])
        # What lasts for a frame or two is a slip of the matte.
        if steps[n] > _JUMP_RATIO * usual and abs(right - left) > _JUMP * window:
            jumps.append(int(n) + 1)
    return jumps


def _remove_outliers(values: Floats64) -> Floats64:
    """Return the running median of five, of fewer towards the ends."""
    count = len(values)
    reach = [min(2, n, count - 1 - n) for n in range(count)]
    return np.array([np.median(values[n - r : n + r + 1]) for n, r in enumerate(reach)])


def _pull_taut(times: Floats64, values: Floats64, tolerance: float) -> Floats64:
    """Return the shortest path over time that stays within `tolerance` of the values; its ends are free.

    By the funnel algorithm: from a corner of the tube the path goes straight on until the tube forces it
    around another corner.
    """
    low, high = values - tolerance, values + tolerance
    count = len(values)
    corner, level = _first_corner(low, high)
    path = np.full(count, level)
    while corner < count - 1:
        following = _next_corner(times, low, high, corner, level)
        if following is None:
            path[corner:] = level
            break
        end, value = following
        share = (times[corner : end + 1] - times[corner]) / (times[end] - times[corner])
        path[corner : end + 1] = level + share * (value - level)
        corner, level = end, value
    return path


def _first_corner(low: Floats64, high: Floats64) -> tuple[int, float]:
    """Return the first corner of a path that begins level, and the level; the last frame if it stays so."""
    floor, ceiling = np.maximum.accumulate(low), np.minimum.accumulate(high)
    blocked = np.flatnonzero(floor > ceiling)
    if not len(blocked):
        return len(low) - 1, float(floor[-1] + ceiling[-1]) / 2
    n = int(blocked[0])
    rises = low[n] > ceiling[n - 1]
    level = ceiling[n - 1] if rises else floor[n - 1]
    return int(np.flatnonzero((high if rises else low)[:n] == level)[-1]), float(level)


def _next_corner(
    times: Floats64, low: Floats64, high: Floats64, corner: int, level: float
) -> tuple[int, float] | None:
    """Return the corner that the path from `corner` turns at, with its value; None if it can stay level."""
    least, most = -np.inf, np.inf
    at_least = at_most = corner
    for n in range(corner + 1, len(times)):
        gap = times[n] - times[corner]
        rise, fall = (low[n] - level) / gap, (high[n] - level) / gap
        if rise > most:
            return at_most, float(high[at_most])
        if fall < least:
            return at_least, float(low[at_least])
        if rise >= least:
            least, at_least = rise, n
        if fall <= most:
            most, at_most = fall, n
    if least > 0:
        return at_least, float(low[at_least])
    if most < 0:
        return at_most, float(high[at_most])
    return None


def _ease(times: Floats64, path: Floats64) -> Floats64:
    """Smooth a path by a line fitted around each of its times with the weights of a Gaussian.

    Unlike the weighted mean, this keeps an even pace up to the ends. Where the path is level all around, it
    stays exactly the same.
    """
    reach = 3 * _EASE_SECONDS
    firsts = np.searchsorted(times, times - reach)
    pasts = np.searchsorted(times, times + reach, side="right")
    eased = path.copy()
    for n, (first, past) in enumerate(zip(firsts, pasts, strict=True)):
        away, off = times[first:past] - times[n], path[first:past] - path[n]
        if not off.any():
            continue
        weight = np.exp(-0.5 * (away / _EASE_SECONDS) ** 2)
        total, moment, square = weight.sum(), (weight * away).sum(), (weight * away**2).sum()
        spread = total * square - moment**2
        mean, slope = (weight * off).sum(), (weight * away * off).sum()
        eased[n] += (square * mean - moment * slope) / spread if spread > 1e-12 else mean / total
    return eased


def _limit_speed(times: Floats64, path: Floats64, most: float) -> Floats64:
    """Return the path nearest to `path` (in the largest distance) whose speed is at most `most`.

    That is the mean of the largest such path below it and the least above it.
    """
    reach = most * np.diff(times)
    below, above = path.copy(), path.copy()
    steps = range(1, len(path))
    for n in steps:
        below[n] = min(below[n], below[n - 1] + reach[n - 1])
        above[n] = max(above[n], above[n - 1] - reach[n - 1])
    for n in reversed(steps):
        below[n - 1] = min(below[n - 1], below[n] + reach[n - 1])
        above[n - 1] = max(above[n - 1], above[n] - reach[n - 1])
    return (below + above) / 2


# ---------------------------------------------------------------------- windows of a clip


@dataclass(frozen=True)
class Windows:
    """Windows of a cropped result by the pts of its frames."""

    width: int
    height: int
    """In pixels, of every window."""
    pts: Sequence[int]
    """Ascending."""
    corners: Sequence[tuple[int, int]]
    """Left and top of the window on each of these frames, in pixels."""

    def corner(self, pts: int) -> tuple[int, int]:
        """Return left and top of the window on a frame, or on the nearest frame before it that has one."""
        return self.corners[max(bisect.bisect_right(self.pts, pts) - 1, 0)]

    def inside(self, pts: int) -> tuple[slice, slice]:
        """Return the rows and the columns of the window on a frame."""
        left, top = self.corner(pts)
        return slice(top, top + self.height), slice(left, left + self.width)

    def cut(self, pair: FramePrediction) -> FramePrediction:
        """Return the part of a frame and its matte that lies in the window."""
        frame, prediction = pair
        inside = self.inside(frame.pts)
        matte, *objects = (
            np.ascontiguousarray(each[inside]) for each in (prediction.matte, *prediction.objects)
        )
        return frame.crop(*inside), Prediction(matte, prediction.confidence, objects=tuple(objects))


class WindowTracker:
    """Computes the windows of a clip from its mattes, given one by one; keeps a few numbers of each."""

    def __init__(self, frame: tuple[int, int], size: tuple[int, int]) -> None:
        """Take width and height of the frame and of the window, in pixels."""
        self._frame, self._size = frame, size
        rooms = frame[0] - size[0], frame[1] - size[1]
        self._across = rooms[0] >= rooms[1]
        self._pts: list[int] = []
        self._extents: list[Extent | None] = []

    def add(self, pts: int, matte: Matte) -> None:
        """Take the next frame's matte, `[H, W]` uint8, into account; `pts` ascend."""
        self._pts.append(pts)
        self._extents.append(measure(matte, axis=1 if self._across else 0))

    def follow(self, tick: float) -> Windows:
        """Return the windows that follow the subject; `tick` is the seconds of a pts."""
        pts, extents = (self._pts, self._extents) if self._pts else ([0], [None])
        along, other = (0, 1) if self._across else (1, 0)
        seconds = [at * tick for at in pts]
        offsets = pan(seconds, extents, self._frame[along], self._size[along], upright=not self._across)
        # Along the other axis there is no room, but for the pixel that an even size leaves.
        rest = (self._frame[other] - self._size[other]) // 2
        corners = [(offset, rest) if self._across else (rest, offset) for offset in offsets]
        return Windows(*self._size, pts, corners)
