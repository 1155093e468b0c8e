"""Blur of a background as a lens makes it: more with the distance behind the subject, and of discs.

The subject stands on level ground. There the disc into which a lens spreads a point grows evenly with the
height in the picture above the place where the subject stands, up to the horizon. Light is added up as light,
and what is clipped to white counts as brighter than that, so that lamps become discs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Floats, Matte, Pixels, as_floats

_HORIZON = 0.45
"""Height of the horizon above the ground contact, in heights of the frame."""

_FEET = 0.01
"""Share of the subject below the ground contact, so that a single pixel does not move it."""

_SHARES = (0.12, 0.25, 0.45, 0.7, 1.0)
"""Radii at which the picture is blurred, as shares of the largest; between them it is interpolated."""

_GAMMA = 2.2
_CLIPPED = 6.0
"""Brightness of clipped white, relative to white."""


def blur_by_depth(image: Pixels, matte: Matte, radius: float) -> Pixels:
    """Blur the background of `image` by its depth, without the subject's colours.

    `image` is `[H, W, 3]` RGB, uint8 or uint16, as is the result; `matte` is `[H, W]` uint8; `radius` is that
    at the horizon, in pixels of a frame 720 high. Works at a quarter of the size, but for what stays sharp.
    """
    height, width = matte.shape
    rows = np.arange(height, dtype=np.float32)
    share = np.clip((_ground_contact(matte) - rows) / (_HORIZON * height), 0, 1)
    size = max(1, width // 4), max(1, height // 4)
    most = float(np.iinfo(image.dtype).max)
    # Reduced as light, and without the subject, whose colours would else be mixed into the edge.
    behind = (255 - matte).astype(np.float32) / 255
    seen = cv2.multiply(_light_of(image), cv2.merge((behind,) * 3))
    light = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    weight = as_floats(cv2.resize(behind, size, interpolation=cv2.INTER_AREA))
    light = _fill(as_floats(np.dstack((light, weight))))
    largest = max(0.5, radius * height / 720 / 4)
    levels = (0.0, *_SHARES, 2.0)
    result = image * _hat(share, -1.0, *levels[:2])[:, None, None]
    for below, level, above in zip(levels, levels[1:], levels[2:], strict=False):
        mixed = _hat(share, below, level, above)
        used = np.flatnonzero(mixed)
        if len(used):
            part = slice(int(used[0]), int(used[-1]) + 1)
            blurred = _spread(light, largest * level, part.start / height, part.stop / height)
            full = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)[part]
            result[part] += full * (mixed[part, None, None] * np.float32(most))
    rounded: Any = np.rint(result.clip(0, most)).astype(image.dtype)
    return np.asarray(rounded)


def _fill(light: Floats) -> Floats:
    """Give a trace of the light around it to what the subject hides: `[h, w, 4]`, light and weight."""
    height, width = light.shape[:2]
    size = max(1, width // 4), max(1, height // 4)
    coarse = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    for share, sigma in ((1e-2, height / 192), (1e-4, height / 24)):
        wide = cv2.GaussianBlur(coarse, (0, 0), max(1.0, sigma))
        around = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
        missing = share * (1 - light[..., 3:]).clip(0, 1)
        light = as_floats(light + missing * around / np.maximum(around[..., 3:], 1e-6))
    return light


def _ground_contact(matte: Matte) -> float:
    """Return the row on which the subject stands, between two rows where need be; without one the lowest."""
    sums = matte.sum(axis=1, dtype=np.float64)
    total = sums.sum()
    if not total:
        return float(len(matte))
    reached = np.cumsum(sums)
    wanted = (1 - _FEET) * total
    row = int(np.searchsorted(reached, wanted))
    before = reached[row - 1] if row else 0.0
    return row + float((wanted - before) / sums[row])


def _hat(values: Floats, below: float, top: float, above: float) -> Floats:
    """Return 1 at `top`, falling evenly to 0 at `below` and `above`."""
    return as_floats(
        np.clip(np.minimum((values - below) / (top - below), (above - values) / (above - top)), 0, 1)
    )


def _spread(light: Floats, radius: float, first: float, past: float) -> Floats:
    """Spread light (`[h, w, 4]`, multiplied by its weight, and that) into discs; return signal, `[h, w, 3]`.

    Only rows from `first` up to `past`, as shares of the height, are computed; the others are 0.
    """
    height = len(light)
    margin = int(radius) + 2
    begin, end = max(0, int(first * height) - 1), min(height, int(past * height) + 2)
    near = light[max(0, begin - margin) : end + margin]
    disc = _disc(radius)
    soft = cv2.filter2D(near, -1, disc, borderType=cv2.BORDER_REPLICATE)[begin - max(0, begin - margin) :]
    soft = soft[: end - begin]
    result = np.zeros((*light.shape[:2], 3), np.float32)
    result[begin:end] = _to_signal(as_floats(soft[..., :3] / np.maximum(soft[..., 3:], 1e-9)))
    return result


def _disc(radius: float) -> Floats:
    """Return a disc with a soft rim of one pixel, whose sum is 1."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return as_floats(disc / disc.sum())


def _to_light(signal: Floats) -> Floats:
    """Return the light of a signal, 0 to 1; of clipped white it is `_CLIPPED`."""
    return as_floats(signal**_GAMMA * (1 + (_CLIPPED - 1) * signal**16))


def _to_signal(light: Floats) -> Floats:
    """Return the signal of light, 0 to 1: the inverse of `_to_light`, from a table."""
    signal = np.linspace(0, 1, 4096, dtype=np.float32)
    return as_floats(np.interp(light.ravel(), _to_light(signal), signal).reshape(light.shape))


def _light_of(image: Pixels) -> Floats:
    """Return the light of a picture, `[H, W, 3]`."""
    table = _light_table(image.dtype.itemsize)
    return as_floats(cv2.LUT(image, table) if image.dtype == np.uint8 else table[image])


@cache
def _light_table(size: int) -> Floats:
    """Return the light of each value of `size` bytes."""
    return _to_light(np.linspace(0, 1, 256**size, dtype=np.float32))
