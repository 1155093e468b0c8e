"""A subject cut out without learned weights: colours, position and movement.

The prompted frame is cut with GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004). From there the mask is
carried: each next frame asks four witnesses, whose log odds are added,

- the colours of the subject and of the background on the prompted frame, slowly renewed;
- where dense flow carries the last mask, as far as the flow can be trusted;
- a picture of the bare background, registered by the camera's movement and completed wherever the subject
  uncovers it: what looks like it is background, what differs from it is not;
- movement against the camera's, where the subject moves by itself;

and their sum is made to follow the edges of the picture: mean-field inference (Krähenbühl and Koltun,
"Efficient Inference in Fully Connected CRFs", NIPS 2011) whose messages are passed by a guided filter. A
subject that left is looked for everywhere until it is found again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Mask, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.imaging.guided_filter import Guide
from pipeline.models.base import Card, Prediction, PromptedFrame
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation.stream_state import State

Bins = NDArray[np.int32]
"""For each pixel the cell of the colour histogram that it falls into, `[h, w]`."""

_SIDE = 480
"""Pixels of the long side of the working size."""

_CELLS = (16, 32, 32)
"""Lightness, a and b: a fourfold finer look at hue, which shade does not change."""

_LOST = 0.05
"""The share of its area below which the subject is no longer followed but looked for."""

_WAITING_BYTES = 96 * 2**20
"""What full frames may take while a subject is looked for in them."""


class GrabCut:
    """The model; it holds nothing, each stream has its own state."""

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        frames = iter(frames)
        if state is not None:
            yield from _followed(_Subject.restored(state), frames)
            return
        first = next(frames, None)
        if first is None:
            return
        image, prompt = first
        small = guided_filter.shrunk(image, _SIDE)
        if prompt and prompt.initialises:
            mask = _started(image, small, prompt)
        else:
            ahead = list(itertools.islice(frames, _look_ahead(image)))
            frames = itertools.chain(ahead, frames)
            mask = _proposed(small, [guided_filter.shrunk(frame.image, _SIDE) for frame in ahead])
        if prompt and prompt.points:
            mask = _corrected(small, mask, _points(prompt, image, small))
        subject = _Subject.shown(small, mask)
        yield Prediction(guided_filter.upsample(mask, image), state=subject.state)
        yield from _followed(subject, frames)


def _followed(subject: _Subject, frames: Iterator[PromptedFrame]) -> Iterator[Prediction]:
    """What is found of the subject on the next frames."""
    for image, prompt in frames:
        small = guided_filter.shrunk(image, _SIDE)
        mask = subject.step(small)
        if prompt and prompt.points:
            mask = subject.mend(small, _points(prompt, image, small))
        yield Prediction(
            guided_filter.upsample(mask, image), 0.0 if subject.lost else 1.0, state=subject.state
        )


# Colours and edges.


def _bins(image: Image) -> Bins:
    """The histogram cell of each pixel of an RGB image."""
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.int32)
    # Pictures rarely leave the middle half of the a and b axes.
    a, b = (np.clip((lab[..., axis] - 64) >> 2, 0, 31) for axis in (1, 2))
    return np.asarray(((lab[..., 0] >> 4) * 32 + a) * 32 + b, np.int32)


def _histogram(bins: Bins, weight: NDArray[Any]) -> Floats:
    """The weighted share of each colour, smoothed over neighbouring cells; `[cells]`, of sum 1."""
    count = np.bincount(bins.ravel(), weight.ravel(), np.prod(_CELLS)).reshape(_CELLS).astype(np.float32)
    broad = np.array([1, 4, 6, 4, 1], np.float32) / 16
    for plane in count:
        plane[:] = cv2.sepFilter2D(plane, -1, broad, broad)
    across = np.array([1, 2, 1], np.float32) / 4
    rows = cv2.sepFilter2D(count.reshape(_CELLS[0], -1), -1, np.ones(1, np.float32), across)
    return np.asarray(rows.ravel() / max(rows.sum(), 1e-6), np.float32)


def _odds(subject: Floats, background: Floats, bins: Bins) -> Floats:
    """The log odds of each pixel's colour, bounded: a colour alone decides nothing."""
    rare = 1e-5
    return np.clip(np.log((subject + rare) / (background + rare)), -3, 3)[bins]


def _settle(odds: Floats, guide: Guide, rounds: int = 3) -> Floats:
    """The probability of the subject when neighbours of like colour are to agree; `[h, w]`, 0 to 1."""
    odds = np.clip(odds, -30, 30)
    belief = np.tanh(odds / 2)
    for _ in range(rounds):
        belief = np.tanh((odds + 2 * guide.filter(belief)) / 2)
    return np.asarray((belief + 1) / 2, np.float32)


def _guide(image: Image) -> Guide:
    return Guide(image, radius=4, eps=1e-3)


def _depth(mask: NDArray[Any]) -> Floats:
    """The distance to the mask's edge in pixels, positive inside and negative outside."""
    inside = (mask > 0.5).astype(np.uint8)
    within, without = (cv2.distanceTransform(part, cv2.DIST_L2, 3) for part in (inside, 1 - inside))
    # Where there is no edge, OpenCV answers with an endless distance.
    return as_floats(np.clip(as_floats(within) - as_floats(without), -sum(mask.shape), sum(mask.shape)))


# The prompted frame.


def _points(prompt: Prompt, frame: Image, small: Image) -> tuple[Point, ...]:
    """The prompt's points on the working grid."""
    across, down = small.shape[1] / frame.shape[1], small.shape[0] / frame.shape[0]
    return tuple(Point(p.x * across, p.y * down, p.keep) for p in prompt.points)


def _started(frame: Image, small: Image, prompt: Prompt) -> Floats:
    """What the box is drawn around, or the points to keep lie on; `[h, w]` on the working grid, 0 to 1."""
    if prompt.box is None:
        return _around(small, _points(prompt, frame, small))
    large = guided_filter.shrunk(frame, 1280)
    finer = large.shape[1] / frame.shape[1]
    corners = (prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1)
    mask = _cut(large, Box(*(c * finer for c in corners)))
    return as_floats(cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_AREA))


def _cut(frame: Image, box: Box) -> Floats:
    """What the box is drawn around, `[H, W]`, 0 to 1: the vote of three views of its surroundings.

    GrabCut's result can hang on the last bit of a colour; what most views agree on does not.
    """
    return as_floats(np.median([_view(frame, box, share) for share in (0.15, 0.3, 0.5)], axis=0))


def _view(frame: Image, box: Box, share: float) -> Floats:
    """GrabCut on a cut-out of one size, whatever the subject's, with this share of the box around it."""
    height, width = frame.shape[:2]
    margin = share * max(box.x1 - box.x0, box.y1 - box.y0)
    left, top = int(max(0, box.x0 - margin)), int(max(0, box.y0 - margin))
    right, bottom = int(min(width, box.x1 + margin + 1)), int(min(height, box.y1 + margin + 1))
    scale = 240 / max(right - left, bottom - top)
    around = cv2.resize(
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
    found = _cut_out(np.ascontiguousarray(around, np.uint8), inside)
    mask[top:bottom, left:right] = cv2.resize(
        found, (right - left, bottom - top), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    )
    return mask


def _cut_out(picture: Image, box: Box) -> Floats:
    rough = _rough(picture, box)
    inside = _within(picture, box)
    undecided = np.where(rough > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    seeded = np.where(rough > 0.97, cv2.GC_FGD, np.where(rough < 0.03, cv2.GC_BGD, undecided))
    for start in (undecided, seeded):
        found = _grabcut(picture, np.where(inside, start, cv2.GC_BGD))
        if _fills(found, box):
            return found
    return rough


def _grabcut(picture: Image, labels: NDArray[Any], rounds: int = 4) -> Floats:
    labels = labels.astype(np.uint8)
    # GC_FGD and GC_PR_FGD are the odd labels; without both kinds there are no two models to learn.
    if 0 < np.count_nonzero(labels & 1) < labels.size:
        cv2.setRNGSeed(0)  # its colour clusters begin with a random draw
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(picture, labels, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)
    return as_floats(labels & 1)


def _fills(mask: Floats, box: Box) -> bool:
    """Whether the mask is what a person would draw this box around.

    A tight box is touched by its subject on each side (Lempitsky and others, "Image Segmentation with a
    Bounding Box Prior", ICCV 2009); GrabCut at times shrinks to a speck instead.
    """
    _, _, across, down = cv2.boundingRect(mask.astype(np.uint8))
    high, wide = box.y1 - box.y0, box.x1 - box.x0
    return across > 0.6 * wide and down > 0.6 * high and bool(mask.sum() > 0.1 * high * wide)


def _within(picture: Image, box: Box) -> Mask:
    inside = np.zeros(picture.shape[:2], bool)
    inside[max(0, int(box.y0)) : int(np.ceil(box.y1)), max(0, int(box.x0)) : int(np.ceil(box.x1))] = True
    return inside


def _rough(picture: Image, box: Box) -> Floats:
    """A first guess within a box: the colours that its middle has and its surroundings have not."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    off = 2 * np.hypot(
        (x - (box.x0 + box.x1) / 2) / (box.x1 - box.x0), (y - (box.y0 + box.y1) / 2) / (box.y1 - box.y0)
    )
    return _by_colour(picture, 1 - off, _within(picture, box))


def _by_colour(picture: Image, place: Floats, allowed: Mask, rounds: int = 5) -> Floats:
    """The mask that two colour models and the log odds of `place` agree on, found by turns."""
    bins, guide = _bins(picture), _guide(picture)
    mask = np.where(allowed, 1 / (1 + np.exp(-2 * place)), 0).astype(np.float32)
    for _ in range(rounds):
        odds = _odds(_histogram(bins, mask), _histogram(bins, 1 - mask), bins)
        mask = _settle(np.where(allowed, odds + place, -8).astype(np.float32), guide)
    return mask


def _around(small: Image, points: tuple[Point, ...]) -> Floats:
    """A mask from points alone: what has the colours found around the points to keep."""
    height, width = small.shape[:2]
    reach = 0.25 * min(height, width)
    near = np.max([np.exp(-((_distance(small, p) / reach) ** 2)) for p in points if p.keep], axis=0)
    return _by_colour(small, (6 * near - 3).astype(np.float32), near > 0.05)


def _distance(small: Image, point: Point) -> Floats:
    y, x = np.mgrid[: small.shape[0], : small.shape[1]].astype(np.float32)
    return np.asarray(np.hypot(x - point.x, y - point.y), np.float32)


def _corrected(small: Image, mask: Floats, points: tuple[Point, ...]) -> Floats:
    """The mask with each point's surroundings added or taken away."""
    bins, guide = _bins(small), _guide(small)
    for point in points:
        mask = _clicked(bins, guide, mask, point, _distance(small, point))
    return mask


def _clicked(bins: Bins, guide: Guide, mask: Floats, point: Point, distance: Floats) -> Floats:
    """The mask after one click; `distance` is each pixel's from it. Only what touches the click changes."""
    sign = 1.0 if point.keep else -1.0
    side = max(mask.shape)
    spot = distance < max(2.0, 0.008 * side)
    # A click speaks for a neighbourhood in proportion to the subject.
    reach = max(0.25 * float(np.sqrt((mask > 0.5).sum())), 0.04 * side)
    near = np.exp(-((distance / reach) ** 2))
    wrong = 1 - mask if point.keep else mask
    beside = 0.5 * wrong * np.exp(-((distance / (0.4 * reach)) ** 2))
    likeness = _odds(_histogram(bins, beside + spot), _histogram(bins, wrong * (1 - near)), bins)
    place = 3 * np.tanh(_depth(mask) / 6) + sign * (2.5 * near * (likeness + 1.5) + 20 * spot)
    settled = _settle(as_floats(place), guide)
    crossed = (settled > 0.5) != (mask > 0.5)
    mended = spot | (crossed & (sign * (settled - mask) > 0))
    _, parts = cv2.connectedComponents(mended.astype(np.uint8))
    touched = mended & np.isin(parts, parts[spot])
    return as_floats(np.where(touched, np.where(spot, point.keep, settled), mask))


# Without a prompt.


def _look_ahead(frame: Image) -> int:
    """How many full frames may wait while a subject is looked for."""
    return int(min(24, _WAITING_BYTES // frame.nbytes))


def _proposed(small: Image, ahead: list[Image]) -> Floats:
    """The subject that moves by itself, else what stands out in the middle; never nothing."""
    moving = _moving(small, ahead)
    if moving is not None:
        return moving
    height, width = small.shape[:2]
    return _cut(small, Box(0.15 * width, 0.1 * height, 0.85 * width, height))


def _moving(small: Image, ahead: list[Image]) -> Floats | None:
    """What moves against the camera in the next frames, if it is one subject's size."""
    share = np.zeros(small.shape[:2], np.float32)
    steps = ahead[1::4]
    for other in steps:
        apart, trusted = _against_camera(small, other)
        share += (trusted & (apart > np.median(apart) + 1.5)) / np.float32(len(steps))
    seen = cv2.morphologyEx((share > 0.3).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        guided_filter.dilate(np.asarray(seen, np.uint8), 6)
    )
    if count < 2:
        return None
    # Leaves and passers-by move too: what is filmed is mostly in the middle.
    weights = np.bincount(parts.ravel(), (share * _middle(small)).ravel())
    x, y, w, h, area = stats[1 + int(np.argmax(weights[1:]))].tolist()
    if not 0.004 < area / share.size < 0.6:
        return None
    return _cut(small, Box(x, y, x + w, y + h))


def _middle(small: Image) -> Floats:
    """1 in the middle of the picture, falling to about an eighth at its corners."""
    height, width = small.shape[:2]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    return as_floats(np.exp(-(y[:, None] ** 2) - x**2))


def _against_camera(here: Image, there: Image) -> tuple[Floats, Mask]:
    """How far each pixel moves apart from the camera's movement, and whether that can be trusted."""
    a, b = optical_flow.grey(here), optical_flow.grey(there)
    way = optical_flow.flow(a, b)
    trusted = optical_flow.trusted(way, optical_flow.flow(b, a))
    camera = optical_flow.camera_way(optical_flow.camera(way, trusted), *a.shape)
    return np.asarray(np.linalg.norm(way - camera, axis=2), np.float32), trusted


# Carrying.


@dataclass
class _Background:
    """What is known of the scene behind the subject, on the grid of the present frame."""

    picture: Floats
    known: Floats
    """0 to 1 for each pixel."""

    def follow(self, way: Floats) -> None:
        """Move with the camera; `way` leads from the new frame to the old."""
        self.picture = np.asarray(optical_flow.warp(self.picture, way), np.float32)
        self.known = np.asarray(optical_flow.warp(self.known, way), np.float32)

    def odds(self, picture: Floats) -> Floats:
        """The log odds that something stands before the background here.

        A colour is compared with all that the background has within a pixel, for registration is not exact.
        """
        near = np.ones((3, 3), np.uint8)
        beyond = np.maximum(picture - cv2.dilate(self.picture, near), cv2.erode(self.picture, near) - picture)
        return as_floats(np.clip(np.maximum(beyond, 0).max(2) / 20 - 1, -1, 2) * self.known)

    def unlearn(self, subject: Floats) -> None:
        """Forget what was taken for background where `subject` (0 to 1) now is."""
        self.known = self.known * (1 - subject)

    def learn(self, picture: Floats, bare: Floats) -> None:
        """Take in what is seen where `bare` (0 to 1) says that no subject is."""
        rate = bare * np.where(self.known > 0.5, 0.3, 1)
        self.picture = self.picture + (picture - self.picture) * rate[..., None]
        self.known = np.maximum(0.98 * self.known, bare)


@dataclass
class _Subject:
    """The state of one stream: the last mask and what was learnt of subject and background."""

    mask: Floats
    area: float
    """What the subject covers when it is to be seen whole."""
    grey: Image
    """The last frame, `[h, w]`."""
    background: _Background
    first: Floats
    """The colours of subject and background on the prompted frame, `[2, cells]`."""
    colours: Floats
    """As they are now."""

    @classmethod
    def shown(cls, small: Image, mask: Floats) -> Self:
        """As it is on the prompted frame."""
        bins, depth = _bins(small), _depth(mask)
        background = _Background(small.astype(np.float32), _bare(depth))
        # Colours near the subject count most: they are the ones to be told apart.
        near = np.where(depth > -max(small.shape) / 4, 1, 0.2)
        first = np.stack((_histogram(bins, mask), _histogram(bins, (1 - mask) * near)))
        return cls(mask, float((mask > 0.5).sum()), optical_flow.grey(small), background, first, first)

    def state(self) -> State:
        """All of it as plain data."""
        return {**vars(self), "background": dict(vars(self.background))}

    @classmethod
    def restored(cls, state: State) -> Self:
        """The one that `state` was taken of."""
        return cls(**{**state, "background": _Background(**state["background"])})

    @property
    def lost(self) -> bool:
        """Whether next to nothing is left of the subject, or it left the picture."""
        return bool((self.mask > 0.5).sum() <= _LOST * self.area)

    def step(self, small: Image) -> Floats:
        """The mask of the next frame, `[h, w]`, 0 to 1."""
        grey, bins, picture = optical_flow.grey(small), _bins(small), small.astype(np.float32)
        way = optical_flow.flow(grey, self.grey)
        trusted = optical_flow.trusted(way, optical_flow.flow(self.grey, grey))
        carried = np.asarray(optical_flow.warp(self.mask, way), np.float32)
        camera = optical_flow.camera_way(optical_flow.camera(way, trusted & (carried < 0.3)), *grey.shape)
        self.background.follow(camera)
        subject, background = self.colours
        odds = _odds(subject, background, bins) + self.background.odds(picture)
        if (carried > 0.5).sum() > _LOST * self.area:
            odds += _position(carried, trusted) + _movement(way - camera, carried, trusted)
            self.mask = _settle(odds, _guide(small))
        else:
            # Anywhere, then; but colour alone is not enough where the background is known.
            self.mask = _largest(_settle(odds - 2, _guide(small)), _LOST * self.area)
        self.area = max(0.98 * self.area, float((self.mask > 0.5).sum()))
        self.grey = grey
        depth = _depth(self.mask)
        self.background.learn(picture, _bare(depth))
        self._renew(bins, depth)
        return self.mask

    def mend(self, small: Image, points: tuple[Point, ...]) -> Floats:
        """The mask of the present frame after clicks on it, from which the subject is carried on."""
        bins = _bins(small)
        before, self.mask = self.mask, _corrected(small, self.mask, points)
        self.area = float((self.mask > 0.5).sum())
        gained, lost = np.maximum(self.mask - before, 0), np.maximum(before - self.mask, 0)
        passed = np.stack(
            (_passed(bins, gained, lost, self.mask), _passed(bins, lost, gained, 1 - self.mask))
        )
        self.first, self.colours = (
            _normal(c * (1 - passed[:, 0]) + passed[:, 1]) for c in (self.first, self.colours)
        )
        self.background.unlearn(self.mask)
        self.background.learn(small.astype(np.float32), _bare(_depth(self.mask)))
        return self.mask

    def _renew(self, bins: Bins, depth: Floats) -> None:
        """Learn a little of the present colours; the prompted frame's are never forgotten."""
        seen = np.stack((_histogram(bins, depth > 3), _histogram(bins, (depth < -3) & (depth > -80))))
        hold = np.array([[0.3], [0.1]], np.float32)
        self.colours = as_floats((1 - hold) * (0.95 * self.colours + 0.05 * seen) + hold * self.first)


def _passed(bins: Bins, gained: Floats, lost: Floats, now: Floats) -> Floats:
    """What a correction does to the colours of what now covers `now`; `[2, cells]`.

    The share of each colour that went with what was lost, and the colours that came with what was gained.
    """
    came, went, stays = (_histogram(bins, part) * part.sum() for part in (gained, lost, now))
    return as_floats(np.stack((went / (went + stays + 1e-3), came / max(float(now.sum()), 1.0))))


def _normal(colours: Floats) -> Floats:
    return as_floats(colours / np.maximum(colours.sum(1, keepdims=True), 1e-6))


def _largest(mask: Floats, least: float) -> Floats:
    """The largest connected part of the mask; nothing if it covers no more than `least` pixels."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas) or areas.max() <= least:
        return np.zeros_like(mask)
    return mask * (guided_filter.dilate((parts == 1 + np.argmax(areas)).astype(np.uint8), 2) > 0)


def _bare(depth: Floats) -> Floats:
    """How surely a pixel shows the background, 0 to 1, from its distance to the subject."""
    return np.clip(-depth / 4, 0, 1).astype(np.float32)


def _position(carried: Floats, trusted: Mask) -> Floats:
    """The log odds from where the mask was carried: firm inside, undecided at the edge, falling outside."""
    depth = _depth(carried)
    size = float(np.sqrt((carried > 0.5).sum()))
    far = np.maximum(-depth - 0.1 * size, 0) / (0.1 * size + 1)
    firm = np.where((depth > 0) & ~trusted, 0.3, 1.0)
    return np.asarray(2 * (np.tanh(depth / 8) * firm - far), np.float32)


def _movement(apart: Floats, carried: Floats, trusted: Mask) -> Floats:
    """The log odds from moving apart from the camera as the subject does; none where it stands still."""
    speed = np.linalg.norm(apart, axis=2)
    core = trusted & (carried > 0.6)
    usual = float(np.median(speed[core])) if core.sum() > 20 else 0.0
    weight = np.clip((usual - 1) / 2, 0, 1)
    return as_floats(np.where(trusted, weight * np.clip(2 * speed / max(usual, 0.1) - 1, -1, 1), 0))


CARDS = (
    Card(
        key="grabcut",
        label="GrabCut",
        purpose="Needs no weights: a subject whose colours or movement set it apart, on any processor.",
        points=True,
        box=True,
        automatic=True,
        licence="Apache-2.0",
        licence_url="https://github.com/opencv/opencv/blob/5.x/LICENSE",
        load=lambda device, files: GrabCut(),
    ),
)
