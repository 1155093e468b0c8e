"""Proposals for a scene without prompts: its subject, and the frames on which that is certain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, as_floats
from pipeline.imaging import optical_flow
from pipeline.models import window
from pipeline.models.base import Proposal
from pipeline.models.recorte.encoded_window import GRID_PIXELS, Encode, EncodedWindow, frame_size
from pipeline.models.recorte.masks import (
    LOST,
    certainty,
    overlap,
)

_SMOOTH, _FASTEST, _SLOW, _FAST = 2.0, 97, 0.3, 0.8
"""Of the mask of what moves: its softness in pixels, the percentile of all places that counts as the fastest,
and the shares of that below which a place stands still and above which it moves."""

_ELIGIBLE = 4
"""Candidates that are voted for: those of the largest weight."""

_SAME = 0.8
"""The overlap from which on two frames' candidates are the same subject beyond doubt."""

_TREMBLE = 0.2
"""Pixels by which the flow of what stands still is wrong."""


class Candidate(NamedTuple):
    """A mask that may be the subject of a scene."""

    number: int
    """Of the frame."""
    mask: Floats
    """On the grid of the whole frame, 0 to 1."""
    certainty: float
    weight: float
    """Weight of its vote, 0 to 1."""


class Movement:
    """Motion between two pictures, `[H, W, 3]` uint8, other than the camera's."""

    def __init__(self, first: Image, second: Image) -> None:
        greys = optical_flow.grey(first), optical_flow.grey(second)
        flow = optical_flow.flow(*greys)
        self._trusted = optical_flow.trusted(flow, optical_flow.flow(*reversed(greys)))
        camera = optical_flow.estimate_homography(flow, self._trusted, 4)
        background = optical_flow.camera_flow(camera, *flow.shape[:2])
        self._far = as_floats(np.linalg.norm(flow - background, axis=2))
        """Length of each place's motion that the camera does not account for, in pixels."""

    def prior(self) -> Floats:
        """Return a soft mask of what moves, `[H, W]`, 0 to 1, for use as the mask so far."""
        far = as_floats(cv2.GaussianBlur(np.where(self._trusted, self._far, 0), (0, 0), _SMOOTH))
        share = far / max(1.0, float(np.percentile(far, _FASTEST)))
        return as_floats(((share.clip(0, 1) - _SLOW) / (_FAST - _SLOW)).clip(0, 1))

    def share(self, mask: Floats) -> float:
        """Compare the motion inside a mask with that outside: 0 to 1, 0.5 where they are the same."""
        inside, outside = (mask > 0.5) & self._trusted, (mask <= 0.5) & self._trusted
        if not inside.any() or not outside.any():
            return 0.0
        within, around = float(self._far[inside].mean()), float(self._far[outside].mean()) + _TREMBLE
        return within / (within + around)


def propose(encode: Encode, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
    """Find the subject of a scene: the most prominent object, or one that moves independently.

    Each frame yields two candidates, and the frames vote on all of them: a frame's vote for a candidate is
    the overlap of the mask redetected by the candidate's memory with the frame's own candidate, weighted by
    the certainty and the motion of the latter.
    """
    windows: list[EncodedWindow] = []
    candidates: list[Candidate] = []
    for image, behind in pairs:
        view = encode(image, window.whole(frame_size(image), GRID_PIXELS))
        movement = Movement(view.small, view.window.crop(behind))
        for mask in (view.mask(), view.mask(so_far=movement.prior())):
            sure = certainty(mask)
            if sure >= LOST:
                weight = sure * movement.share(mask)
                candidates.append(Candidate(len(windows), mask, sure, weight))
        windows.append(view)

    def agreements(one: Candidate) -> list[tuple[float, Candidate]]:
        """Return the overlap of each other frame's best candidate with the mask redetected from `one`."""
        memory = [windows[one.number].memorise(one.mask)]
        overlaps = []
        for number, view in enumerate(windows):
            own = [other for other in candidates if other.number == number != one.number]
            if own:
                redetected = view.mask(comparison=view.compare(memory))
                nearest = max(own, key=lambda other: other.weight * overlap(redetected, other.mask))
                overlaps.append((overlap(redetected, nearest.mask), nearest))
        return overlaps

    best, agreed, most = None, [], (-1.0, 0.0)
    for candidate in sorted(candidates, key=lambda one: -one.weight)[:_ELIGIBLE]:
        agreeing = agreements(candidate)
        votes = sum(near * other.weight for near, other in agreeing)
        score = candidate.certainty * votes, candidate.certainty
        if score > most:
            best, agreed, most = candidate, agreeing, score
    if best is None:
        return []
    same = sorted((pair for pair in agreed if pair[0] >= _SAME), key=lambda pair: -pair[0])
    proposals = []
    for chosen in (best, *(other for _, other in same)):
        box = window.extent((255 * chosen.mask).astype(np.uint8))
        if box is not None:
            proposals.append(Proposal(chosen.number, windows[chosen.number].window.from_grid(box)))
    return proposals
