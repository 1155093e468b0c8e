"""Estimation of the subject's colours in semi-transparent pixels.

A pixel of the edge is `I = α F + (1 − α) B`: a mix of the subject's colour F and the old background's B.
Composited unchanged it brings B along, as a halo. F is estimated as in Bayesian matting (Chuang and others,
"A Bayesian Approach to Digital Matting", CVPR 2001) with a known matte: the likeliest pair of colours that
gives I, where F and B have the means and variances of nearby pixels that are certainly subject and certainly
background. These statistics are spread by normalised convolution (Knutsson and Westin, 1993) with box
filters, from wide to narrow, as blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP
2021) does with all colours, mixed ones included.

The statistics are computed on a small image, as they are smooth; only the last step runs on the frame, and
only where needed. There is no state between frames: colours are as stable as the frames and the matte.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Matte, Pixels, as_floats

SHORT_SIDE = 180
"""Short side of the small image, in pixels; it is subsampled, not averaged, so that colours do not mix."""

RADII = (64, 22, 10, 5, 2, 1)
"""Radii of the box filters on the small image; each weighs `NEARER` times as much as the one before."""

NEARER = 10.0
NOISE = 20.0
"""Variance of pixel noise, for colours of 0 to 255."""

LEAST = np.float32(1e-30)

_CHUNK = 1 << 15
"""Pixels processed at a time, so that they fit in the processor's cache."""

# Weight of a pixel in the subject's statistics, by its alpha. The small weight of mixed pixels matters only
# if there are no others, as in smoke.
_SHARES = np.arange(256) / 255
_SUBJECT_WEIGHT = np.asarray(_SHARES**128 + 1e-9 * _SHARES**2 + 1e-12, np.float32)

# Factor on that weight by the image's own alpha: a transparent pixel has no colour and weighs less than any
# other.
_ALPHA_WEIGHT = np.asarray(_SHARES + 1e-15, np.float32)


def estimate_foreground(
    image: Pixels, matte: Matte, where: Matte | None = None, own_alpha: Matte | None = None
) -> Pixels:
    """Replace mixed colours by the subject's own wherever 0 < `matte` < 255.

    `image` is `[H, W, 3]` RGB, uint8 or uint16, as is the result; it is not modified, and returned itself if
    there is nothing to do. `matte` is `[H, W]` uint8. With `where` (`[H, W]` uint8) colours are estimated at
    its nonzero pixels instead: unchanged inside the subject, extended beyond its edge outside. `own_alpha`
    (`[H, W]` uint8) is the image's own alpha: it weighs colours, and where it is 0 there is none.
    """
    wanted = matte if where is None else where
    if own_alpha is not None:
        matte = np.asarray(cv2.bitwise_and(matte, matte, mask=own_alpha), np.uint8)
    mixed = cv2.bitwise_and(wanted, wanted, mask=cv2.inRange(matte, 0, 254))
    positions = np.flatnonzero(np.asarray(mixed).astype(bool))  # of bytes it is ten times as slow
    if not len(positions):
        return image
    subject, background = _local_statistics(image, matte, own_alpha)
    result = image.copy()
    for start in range(0, len(positions), _CHUNK):
        _replace(result, image, matte, positions[start : start + _CHUNK], subject, background)
    return result


def _replace(
    result: Pixels,
    image: Pixels,
    matte: Matte,
    positions: NDArray[np.intp],
    subject: Floats,
    background: Floats,
) -> None:
    """Write the likeliest subject colours into `result` at `positions` (flat indices of pixels)."""
    unit = np.float32(np.iinfo(image.dtype).max / 255)
    height, width = matte.shape
    y, x = np.divmod(positions.astype(np.int32), np.int32(width))
    across = (x * np.float32(subject.shape[1] / width)).astype(np.float32)
    down = (y * np.float32(subject.shape[0] / height)).astype(np.float32)
    *own, own_variance = _sample(subject, across, down)
    *other, other_variance = _sample(background, across, down)
    alpha = np.take(matte, positions).astype(np.float32) / 255
    share = alpha * own_variance
    gain = share / (alpha * share + (1 - alpha) ** 2 * other_variance + NOISE)
    pixels: Any = np.take(image.reshape(-1, 3), positions, 0)
    likeliest = np.empty_like(pixels)
    for channel in range(3):
        left = pixels[:, channel] / unit - alpha * own[channel] - (1 - alpha) * other[channel]
        likeliest[:, channel] = np.rint(np.clip(own[channel] + gain * left, 0, 255) * unit)
    result.reshape(-1, 3)[positions] = likeliest


def _local_statistics(image: Pixels, matte: Matte, own_alpha: Matte | None) -> tuple[Floats, Floats]:
    """Return the local colour statistics of subject and background on a small image.

    Each is `[h, w, 4]` float32: the mean colour, 0 to 255, and its variance, at least 1.
    """
    height, width = matte.shape
    step = max(1, min(height, width) // SHORT_SIDE)
    size = -(-width // step), -(-height // step)
    picture, shares = (cv2.resize(array, size, interpolation=cv2.INTER_NEAREST) for array in (image, matte))
    colours = as_floats(picture) / np.float32(np.iinfo(image.dtype).max / 255)
    square = as_floats(np.einsum("hwc,hwc->hw", colours, colours) / 3)
    subject, background = cv2.LUT(shares, _SUBJECT_WEIGHT), cv2.LUT(shares, _SUBJECT_WEIGHT[::-1])
    if own_alpha is not None:
        weight = cv2.LUT(cv2.resize(own_alpha, size, interpolation=cv2.INTER_NEAREST), _ALPHA_WEIGHT)
        subject, background = cv2.multiply(subject, weight), cv2.multiply(background, weight)
    return _weighted_statistics(colours, square, subject), _weighted_statistics(colours, square, background)


def _weighted_statistics(colours: Floats, square: Floats, weight: Any) -> Floats:
    """Return mean and variance of `colours` around each pixel, with `weight` (`[h, w]`, as `square`)."""
    # OpenCV filters four channels at once, and five one by one.
    sums = _sum_boxes(cv2.merge((*(cv2.multiply(plane, weight) for plane in cv2.split(colours)), weight)))
    *weighted, count = cv2.split(sums)
    count = np.maximum(count, LEAST)  # where there is no colour far and wide
    mean = [plane / count for plane in weighted]
    squares = as_floats(sum(plane * plane for plane in mean)) / 3
    variance = _sum_boxes(cv2.multiply(square, weight)) / count - squares
    return as_floats(cv2.merge((*mean, np.maximum(variance, 0) + 1)))


def _sum_boxes(image: Any) -> Any:
    """Return the sum of box filters of all radii, narrow ones weighing more."""
    total = np.zeros_like(image)
    for radius in RADII:
        side = 2 * radius + 1
        box = cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE)
        total = cv2.scaleAdd(total, 1 / NEARER, box)
    return total


def _sample(field: Floats, across: Floats, down: Floats) -> Floats:
    """Sample a field `[h, w, C]` bilinearly at N positions; return `[C, N]`."""
    # OpenCV's images may be no wider than 32767, so the positions are arranged in rows.
    shape = -(-len(across) // 1024), 1024
    values = cv2.remap(
        field,
        np.resize(across, shape),
        np.resize(down, shape),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.ascontiguousarray(as_floats(values).reshape(-1, field.shape[2])[: len(across)].T)
