"""Calming the flicker of mattes that were each found alone.

Each matte is blended with the one before it, carried on by dense flow: an average over time that moves with
the picture, so that nothing lags behind. It holds only where the flow can be believed, that is where going
there and back ends at the start and where both frames show the same colours; elsewhere a matte stays as it
was found. Of the past only one matte and one small frame are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.stream_state import State

_SIDE = 480
"""Pixels of the long side of the frames that flow is found on."""

_HOLD = 0.6
"""How much of the past goes into a matte where flow is believed: independent noise falls by half."""

_MISSED = 0.5
"""Pixels of the small frame by which going there and back misses where belief has fallen to a third."""

_COLOUR = 12.0
"""How far the colours are apart where it has fallen so, 0 to 255."""

_MARGIN = 2
"""Pixels of the small frame by which doubt spreads: beside a hidden or uncovered place flow is wrong, too."""


def deflicker(pairs: Iterator[FramePrediction], state: State | None = None) -> Iterator[FramePrediction]:
    """The pairs of one scene, in order and one for one, with calmer mattes.

    Their states hold those of `pairs` as "found". With such a state the scene goes on behind its pair.
    """
    before: tuple[Image, Matte] | None = None
    if state is not None:
        before = state["small"], state["matte"]
    for frame, found in pairs:
        small = guided_filter.shrunk(frame.image, _SIDE)
        matte = found.matte if before is None else _blended(small, found.matte, *before)
        before = small, matte
        kept = found.state and partial(_state, small, matte, found.state)
        yield frame, found._replace(matte=matte, state=kept)


def _state(small: Image, matte: Matte, found: Callable[[], State]) -> State:
    return {"small": small, "matte": matte, "found": found()}


def _blended(small: Image, matte: Matte, small_before: Image, before: Matte) -> Matte:
    """`matte` with a share of the one before, which is carried here; `[H, W]` uint8."""
    grey, grey_before = optical_flow.grey(small), optical_flow.grey(small_before)
    way = optical_flow.flow(grey, grey_before)
    belief = _belief(small, small_before, way, optical_flow.flow(grey_before, grey))
    height, width = matte.shape
    scale = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    carried = optical_flow.warp(before, as_floats(cv2.resize(way, (width, height))) * scale)
    share = as_floats(cv2.resize(_HOLD * belief, (width, height)))
    return np.rint(matte + share * (carried - as_floats(matte))).astype(np.uint8)


def _belief(small: Image, before: Image, way: Floats, back: Floats) -> Floats:
    """How far the flow `way` to the frame before can be believed, `[h, w]`, 0 to 1."""
    missed = optical_flow.disagreement(way, back) / _MISSED
    seen = optical_flow.warp(as_floats(before), way, border=1e3)
    apart = cv2.GaussianBlur(np.abs(as_floats(small) - seen).max(2), (0, 0), 1) / _COLOUR
    belief = np.exp(-np.square(missed) - np.square(as_floats(apart)))
    return as_floats(cv2.erode(belief, np.ones((2 * _MARGIN + 1,) * 2, np.uint8)))
