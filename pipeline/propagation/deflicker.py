"""Deflickering of mattes that were predicted frame by frame.

Each matte is blended with the previous one, warped by dense optical flow: a running average along the motion,
so that nothing lags behind. It applies only where the flow is reliable, that is where forward and backward
flow agree and both frames show the same colours; elsewhere a matte is left unchanged. Only one matte and one
small frame of the past are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.propagation.predictions import FramePrediction
from pipeline.stream_state import State

_SIDE = 480
"""Long side in pixels of the frames that flow is computed on."""

_HOLD = 0.6
"""Weight of the past where the flow is reliable: independent noise falls by half."""

_MISSED = 0.5
"""Forward-backward error, in pixels of the small frame, at which reliability has fallen to a third."""

_COLOUR = 12.0
"""Colour difference, 0 to 255, at which it has fallen so."""

_MARGIN = 2
"""Pixels of the small frame by which unreliable areas grow: flow is also wrong beside occlusions."""


def deflicker(pairs: Iterator[FramePrediction], state: State | None = None) -> Iterator[FramePrediction]:
    """Deflicker the predictions of one scene, in order and one for one.

    Their states hold those of `pairs` as "found". With such a state the scene continues behind its frame.
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
    """Blend `matte` with the previous one, warped to this frame; `[H, W]` uint8."""
    grey, grey_before = optical_flow.grey(small), optical_flow.grey(small_before)
    way = optical_flow.flow(grey, grey_before)
    belief = _belief(small, small_before, way, optical_flow.flow(grey_before, grey))
    height, width = matte.shape
    scale = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    carried = optical_flow.warp(before, as_floats(cv2.resize(way, (width, height))) * scale)
    share = as_floats(cv2.resize(_HOLD * belief, (width, height)))
    return np.rint(matte + share * (carried - as_floats(matte))).astype(np.uint8)


def _belief(small: Image, before: Image, way: Floats, back: Floats) -> Floats:
    """Return the reliability of the flow `way` to the previous frame, `[h, w]` float32, 0 to 1."""
    missed = optical_flow.disagreement(way, back) / _MISSED
    seen = optical_flow.warp(as_floats(before), way, border=1e3)
    apart = cv2.GaussianBlur(np.abs(as_floats(small) - seen).max(2), (0, 0), 1) / _COLOUR
    belief = np.exp(-np.square(missed) - np.square(as_floats(apart)))
    return as_floats(cv2.erode(belief, np.ones((2 * _MARGIN + 1,) * 2, np.uint8)))
