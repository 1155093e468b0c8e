"""Guided filter, and the upsampling of small masks along the edges of their frame.

The filters are the guided filter of He, Sun and Tang ("Guided Image Filtering", ECCV 2010) with a
colour guide, and its fast form of He and Sun ("Fast Guided Filter", 2015), in which the linear
coefficients are found on a small picture and applied to the large one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import ByteMask, Floats, Image, Matte, as_floats


def fit_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Return the height and width of a picture shrunk to a long side of at most `side`; both at least 1."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(frame: Image, side: int) -> Image:
    """Shrink `frame` (`[H, W, 3]`, uint8) to a long side of at most `side`."""
    height, width = fit_size(frame.shape[0], frame.shape[1], side)
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def logistic(logits: Floats) -> Floats:
    """Return the logistic function of logits: probabilities, 0 to 1, of the same shape."""
    # In the form that does not overflow.
    return as_floats((np.tanh(logits / 2) + 1) / 2)


def box(image: Floats, radius: int) -> Floats:
    """Return the mean over squares of side `2 * radius + 1`; any `[H, W]` or `[H, W, C]` float image."""
    side = 2 * radius + 1
    return as_floats(cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT))


def dilate(mask: ByteMask, radius: int) -> ByteMask:
    """Dilate `mask` (`[H, W]`, uint8) by `radius` pixels."""
    return np.asarray(cv2.dilate(mask, _disc(radius)), np.uint8)


def erode(mask: ByteMask, radius: int) -> ByteMask:
    """Erode `mask` (`[H, W]`, uint8) by `radius` pixels, but not from the picture's border."""
    return np.asarray(cv2.erode(mask, _disc(radius)), np.uint8)


def _disc(radius: int) -> ByteMask:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


class Guide:
    """A guide picture with its local statistics, by which many images can be filtered.

    Within each window the result is `a · colour + b`, with `a = (Σ + ε)⁻¹ cov(colour, image)`.
    """

    def __init__(self, picture: Image, radius: int, eps: float) -> None:
        """`picture` is `[H, W, 3]` uint8; `eps` the variance that passes for flat, colours being 0 to 1."""
        self.radius = radius
        self.picture = as_floats(picture) / np.float32(255)
        self._mean = box(self.picture, radius)
        r, g, b = cv2.split(self.picture)
        mr, mg, mb = cv2.split(self._mean)
        squares = cv2.split(box(as_floats(cv2.merge((r * r, g * g, b * b))), radius))
        products = cv2.split(box(as_floats(cv2.merge((r * g, r * b, g * b))), radius))
        rr, gg, bb = (s - m * m + eps for s, m in zip(squares, (mr, mg, mb), strict=True))
        pairs = (mr * mg, mr * mb, mg * mb)
        rg, rb, gb = (p - m for p, m in zip(products, pairs, strict=True))
        # The inverse of a symmetric 3 × 3 matrix by its cofactors: much faster than a solver per pixel.
        c = (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb)
        d = (rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg)
        self._scale = 1 / (rr * c[0] + rg * c[1] + rb * c[2])
        self._cofactors = ((c[0], c[1], c[2]), (c[1], d[0], d[1]), (c[2], d[1], d[2]))

    def coefficients(self, image: Floats) -> tuple[Floats, Floats]:
        """Return the smoothed `a`, `[H, W, 3]`, and `b`, `[H, W]`, of `image`, `[H, W]`, in the guide."""
        mean = box(image, self.radius)
        moment = box(self.picture * image[..., None], self.radius)
        covariance = cv2.split(moment - self._mean * mean[..., None])
        rows = (sum(k * c for k, c in zip(row, covariance, strict=True)) for row in self._cofactors)
        a = as_floats(cv2.merge([as_floats(self._scale * row) for row in rows]))
        b = mean - _dot(a, self._mean)
        return box(a, self.radius), box(b, self.radius)

    def filter(self, image: Floats) -> Floats:
        """Smooth `image` (`[H, W]` float32), its edges drawn to those of the picture."""
        a, b = self.coefficients(image)
        return _dot(a, self.picture) + b


def upsample(mask: Floats, frame: Image, radius: int = 4, eps: float = 1e-4, band: int = 5) -> Matte:
    """Upsample a small soft mask to the size of its frame: `[H, W]` uint8, 0 to 255.

    `mask` is `[h, w]`, 0 to 1; `frame` is `[H, W, 3]` uint8, not smaller. `radius` and `band` are pixels of
    the mask's grid. Only within `band` of the mask's edge can the result be soft: further inside it is
    exactly 255, further outside exactly 0.
    """
    height, width = frame.shape[:2]
    hard = (mask > 0.5).astype(np.uint8)
    inside, around = erode(hard, band), dilate(hard, band)
    matte = _enlarge(inside, width, height) * np.uint8(255)
    y, x = (_enlarge(around, width, height) > _enlarge(inside, width, height)).nonzero()
    if not len(x):
        return matte
    small = cv2.resize(frame, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    a, b = Guide(np.asarray(small, np.uint8), radius, eps).coefficients(mask)
    scale = mask.shape[1] / width, mask.shape[0] / height
    lines = _sample(np.dstack((a, b)), (x + 0.5) * scale[0] - 0.5, (y + 0.5) * scale[1] - 0.5)
    alpha = (lines[:, :3] * frame[y, x]).sum(1) / 255 + lines[:, 3]
    # A filtered step reaches 0 and 1 only slowly: stretched, so that the true edge alone stays soft.
    matte[y, x] = np.rint(255 * np.clip((alpha - 0.5) * 1.6 + 0.5, 0, 1))
    return matte


def upsample_soft(mask: Floats, frame: Image, radius: int = 4, eps: float = 1e-4) -> Matte:
    """Upsample a small matte to `[H, W]` uint8, the size of its frame, as soft as it is: hair, smoke, glass.

    `mask` is `[h, w]`, 0 to 1; `frame` is `[H, W, 3]` uint8, not smaller. The mask is enlarged as it is, and
    where it changes, what the frame shows finer than the mask's grid is added to it by the slopes of the
    guided filter: nothing is smoothed, nothing hardened. `radius` is pixels of the mask's grid.
    """
    height, width = frame.shape[:2]
    matte = np.asarray(cv2.resize(np.rint(255 * mask).astype(np.uint8), (width, height)), np.uint8)
    changing = dilate(((mask > SURE) & (mask < 1 - SURE)).astype(np.uint8), radius)
    y, x = _enlarge(changing, width, height).nonzero()
    if not len(x) or mask.shape == (height, width):
        return matte
    small = np.asarray(cv2.resize(frame, mask.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    # The slopes depend on what is two windows away, and are taken between two pixels.
    rows, columns = (_extent(np.asarray(changing.any(1 - axis)), 2 * radius + 2) for axis in (0, 1))
    small, near = np.ascontiguousarray(small[rows, columns]), np.ascontiguousarray(mask[rows, columns])
    a, _ = Guide(small, radius, eps).coefficients(near)
    scale = mask.shape[1] / width, mask.shape[0] / height
    grids = np.dstack((a, as_floats(small), near))
    places = (x + 0.5) * scale[0] - 0.5 - columns.start, (y + 0.5) * scale[1] - 0.5 - rows.start
    values = _sample(grids, *places)
    slope, coarse, alpha = values[:, :3], values[:, 3:6], values[:, 6]
    alpha = alpha + (slope * (frame[y, x] - coarse)).sum(1) / 255
    matte[y, x] = np.rint(255 * np.clip(alpha, 0, 1))
    return matte


SURE = 0.02
"""A soft matte nearer than this to 0 or 1 counts as constant."""


def _extent(marked: NDArray[np.bool_], margin: int) -> slice:
    """Return the part of a line that holds all that is marked, and a margin."""
    places = np.flatnonzero(marked)
    return slice(max(0, int(places[0]) - margin), min(len(marked), int(places[-1]) + 1 + margin))


def _enlarge(mask: ByteMask, width: int, height: int) -> ByteMask:
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _sample(image: Floats, x: NDArray[Any], y: NDArray[Any]) -> Floats:
    """Return the values `[N, C]` of an image `[H, W, C]` at N places between its pixels."""
    # OpenCV's images may be no wider than 32767, so the positions are arranged in rows.
    shape = -(-len(x) // 1024), 1024
    places = as_floats(np.resize(x, shape)), as_floats(np.resize(y, shape))
    values = cv2.remap(image, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return as_floats(values).reshape(-1, image.shape[2])[: len(x)]


def _dot(a: Floats, picture: Floats) -> Floats:
    return as_floats(np.einsum("hwc,hwc->hw", a, picture))
