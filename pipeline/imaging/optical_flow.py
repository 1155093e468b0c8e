"""Dense optical flow between frames, where it is reliable, and the camera's motion in it.

A flow is `[H, W, 2]` float32, in pixels, x before y, and points *from* the grid it is stored on: the
flow of frame B towards frame A holds, at each pixel of B, the vector to where that pixel was in A. This
is the direction that warps an image of A to B.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Flow, Grey, Homography, Image, Mask


def grey(frame: Image) -> Grey:
    """Return the brightness of an RGB frame `[H, W, 3]`, as `[H, W]` uint8: the input of `flow`."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def flow(source: Grey, target: Grey) -> Flow:
    """Return the flow from `source` to `target`, both `[H, W]` uint8: `[H, W, 2]` float32, in pixels.

    Dense inverse search (Kroeger and others, "Fast Optical Flow using Dense Inverse Search", ECCV 2016).
    """
    height, width = source.shape
    # OpenCV reads beyond small and long, narrow pictures, so these are padded at the bottom and right.
    least = max(32, max(height, width) // 4)
    fill = (0, max(0, least - height), 0, max(0, least - width))
    source, target = (
        np.asarray(cv2.copyMakeBorder(image, *fill, cv2.BORDER_REPLICATE), np.uint8)
        for image in (source, target)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(search.calc(source, target, np.empty(0)), np.float32)[:height, :width]


def grid(height: int, width: int) -> Floats:
    """Return the coordinates of each pixel, `[H, W, 2]` float32, x before y."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def warp(image: NDArray[Any], field: Flow, border: float = 0) -> NDArray[Any]:
    """Warp `image` (`[H, W]` or `[H, W, C]`) by a flow: of B to A, it brings the image of A to B's grid.

    What comes from outside the picture is `border`.
    """
    x, y = cv2.split(grid(*field.shape[:2]) + field)
    edge = (border,) * 4
    warped = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=edge)
    return np.asarray(warped)


def forward_backward_error(forward: Flow, backward: Flow) -> Floats:
    """Return the forward-backward error of a flow, `[H, W]` float32, in pixels.

    That is the distance from the start after `forward` and then `backward`: small where the flow is right,
    large where it is wrong or the place is occluded in one of the frames.
    """
    returned = warp(backward, forward, border=1e3)
    return np.asarray(np.linalg.norm(forward + returned, axis=2), np.float32)


_TRUSTED = 1.5
"""The forward-backward error, in pixels, below which a flow counts as reliable."""


def trusted(forward: Flow, backward: Flow) -> Mask:
    """Return where a flow is reliable, `[H, W]` bool: its forward-backward error is small."""
    return forward_backward_error(forward, backward) < _TRUSTED


def estimate_homography(field: Flow, background: Mask, step: int = 8) -> Homography:
    """Estimate the homography of a flow's `background` (`[H, W]` bool), `[3, 3]`, from its grid to the other.

    RANSAC over every `step`-th pixel leaves out what moves by itself. The identity where too little
    background is visible.
    """
    height, width = field.shape[:2]
    positions = grid(height, width)[step // 2 :: step, step // 2 :: step]
    chosen = background[step // 2 :: step, step // 2 :: step]
    source = positions[chosen]
    target = source + field[step // 2 :: step, step // 2 :: step][chosen]
    if len(source) < 16:
        return np.eye(3)
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC, 1.0, maxIters=500)
    return np.eye(3) if homography is None else np.asarray(homography, np.float64)


def camera_flow(homography: Homography, height: int, width: int) -> Flow:
    """Return the flow of a static scene under this motion of the camera, `[H, W, 2]`, in pixels."""
    positions = grid(height, width)
    return (
        cv2.perspectiveTransform(positions.reshape(-1, 1, 2), homography).reshape(positions.shape) - positions
    )
