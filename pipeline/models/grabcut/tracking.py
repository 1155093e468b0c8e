"""Tracking a mask from frame to frame by four cues, whose log odds are added and smoothed along edges.

- The colours of the subject and of the background on the prompted frame, slowly updated.
- The last mask warped by dense flow, as far as the flow is reliable.
- A picture of the bare background, registered by the camera's motion and completed wherever the subject
  uncovers it: what looks like it is background, what differs from it is not.
- Motion against the camera's, where the subject moves by itself.

A subject that left is searched everywhere until it is found again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Mask, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.models.grabcut.colours import (
    Bins,
    bin_colours,
    colour_histogram,
    edge_guide,
    log_odds,
    signed_distance,
    smooth_odds,
)
from pipeline.models.grabcut.initial import correct_mask
from pipeline.prompts import Point, Stroke
from pipeline.stream_state import State

_LOST = 0.05
"""The share of its area below which the subject is no longer tracked but searched everywhere."""


@dataclass
class Background:
    """The scene behind the subject as far as it is known, on the grid of the current frame."""

    picture: Floats
    known: Floats
    """0 to 1 for each pixel."""

    def warp(self, flow: Floats) -> None:
        """Warp by the camera's motion; `flow` leads from the new frame to the old one."""
        self.picture = np.asarray(optical_flow.warp(self.picture, flow), np.float32)
        self.known = np.asarray(optical_flow.warp(self.known, flow), np.float32)

    def log_odds(self, picture: Floats) -> Floats:
        """Return the log odds that something stands before the background, `[h, w]`, -1 to 2.

        A colour is compared with all that the background has within a pixel, for registration is not exact.
        """
        near = np.ones((3, 3), np.uint8)
        beyond = np.maximum(picture - cv2.dilate(self.picture, near), cv2.erode(self.picture, near) - picture)
        return as_floats(np.clip(np.maximum(beyond, 0).max(2) / 20 - 1, -1, 2) * self.known)

    def forget(self, subject: Floats) -> None:
        """Forget the background where `subject`, a mask of 0 to 1, now is."""
        self.known = self.known * (1 - subject)

    def update(self, picture: Floats, bare: Floats) -> None:
        """Update the picture of the background; `bare` is the certainty, 0 to 1, that it is visible."""
        rate = bare * np.where(self.known > 0.5, 0.3, 1)
        self.picture = self.picture + (picture - self.picture) * rate[..., None]
        self.known = np.maximum(0.98 * self.known, bare)


@dataclass
class Subject:
    """The state of one stream: the last mask, and the models of subject and background."""

    mask: Floats
    area: float
    """Pixels that the subject covers when it is visible whole."""
    grey: Image
    """The last frame, `[h, w]`."""
    background: Background
    first: Floats
    """The colours of subject and background on the prompted frame, `[2, cells]`."""
    colours: Floats
    """As they are now."""

    @classmethod
    def from_mask(cls, small: Image, mask: Floats) -> Self:
        """Create the state on the prompted frame, from its mask."""
        bins, depth = bin_colours(small), signed_distance(mask)
        background = Background(small.astype(np.float32), _background_certainty(depth))
        # Colours near the subject count most: they are the most likely to be confused.
        near = np.where(depth > -max(small.shape) / 4, 1, 0.2)
        first = np.stack((colour_histogram(bins, mask), colour_histogram(bins, (1 - mask) * near)))
        return cls(mask, float((mask > 0.5).sum()), optical_flow.grey(small), background, first, first)

    def state(self) -> State:
        """Return all of it as plain data. The attributes are the keys of saved states: they stay."""
        return {**vars(self), "background": dict(vars(self.background))}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the subject from what `state` returned."""
        return cls(**{**state, "background": Background(**state["background"])})

    @property
    def lost(self) -> bool:
        """True if almost nothing of the subject is visible."""
        return bool((self.mask > 0.5).sum() <= _LOST * self.area)

    def track(self, small: Image) -> Floats:
        """Return the mask of the next frame, `[h, w]`, 0 to 1."""
        grey, bins, picture = optical_flow.grey(small), bin_colours(small), small.astype(np.float32)
        flow = optical_flow.flow(grey, self.grey)
        trusted = optical_flow.trusted(flow, optical_flow.flow(self.grey, grey))
        warped = np.asarray(optical_flow.warp(self.mask, flow), np.float32)
        camera = optical_flow.camera_flow(
            optical_flow.estimate_homography(flow, trusted & (warped < 0.3)), *grey.shape
        )
        self.background.warp(camera)
        subject, background = self.colours
        odds = log_odds(subject, background, bins) + self.background.log_odds(picture)
        if (warped > 0.5).sum() > _LOST * self.area:
            odds += _position_odds(warped, trusted) + _motion_odds(flow - camera, warped, trusted)
            self.mask = smooth_odds(odds, edge_guide(small))
        else:
            # Search everywhere; colour alone is not enough where the background is known.
            self.mask = _largest_part(smooth_odds(odds - 2, edge_guide(small)), _LOST * self.area)
        self.area = max(0.98 * self.area, float((self.mask > 0.5).sum()))
        self.grey = grey
        depth = signed_distance(self.mask)
        self.background.update(picture, _background_certainty(depth))
        self._update_colours(bins, depth)
        return self.mask

    def correct(self, small: Image, points: tuple[Point, ...], painted: tuple[Stroke, ...] = ()) -> Floats:
        """Correct the current frame's mask by clicks and strokes, and return it.

        The subject is tracked on from there.
        """
        bins = bin_colours(small)
        before, self.mask = self.mask, correct_mask(small, self.mask, points, painted)
        self.area = float((self.mask > 0.5).sum())
        gained, lost = np.maximum(self.mask - before, 0), np.maximum(before - self.mask, 0)
        transfer = np.stack(
            (
                _colour_transfer(bins, gained, lost, self.mask),
                _colour_transfer(bins, lost, gained, 1 - self.mask),
            )
        )
        self.first, self.colours = (
            _normalise(c * (1 - transfer[:, 0]) + transfer[:, 1]) for c in (self.first, self.colours)
        )
        self.background.forget(self.mask)
        self.background.update(small.astype(np.float32), _background_certainty(signed_distance(self.mask)))
        return self.mask

    def _update_colours(self, bins: Bins, depth: Floats) -> None:
        """Blend in a little of the current colours; the prompted frame's keep a fixed share."""
        current = np.stack(
            (colour_histogram(bins, depth > 3), colour_histogram(bins, (depth < -3) & (depth > -80)))
        )
        hold = np.array([[0.3], [0.1]], np.float32)
        self.colours = as_floats((1 - hold) * (0.95 * self.colours + 0.05 * current) + hold * self.first)


def _colour_transfer(bins: Bins, gained: Floats, lost: Floats, now: Floats) -> Floats:
    """Return how a correction changes the colours of a region, `[2, cells]`.

    The share of each colour that left with `lost`, and the colours that came with `gained`; `now` is the
    region after it.
    """
    added, removed, remaining = (colour_histogram(bins, part) * part.sum() for part in (gained, lost, now))
    return as_floats(np.stack((removed / (removed + remaining + 1e-3), added / max(float(now.sum()), 1.0))))


def _normalise(colours: Floats) -> Floats:
    return as_floats(colours / np.maximum(colours.sum(1, keepdims=True), 1e-6))


def _largest_part(mask: Floats, least: float) -> Floats:
    """Return the largest connected part of the mask; empty if it covers no more than `least` pixels."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas) or areas.max() <= least:
        return np.zeros_like(mask)
    return mask * (guided_filter.dilate((parts == 1 + np.argmax(areas)).astype(np.uint8), 2) > 0)


def _background_certainty(depth: Floats) -> Floats:
    """Return how certainly each pixel shows the background, 0 to 1, from its signed distance."""
    return np.clip(-depth / 4, 0, 1).astype(np.float32)


def _position_odds(warped: Floats, trusted: Mask) -> Floats:
    """Return the log odds of the warped mask: high inside, undecided at the edge, falling outside."""
    depth = signed_distance(warped)
    size = float(np.sqrt((warped > 0.5).sum()))
    far = np.maximum(-depth - 0.1 * size, 0) / (0.1 * size + 1)
    firm = np.where((depth > 0) & ~trusted, 0.3, 1.0)
    return np.asarray(2 * (np.tanh(depth / 8) * firm - far), np.float32)


def _motion_odds(motion: Floats, warped: Floats, trusted: Mask) -> Floats:
    """Return the log odds of moving against the camera as the subject does; 0 where it stands still."""
    speed = np.linalg.norm(motion, axis=2)
    core = trusted & (warped > 0.6)
    usual = float(np.median(speed[core])) if core.sum() > 20 else 0.0
    weight = np.clip((usual - 1) / 2, 0, 1)
    return as_floats(np.where(trusted, weight * np.clip(2 * speed / max(usual, 0.1) - 1, -1, 1), 0))
