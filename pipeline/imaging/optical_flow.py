"""Carrying what is known of one frame to the next: dense flow, what of it to trust, and the camera.

A flow is `[H, W, 2]` float32, in pixels, x before y, and points *from* the grid it is stored on: the
flow of frame B towards frame A holds, at each pixel of B, the way to where that pixel was in A. This is
the direction that carries an image of A on to B.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Flow, Grey, Homography, Image, Mask


def grey(frame: Image) -> Grey:
    """The brightness of an RGB frame, `[H, W]` uint8: what flow is found on."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def flow(here: Grey, there: Grey) -> Flow:
    """The way from each pixel of `here` to its place in `there`, both `[H, W]` uint8.

    Dense inverse search (Kroeger and others, "Fast Optical Flow using Dense Inverse Search", ECCV 2016).
    """
    height, width = here.shape
    # OpenCV reads beyond small and long, narrow pictures, so these are made fuller at the bottom and right.
    least = max(32, max(height, width) // 4)
    fill = (0, max(0, least - height), 0, max(0, least - width))
    here, there = (
        np.asarray(cv2.copyMakeBorder(image, *fill, cv2.BORDER_REPLICATE), np.uint8)
        for image in (here, there)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(search.calc(here, there, np.empty(0)), np.float32)[:height, :width]


def grid(height: int, width: int) -> Floats:
    """The coordinates of each pixel, `[H, W, 2]`, x before y."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def warp(image: NDArray[Any], way: Flow, border: float = 0) -> NDArray[Any]:
    """`image`, fetched along `way`: the image of A on the grid of B, for the flow of B towards A.

    What comes from outside the picture is `border`.
    """
    x, y = cv2.split(grid(*way.shape[:2]) + way)
    edge = (border,) * 4
    carried = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=edge)
    return np.asarray(carried)


def disagreement(way: Flow, back: Flow) -> Floats:
    """How many pixels one misses the start by, going along `way` and then `back`; `[H, W]`.

    Small where the flow is right, large where it is wrong or where one of the frames hides the place.
    """
    there = warp(back, way, border=1e3)
    return np.asarray(np.linalg.norm(way + there, axis=2), np.float32)


_TRUSTED = 1.5
"""Pixels by which going forward and back may miss and the flow is still believed."""


def trusted(way: Flow, back: Flow) -> Mask:
    """Where a flow is believed, `[H, W]`: going along `way` and then `back` ends about where it started."""
    return disagreement(way, back) < _TRUSTED


def camera(way: Flow, background: Mask, step: int = 8) -> Homography:
    """The homography that a flow's `background` pixels agree on, `[3, 3]`, from its grid to the other.

    RANSAC over every `step`-th pixel leaves out what moves by itself. The identity where too little
    background is to be seen.
    """
    height, width = way.shape[:2]
    here = grid(height, width)[step // 2 :: step, step // 2 :: step]
    chosen = background[step // 2 :: step, step // 2 :: step]
    source = here[chosen]
    target = source + way[step // 2 :: step, step // 2 :: step][chosen]
    if len(source) < 16:
        return np.eye(3)
    found, _ = cv2.findHomography(source, target, cv2.RANSAC, 1.0, maxIters=500)
    return np.eye(3) if found is None else np.asarray(found, np.float64)


def camera_way(homography: Homography, height: int, width: int) -> Flow:
    """The flow that a still scene would show under this movement of the camera; `[H, W, 2]`."""
    here = grid(height, width)
    return cv2.perspectiveTransform(here.reshape(-1, 1, 2), homography).reshape(here.shape) - here
