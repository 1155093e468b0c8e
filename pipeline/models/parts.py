"""The things that a single click may mean: the one that it lies on, a part of it, or more.

A network for subjects answers with all that stands out in the picture it is given: a dog with the woman who
feeds it. In a crop around the click the rest is background, or outside. So the model segments crops of
growing size, and the frame. A mask that its crop's border cuts is a detail of something larger and is left
out; consecutive masks that agree are one thing, and the one that most crops agree on is meant most likely.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Image, Mask, Matte
from pipeline.generators import complete
from pipeline.imaging import guided_filter
from pipeline.models.base import Candidate, CandidateName, PromptedFrame
from pipeline.models.embeddings import hash_frame
from pipeline.prompts import CANDIDATES, Point, Prompt

Segment = Callable[[Image, Point], Matte]
"""Segments by one point to keep, in the image's pixels: `[H, W]` uint8."""

_REACHES = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4)
"""Half the sides of the crops, as shares of the frame's longer side."""

_SMALLEST = 24
"""Pixels of half the side of the smallest crop."""

_CUT = 0.12
"""The length of a mask's cut by its crop's border from which on it is a detail, as a share of the perimeter
of a square of its area."""

_SAME = 0.7
"""The overlap from which on the masks of two crops are the same thing."""

_ALL = 0.8
"""The overlap with all that the model takes from which on a thing is all of it."""

_INSIDE, _LEAST, _MOST = 0.4, 0.1, 0.7
"""The share of a thing that lies in the mask that it is removed from, at least, and its share of that mask,
at least and at most: else the click is on a detail or on all of the subject, and the model decides."""

_CLEAR_SCORE, _CLEAR_SHARE = 0.35, 0.6
"""The score of a thing from which on it is shown before a click, and its share that is connected there."""

_SPECK, _SHRED = 0.01, 0.02
"""The shares of what is left below which a part of it that touches what is removed, and one that lies along
it, go as well."""

_ALONG = 0.08
"""The distance from what is removed within which parts lie along it, as a share of the root of its area."""

_KEPT = 4
"""Clicks whose candidates are kept."""

_SOFT = 2
"""Pixels around a mask's inside in which its soft edge lies."""


class Candidates:
    """Candidates of a model for single clicks; those of the latest ones are kept. Thread-safe."""

    def __init__(self, segment: Segment, take_all: Segment) -> None:
        """`segment` is given crops of a frame, `take_all` whole frames, whose mask is the last candidate."""
        self._segment = segment
        self._take_all = take_all
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[bytes, Point], list[Candidate]] = OrderedDict()

    def __call__(self, frame: PromptedFrame) -> list[Candidate]:
        """Return the candidates of a frame's single click; empty for other marks.

        As `OffersCandidates.candidates`.
        """
        image, prompt = frame
        if prompt is None or not prompt.is_single_click:
            return []
        key = hash_frame(image), Point(prompt.points[0].x, prompt.points[0].y)
        with self._lock:
            found = self._found.get(key)
        if found is None:
            found = complete(self.steps(image, key[1]))
        with self._lock:
            self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return found

    def steps(self, image: Image, point: Point) -> Generator[None, None, list[Candidate]]:
        """Find the candidates of a point to keep, in steps of a few evaluations of the network each.

        They are not kept: those of clicks stay.
        """
        return (yield from candidate_steps(self._segment, image, point, lambda: self._take_all(image, point)))

    def remove(self, image: Image, matte: Matte, prompt: Prompt, point: Point) -> Matte | None:
        """Do as `remove_thing`, with the thing that the point lies on in this image."""
        thing, *_ = self(PromptedFrame(image, Prompt(points=(replace(point, keep=True),))))
        return remove_thing(matte, thing.matte, prompt, point)

    def choose(self, image: Image, prompt: Prompt) -> Matte:
        """Return the mask that `Prompt.candidate` chooses for a single click, `[H, W]` uint8.

        Where there are fewer candidates than that, the last one: all that the model takes.
        """
        found = self(PromptedFrame(image, prompt))
        return found[min(prompt.candidate or 0, len(found) - 1)].matte


def find_candidates(segment: Segment, frame: Image, point: Point, everything: Matte) -> list[Candidate]:
    """Return up to three masks for a point to keep: first the thing that it lies on most likely.

    The others are smaller or larger, in the order of their size. `frame` is `[H, W, 3]` uint8; `everything`
    is the model's mask of the whole frame for this point, `[H, W]` uint8, which is always among them and has
    the score 1, for it is what the model takes where none is chosen. The other scores are the shares of the
    crops that agree on a thing, below 1.
    """
    return complete(candidate_steps(segment, frame, point, lambda: everything))


def candidate_steps(
    segment: Segment, frame: Image, point: Point, take_all: Callable[[], Matte]
) -> Generator[None, None, list[Candidate]]:
    """Do as `find_candidates`; each step segments one crop, and the last one calls `take_all`."""
    things: list[list[Matte]] = []
    for reach in _REACHES:
        mask = _segment_crop(segment, frame, point, reach)
        yield
        if mask is None:
            continue
        if things and all(overlap(mask, other) >= _SAME for other in (things[-1][0], things[-1][-1])):
            things[-1].append(mask)
        else:
            things.append([mask])
    everything = take_all()
    choices, votes = [], 1
    for thing in things:
        if overlap(thing[-1], everything) >= _ALL:
            votes += len(thing)
        else:
            choices.append((len(thing), thing[-1]))
    # Of things that as many crops agree on, the largest comes first: it was seen with most around it.
    first = max([*choices, (votes, everything)], key=lambda choice: (choice[0], _area(choice[1])))[1]
    rest = sorted(
        (choice for choice in choices if choice[1] is not first),
        key=lambda choice: (-choice[0], _area(choice[1])),
    )
    kept = [mask for _, mask in rest[: CANDIDATES - (1 if first is everything else 2)]]
    if first is not everything:
        kept.append(everything)
    scores = {id(mask): count / (1 + len(_REACHES)) for count, mask in choices} | {id(everything): 1.0}
    return [
        Candidate(mask, scores[id(mask)], _name(mask, first, everything))
        for mask in (first, *sorted(kept, key=_area))
    ]


def clear_thing(candidates: list[Candidate], point: Point) -> Matte | None:
    """Return the first candidate of a point to keep if it is clearly a thing that the point lies on.

    `[H, W]` uint8. None: few crops agree on it, or it lies elsewhere for the most part, as where the point is
    on the background.
    """
    if not candidates or candidates[0].score < _CLEAR_SCORE:
        return None
    thing = candidates[0].matte
    part = part_at(thing, point)
    if part is None or np.count_nonzero(part > 127) < _CLEAR_SHARE * np.count_nonzero(thing > 127):
        return None
    return thing


def remove_thing(matte: Matte, thing: Matte, prompt: Prompt, point: Point) -> Matte | None:
    """Return the matte, `[H, W]` uint8, without the thing that a point to remove lies on.

    `thing` is the first candidate of the same point to keep. None: it cannot be told from the rest of the
    matte, or holds one of the prompt's points to keep.
    """
    solid, own = matte > 127, thing > 127
    area, inside = int(np.count_nonzero(solid)), int(np.count_nonzero(own & solid))
    kept = [p for p in prompt.points if p.keep]
    if (
        _value_at(thing, point) <= 127
        or inside < _INSIDE * np.count_nonzero(own)
        or not _LEAST * area <= inside <= _MOST * area
        or any(_value_at(thing, p) > 127 for p in kept)
    ):
        return None
    # The seam of soft pixels between the thing and the rest goes with it.
    gone = guided_filter.dilate(own.astype(np.uint8), _SOFT) > 0
    return _drop_specks(np.asarray(np.where(gone, 0, matte), np.uint8), own, kept)


def _drop_specks(rest: Matte, thing: Mask, kept: Sequence[Point]) -> Matte:
    """Return the rest of a matte without the remains of a removed thing.

    These are small parts that touch it or lie along its edge, as its shadow may, and hold no point to keep.
    """
    count, labels = cv2.connectedComponents((rest > 0).astype(np.uint8))
    numbers = np.asarray(labels, np.int32)
    # By what they cover: remains are soft, and larger in pixels than they look.
    covers = np.bincount(numbers.ravel(), rest.ravel(), count)
    shares = covers / max(1.0, covers.sum())
    distance = cv2.distanceTransform((~thing).astype(np.uint8), cv2.DIST_L2, 3)
    touching = np.bincount(numbers[distance <= 3 * _SOFT], minlength=count) > 0
    reach = max(3 * _SOFT, _ALONG * float(np.sqrt(np.count_nonzero(thing))))
    within = np.bincount(numbers[distance <= reach], minlength=count)
    along = within > 0.5 * np.bincount(numbers.ravel(), minlength=count)
    specks = (touching & (shares < _SPECK)) | (along & (shares < _SHRED))
    specks[[0, *(_value_at(numbers, point) for point in kept)]] = False
    return np.asarray(np.where(specks[numbers], 0, rest), np.uint8)


def _value_at(matte: NDArray[np.uint8] | NDArray[np.int32], point: Point) -> int:
    height, width = matte.shape
    return int(matte[min(max(int(point.y), 0), height - 1), min(max(int(point.x), 0), width - 1)])


def _name(mask: Matte, first: Matte, everything: Matte) -> CandidateName:
    if mask is first:
        return "one"
    if mask is everything:
        return "all"
    return "part" if _area(mask) < _area(first) else "more"


def _area(matte: Matte) -> int:
    return int(np.count_nonzero(matte > 127))


def _segment_crop(segment: Segment, frame: Image, point: Point, reach: float) -> Matte | None:
    """Segment a crop around the point; None: nothing there, or a detail of something larger. `[H, W]`."""
    height, width = frame.shape[:2]
    half = max(_SMALLEST, reach * max(height, width))
    left, right = _span(point.x, half, width)
    top, bottom = _span(point.y, half, height)
    inside = Point(point.x - left, point.y - top)
    crop = segment(np.ascontiguousarray(frame[top:bottom, left:right]), inside)
    part = part_at(crop, inside)
    if part is None:
        return None
    solid = part > 127
    borders = (
        (solid[0], top > 0),
        (solid[-1], bottom < height),
        (solid[:, 0], left > 0),
        (solid[:, -1], right < width),
    )
    cut = sum(int(np.count_nonzero(line)) for line, is_inner in borders if is_inner)
    if cut > _CUT * 4 * np.sqrt(np.count_nonzero(solid)):
        return None
    matte = np.zeros((height, width), np.uint8)
    matte[top:bottom, left:right] = part
    return matte


def _span(middle: float, half: float, end: int) -> tuple[int, int]:
    """Return a span of `2 * half` about `middle`, shifted to lie between 0 and `end` where it can."""
    length = min(2 * half, end)
    low = min(max(0.0, middle - half), end - length)
    return int(low), min(end, int(np.ceil(low + length)))


def part_at(matte: Matte, point: Point) -> Matte | None:
    """Return the connected part of a matte that a point lies on, its soft edge included; None: on none.

    `[H, W]` uint8.
    """
    height, width = matte.shape
    solid = (matte > 127).astype(np.uint8)
    _, parts = cv2.connectedComponents(solid)
    number = parts[min(max(int(point.y), 0), height - 1), min(max(int(point.x), 0), width - 1)]
    if not number:
        return None
    own = np.asarray(parts == number)
    near = guided_filter.dilate(own.astype(np.uint8), _SOFT) > 0
    return np.asarray(np.where(near & (own | (solid == 0)), matte, 0), np.uint8)


def overlap(one: Matte, other: Matte) -> float:
    """Return the intersection over union of two mattes' insides; 0 where both are empty."""
    a, b = one > 127, other > 127
    return int(np.count_nonzero(a & b)) / max(1, int(np.count_nonzero(a | b)))
