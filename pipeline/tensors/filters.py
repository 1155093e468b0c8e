"""Resizing, blurring and morphology of images `[C, H, W]`, float32, as OpenCV does them on the host.

Weighted sums are products with matrices and not convolutions: torch computes those in float32, and lets cuDNN
compute convolutions with ten bits of mantissa (TF32), too few for 16 bits and for sums that are rounded down.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from pipeline.arrays import Floats
from pipeline.tensors import streams


def resize_area(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resize `[C, H, W]` to `[C, height, width]`, not larger: means over the area of each new pixel."""
    return _resample(image, height, width, "area")


def resize_linear(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resize `[C, H, W]` to `[C, height, width]` bilinearly, without a filter where it shrinks."""
    return functional.interpolate(image[None], (height, width), mode="bilinear", align_corners=False)[0]


def resize_cubic(
    image: torch.Tensor, height: int, width: int, siting: tuple[float, float] = (0.5, 0.5)
) -> torch.Tensor:
    """Resize `[C, H, W]` to `[C, height, width]` by swscale's bicubic kernel, stretched where it shrinks.

    `siting` is where a sample lies in the pixels that it stands for, across and down: 0 on their first one's
    centre, 0.5 in the middle of all.
    """
    return _resample(image, height, width, "cubic", siting)


def sample_grid(field: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Sample `[C, h, w]` bilinearly at the crossings of H rows and W columns, in pixels: `[C, H, W]`.

    Beyond the border it repeats. The places of more than four channels are rounded to 32nds of a pixel, as
    OpenCV's remapping does.
    """
    if field.shape[0] > 4:
        rows, columns = (rows * 32).round() / 32, (columns * 32).round() / 32
    rows, columns = (
        places / max(1, size - 1) * 2 - 1
        for places, size in ((rows, field.shape[1]), (columns, field.shape[2]))
    )
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)[None].float()
    return functional.grid_sample(field[None], places, padding_mode="border", align_corners=True)[0]


def enlarge_nearest(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resize `[C, H, W]` to `[C, height, width]` by taking pixels: number `n` is `n * old // new`."""
    rows, columns = (
        torch.arange(new, device=image.device) * old // new
        for new, old in ((height, image.shape[1]), (width, image.shape[2]))
    )
    return image[:, rows][:, :, columns]


def _resample(
    image: torch.Tensor, height: int, width: int, kind: str, siting: tuple[float, float] = (0.5, 0.5)
) -> torch.Tensor:
    """Resize along both axes as two products with matrices of weights."""
    across, down = siting
    if image.shape[1] != height:
        weights = _weights(image.shape[1], height, kind, down, 12, image.device, _stream(image))
        image = torch.einsum("oh,chw->cow", weights, image)
    if image.shape[2] != width:
        weights = _weights(image.shape[2], width, kind, across, 14, image.device, _stream(image))
        image = torch.einsum("ow,chw->cho", weights, image)
    return image


def _stream(image: torch.Tensor) -> int:
    return streams.number(image.device)


@lru_cache(maxsize=64)
def _weights(
    old: int, new: int, kind: str, siting: float, bits: int, device: torch.device, stream: int
) -> torch.Tensor:
    weights = _area_weights(old, new) if kind == "area" else _cubic_weights(old, new, siting, bits)
    return torch.from_numpy(weights).to(device)


def _area_weights(old: int, new: int) -> Floats:
    """Return how much of each old pixel lies in each new one, `[new, old]` float32; rows add up to 1."""
    ends = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    share = np.minimum(ends[1:, None], pixels + 1) - np.maximum(ends[:-1, None], pixels)
    share = np.maximum(share, 0)
    return np.asarray(share / share.sum(1, keepdims=True), np.float32)


def _cubic_weights(old: int, new: int, siting: float, bits: int) -> Floats:
    """Return the weights of Keys' bicubic kernel with a = -0.6, `[new, old]` float32; borders repeat.

    As in swscale they have so many bits behind the point.
    """
    scale = max(1.0, old / new)
    ratio = old / new
    centres = (np.arange(new) + 0.5) * ratio - 0.5 + (0.5 - siting) * (1 - ratio)
    reach = math.ceil(2 * scale)
    first = np.floor(centres).astype(int) - reach
    index = first[:, None] + np.arange(2 * reach + 2)
    kernel = _keys((index - centres[:, None]) / scale)
    kernel /= kernel.sum(1, keepdims=True)
    # The rest of each rounding is added to the next weight, so that they still add up to 1.
    rest = np.zeros(new)
    for weight in kernel.T:
        weight += rest
        rounded = np.rint(weight * 2**bits) / 2**bits
        rest = weight - rounded
        weight[:] = rounded
    weights = np.zeros((new, old))
    np.add.at(weights, (np.arange(new)[:, None], np.clip(index, 0, old - 1)), kernel)
    return np.asarray(weights, np.float32)


def _keys(distance: np.ndarray) -> np.ndarray:
    """Return Keys' cubic convolution kernel (IEEE TASSP 29, 1981) with a = -0.6."""
    a, x = -0.6, np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def box(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the mean over squares of side `2 * radius + 1`, the border mirrored with its own pixel."""
    return _mean(_pad_symmetric(image, radius), radius)


def box_replicate(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the same with the border's pixels repeated."""
    return _mean(functional.pad(image[None], (radius,) * 4, mode="replicate")[0], radius)


def _mean(padded: torch.Tensor, radius: int) -> torch.Tensor:
    side = 2 * radius + 1
    rows = functional.avg_pool2d(padded[None], (side, 1), stride=1)
    return functional.avg_pool2d(rows, (1, side), stride=1)[0]


def _pad_symmetric(image: torch.Tensor, radius: int) -> torch.Tensor:
    for axis in (1, 2):
        size = image.shape[axis]
        # Mirrored again and again where the image is narrower than the radius.
        turn = torch.arange(-radius, size + radius, device=image.device) % (2 * size)
        image = image.index_select(axis, torch.minimum(turn, 2 * size - 1 - turn))
    return image


def gaussian_blur(image: torch.Tensor, sigma: float, *, of_bytes: bool) -> torch.Tensor:
    """Blur `[C, H, W]`; the border is mirrored at its pixels.

    For values that are bytes with a kernel of three standard deviations and of weights in 256ths, else of
    four, both as in OpenCV.
    """
    kernel = _gaussian(round(sigma * (3 if of_bytes else 4) * 2 + 1) | 1, sigma, of_bytes)
    return convolve_rows(convolve_columns(image, kernel, "reflect"), kernel, "reflect")


Border = Literal["reflect", "replicate"]
"""Continuation of an image beyond its border: mirrored at its last pixels, or by repeating them."""


def convolve_columns(image: torch.Tensor, kernel: tuple[float, ...], border: Border) -> torch.Tensor:
    """Convolve each column of `[C, H, W]` with a symmetric kernel of odd length."""
    band = _band(image.shape[1], kernel, border, image.device, _stream(image))
    return torch.einsum("oh,chw->cow", band, image)


def convolve_rows(image: torch.Tensor, kernel: tuple[float, ...], border: Border) -> torch.Tensor:
    """Convolve each row of `[C, H, W]` with a symmetric kernel of odd length."""
    band = _band(image.shape[2], kernel, border, image.device, _stream(image))
    return torch.einsum("ow,chw->cho", band, image)


@lru_cache(maxsize=16)
def _band(
    size: int, kernel: tuple[float, ...], border: Border, device: torch.device, stream: int
) -> torch.Tensor:
    """Return the convolution with a kernel as a matrix, `[size, size]` float32; kept for each stream."""
    radius = len(kernel) // 2
    matrix = np.zeros((size, size))
    pixels = np.arange(size)
    for step, weight in enumerate(kernel, -radius):
        places = pixels + step
        if border == "reflect":
            turn = places % max(1, 2 * size - 2)
            places = np.minimum(turn, np.abs(2 * size - 2 - turn))
        np.add.at(matrix, (pixels, np.clip(places, 0, size - 1)), weight)
    return torch.from_numpy(matrix.astype(np.float32)).to(device)


@lru_cache(maxsize=32)
def _gaussian(side: int, sigma: float, in_256ths: bool) -> tuple[float, ...]:
    steps = np.arange(side) - side // 2
    kernel = np.exp(-(steps**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    if in_256ths:
        # From the ends to the middle, the rest of each rounding added to the next, so that they add up to 1.
        rest = 0.0
        for n in range(side // 2):
            value = kernel[n] * 256 + rest
            kernel[n] = kernel[-1 - n] = np.rint(value) / 256
            rest = value - np.rint(value)
        kernel[side // 2] = 1 - 2 * kernel[: side // 2].sum()
    return tuple(kernel.astype(np.float32).tolist())


def dilate(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the largest value within a square of side `2 * radius + 1`, of `[C, H, W]` float32."""
    return functional.max_pool2d(image[None], 2 * radius + 1, stride=1, padding=radius)[0]


def dilate_cross(image: torch.Tensor) -> torch.Tensor:
    """Return the largest value of each pixel and its four neighbours, of `[C, H, W]` float32."""
    down = functional.max_pool2d(image[None], (3, 1), stride=1, padding=(1, 0))[0]
    across = functional.max_pool2d(image[None], (1, 3), stride=1, padding=(0, 1))[0]
    return torch.maximum(down, across)


def dilate_disc(mask: torch.Tensor, disc: torch.Tensor) -> torch.Tensor:
    """Return where a mask, `[H, W]` bool, has a pixel under the disc, `[side, side]` float32 of 0 and 1."""
    radius = disc.shape[0] // 2
    # In any precision: products of 0 and 1, of which at least one is 1 or none.
    near = functional.conv2d(mask[None, None].float(), disc[None, None], padding=radius)
    return near[0, 0] > 0.5
