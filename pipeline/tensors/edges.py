"""Growing and feathering of mattes on a device: the twin of `compositing.edges.adjust_edges`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from pipeline.arrays import DeviceMatte
from pipeline.tensors import filters


def adjust_edges(matte: DeviceMatte, grow: float, feather: float) -> DeviceMatte:
    """Grow (negative: shrink) and feather a matte by pixels of a frame 720 high; itself where both are 0."""
    unit = matte.shape[0] / 720
    if grow:
        matte = _interpolate(abs(grow) * unit, matte, lambda m, pixels: _move_edge(m, pixels, grow > 0))
    if feather:
        matte = _interpolate(feather * unit, matte, _soften_edge)
    return matte


def _interpolate(
    length: float, matte: DeviceMatte, apply: Callable[[torch.Tensor, int], torch.Tensor]
) -> DeviceMatte:
    """Interpolate between the results of `apply` for the two integers next to a fractional length."""
    pixels = math.floor(length)
    share = length - pixels
    values = matte[None].float()
    lower = apply(values, pixels) if pixels else values
    if share:
        lower = (1 - share) * lower + share * apply(values, pixels + 1)
    return lower[0].round().to(torch.uint8)


def _move_edge(values: torch.Tensor, pixels: int, grows: bool) -> torch.Tensor:
    """Return the largest (or smallest) alpha within an octagon of this radius; `[1, H, W]`, 0 to 255."""
    values = values if grows else 255 - values
    square = round(pixels * (math.sqrt(2) - 1))
    values = filters.dilate(values, square)
    for _ in range(pixels - square):
        values = filters.dilate_cross(values)
    return values if grows else 255 - values


def _soften_edge(values: torch.Tensor, pixels: int) -> torch.Tensor:
    """Blur `[1, H, W]` with a pyramid kernel of radius `pixels`, the border repeated."""
    kernel = tuple(float(pixels + 1 - abs(step)) for step in range(-pixels, pixels + 1))
    # OpenCV's stack blur computes with whole numbers: it multiplies by 9 bits, and rounds down.
    total = (pixels + 1) ** 2
    shift = 8 + (total - 1).bit_length()
    factor = math.ceil((1 << shift) / total) / (1 << shift)
    rows = (filters.convolve_rows(values, kernel, "replicate") * factor).floor()
    return (filters.convolve_columns(rows, kernel, "replicate") * factor).floor()
