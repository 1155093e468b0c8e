"""Alpha arithmetic and fitting of images to a canvas."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Matte, Pixels
from pipeline.compositing.background import Fit


def multiply_alpha(matte: Matte, own_alpha: Matte | None) -> Matte:
    """Multiply a matte by the image's own alpha (both `[H, W]` uint8), rounded to nearest."""
    return matte if own_alpha is None else np.asarray(cv2.multiply(matte, own_alpha, scale=1 / 255), np.uint8)


def composite_on_black(image: Pixels, alpha: Matte | None) -> Pixels:
    """Composite `image` on black by `alpha` (None: opaque); return the image's dtype.

    `image` is `[H, W, 3]` with straight colours, uint8 or uint16; `alpha` is `[H, W]` uint8.
    """
    if alpha is None:
        return image
    depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U
    dimmed: Any = cv2.multiply(image, cv2.merge((alpha,) * 3), scale=1 / 255, dtype=depth)
    return np.asarray(dimmed)


def fit_to_canvas(picture: Pixels, width: int, height: int, fit: Fit) -> Pixels:
    """Fit an image (`[h, w, 3]`, uint8 or uint16) to `[height, width, 3]`.

    "fill" covers the canvas, "fit" stays inside it on black, "stretch" changes the aspect ratio.
    """
    if fit == "stretch":
        return _resize(picture, width, height)
    choose = max if fit == "fill" else min
    scale = choose(width / picture.shape[1], height / picture.shape[0])
    # The part far outside is cropped before scaling: of a long strip that is nearly all.
    down, across = (
        slice(cut, n - cut)
        for n, target in ((picture.shape[0], height), (picture.shape[1], width))
        for cut in [max(0, (n - math.ceil(target / scale) - 2) // 2)]
    )
    picture = picture[down, across]
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    scaled = _resize(picture, *size)
    canvas = np.zeros((height, width, 3), picture.dtype)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    inner = scaled[max(0, -top) :, max(0, -left) :][:height, :width]
    canvas[max(0, top) :, max(0, left) :][: inner.shape[0], : inner.shape[1]] = inner
    return canvas


def _resize(picture: Pixels, width: int, height: int) -> Pixels:
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(picture, (width, height), interpolation=method)
    return np.asarray(scaled)
