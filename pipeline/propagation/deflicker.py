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

from pipeline import devices
from pipeline.arrays import DeviceImage, Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.propagation.predictions import FramePrediction
from pipeline.stream_state import State
from pipeline.video.reading.frames import Frame

_SIDE = 480
"""Long side in pixels of the frames that flow is computed on."""

_HOLD = 0.6
"""Weight of the past where the flow is reliable: independent noise falls by half."""

_FLOW_ERROR = 0.5
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
    for frame, prediction in pairs:
        small, matte = shrink(frame.image), prediction.matte
        if before is not None:
            frame, matte = _blend_within_memory(frame, small, matte, *before)
        before = small, matte
        behind = prediction.state and partial(_state, small, matte, prediction.state)
        yield frame, prediction._replace(matte=matte, state=behind)


def shrink(image: Image) -> Image:
    """Return a frame in the size that flow is computed on."""
    return guided_filter.shrink(image, _SIDE)


def _state(small: Image, matte: Matte, model_state: Callable[[], State]) -> State:
    return {"small": small, "matte": matte, "found": model_state()}


def _blend_within_memory(
    frame: Frame, small: Image, matte: Matte, small_before: Image, before: Matte
) -> tuple[Frame, Matte]:
    """Return a frame and its matte, blended as by `blend`.

    Where the memory of the frame's device is too small, both are the host's from here on.
    """
    if frame.tensor is None:
        return frame, blend(small, matte, small_before, before)
    blended = devices.within_memory(partial(blend, small, matte, small_before, before, frame.tensor))
    if blended is not None:
        return frame, blended
    return frame.on_host(), blend(small, matte, small_before, before)


def blend(
    small: Image, matte: Matte, small_before: Image, before: Matte, frame: DeviceImage | None = None
) -> Matte:
    """Blend `matte` with the previous one, warped to this frame; `[H, W]` uint8.

    The flow is found on the host; the rest is done on the frame's device, if it stays on one.
    """
    grey, grey_before = optical_flow.grey(small), optical_flow.grey(small_before)
    flow = optical_flow.flow(grey, grey_before)
    reliability = _reliability(small, small_before, flow, optical_flow.flow(grey_before, grey))
    if frame is not None:
        from pipeline.tensors import transfer, warping

        images = (matte, before, flow, _HOLD * reliability)
        return transfer.download(warping.blend(*(transfer.upload(image, frame.device) for image in images)))
    height, width = matte.shape
    scale = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    warped = optical_flow.warp(before, as_floats(cv2.resize(flow, (width, height))) * scale)
    weight = as_floats(cv2.resize(_HOLD * reliability, (width, height)))
    return np.rint(matte + weight * (warped - as_floats(matte))).astype(np.uint8)


def _reliability(small: Image, before: Image, forward: Floats, backward: Floats) -> Floats:
    """Return the reliability of the flow `forward` to the previous frame, `[h, w]` float32, 0 to 1."""
    error = optical_flow.forward_backward_error(forward, backward) / _FLOW_ERROR
    warped = optical_flow.warp(as_floats(before), forward, border=1e3)
    difference = cv2.GaussianBlur(np.abs(as_floats(small) - warped).max(2), (0, 0), 1) / _COLOUR
    reliability = np.exp(-np.square(error) - np.square(as_floats(difference)))
    return as_floats(cv2.erode(reliability, np.ones((2 * _MARGIN + 1,) * 2, np.uint8)))
