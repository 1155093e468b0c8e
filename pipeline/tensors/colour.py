"""Conversion between the planes of a video frame and RGB, on a device.

The matrices are those of ITU-T H.273. Chroma is enlarged and shrunk as swscale does on the host, by a bicubic
kernel; where it rounds factors and chroma to so many bits, so does this, or HDR's steep curves would show it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from pipeline.arrays import DeviceImage
from pipeline.tensors import filters

MATRICES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
"""Luma weights of red and blue, by the matrix's number in H.273."""


class Yuv(NamedTuple):
    """Coding of luma and chroma in samples."""

    matrix: int
    """A key of `MATRICES`."""
    full_range: bool
    bits: int
    """Of a sample, 8 to 16."""
    shift: int = 0
    """Zero bits below those of a sample, as in P010."""
    siting: tuple[float, float] = (0.5, 0.5)
    """Place of a chroma sample in its pixels, as in `filters.resize_cubic`."""

    @property
    def luma(self) -> tuple[float, float]:
        """Black, and its distance from white."""
        unit = 1 << self.shift
        if self.full_range:
            return 0.0, ((1 << self.bits) - 1) * unit
        return 16.0 * (1 << self.bits - 8) * unit, 219.0 * (1 << self.bits - 8) * unit

    @property
    def chroma(self) -> tuple[float, float]:
        """The value without colour, and the distance between the ends."""
        unit = 1 << self.shift
        spread = (1 << self.bits) - 1.0 if self.full_range else 224.0 * (1 << self.bits - 8)
        return float(1 << self.bits - 1) * unit, spread * unit


def to_rgb(luma: torch.Tensor, chroma: torch.Tensor, coding: Yuv, dtype: torch.dtype) -> DeviceImage:
    """Convert luma `[H, W]` and chroma `[2, h, w]`, blue and red, to full-range RGB of a dtype.

    Samples are uint8 or uint16.
    """
    most = torch.iinfo(dtype).max
    return (to_signal(luma, chroma, coding).clamp(0, 1) * most).round().to(dtype)


def to_signal(luma: torch.Tensor, chroma: torch.Tensor, coding: Yuv) -> torch.Tensor:
    """Convert planes as for `to_rgb` to R'G'B', `[3, H, W]` float32, black 0, white 1, and beyond both."""
    (black, white), (grey, spread) = coding.luma, coding.chroma
    height, width = luma.shape
    y = (luma.float() - black) * (_round_factor(1.0, coding, 219) / white)
    colours = filters.resize_cubic(chroma.float(), height, width, coding.siting)
    if chroma.shape[1:] != luma.shape:  # swscale keeps 17 bits of them, rounded down
        unit = 2.0 ** (17 - coding.bits - coding.shift)
        colours = (colours * unit).floor() / unit
    cb, cr = (colours - grey) / spread
    red, blue = MATRICES[coding.matrix]
    green = 1 - red - blue
    to_red, to_blue, blue_to_green, red_to_green = (
        _round_factor(factor, coding, 224)
        for factor in (
            2 * (1 - red),
            2 * (1 - blue),
            2 * blue * (1 - blue) / green,
            2 * red * (1 - red) / green,
        )
    )
    r = y + to_red * cr
    b = y + to_blue * cb
    g = y - (blue_to_green * cb + red_to_green * cr)
    return torch.stack((r, g, b))


def _round_factor(factor: float, coding: Yuv, spread: int) -> float:
    """Round a factor of the matrix as swscale does: that of limited range to 16 bits, then to 13."""
    fixed = round(factor * 255 / spread * 2**16)
    if coding.full_range:
        return round((fixed * spread // 255) / 8) / 2**13
    return round(fixed / 8) / 2**13 * spread / 255


def apply_table(
    signal: torch.Tensor, table: torch.Tensor, max_input: float, dtype: torch.dtype
) -> DeviceImage:
    """Look R'G'B', `[3, H, W]` float32, up in a table, between whose colours it is interpolated.

    The table, `[N, N, N, 3]` float32 by blue, green and red, has results from 0 to 1 for inputs from 0 to
    `max_input`. Rounds where FFmpeg's `lut3d` and the conversion behind it do; interpolation is tetrahedral
    (Kasson, Nin, Plouffe and Hafner, 1995).
    """
    size = len(table)
    in_16_bits = (signal * (0xFFFF / max_input)).round().clamp(0, 0xFFFF)
    places = in_16_bits * ((size - 1) / 0xFFFF)
    first = places.floor().clamp(max=size - 2)
    steps = torch.tensor((1, size, size**2), device=signal.device)
    # From the corner next to black to the opposite one, first along the axis with the largest share.
    shares, axes = (places - first).sort(dim=0, descending=True)
    corner = (first.long() * steps[:, None, None]).sum(0)
    colours = table.reshape(-1, 3)
    looked_up = colours[corner] * (1 - shares[0])[..., None]
    for axis, share, following in zip(axes, shares, (*shares[1:], None), strict=True):
        corner = corner + steps[axis]
        weight = share if following is None else share - following
        looked_up += colours[corner] * weight[..., None]
    result = (looked_up.permute(2, 0, 1) * 0xFFFF).floor().clamp(0, 0xFFFF)
    return result.to(dtype) if dtype == torch.uint16 else (result / 257).round().to(dtype)


def from_rgb(
    image: DeviceImage, coding: Yuv, across: int, down: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert RGB to luma `[H, W]` and chroma `[2, H / down, W / across]`, samples of a dtype."""
    (black, white), (grey, spread) = coding.luma, coding.chroma
    most = (((1 << coding.bits) - 1) << coding.shift) + 0.0
    r, g, b = image.float() / torch.iinfo(image.dtype).max
    red, blue = MATRICES[coding.matrix]
    y = red * r + (1 - red - blue) * g + blue * b
    chroma = torch.stack(((b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))))
    chroma = filters.resize_cubic(chroma, image.shape[1] // down, image.shape[2] // across, coding.siting)
    unit = 1 << coding.shift
    luma = ((y * white + black) / unit).round() * unit
    samples = ((chroma * spread + grey) / unit).round() * unit
    return luma.clamp(0, most).to(dtype), samples.clamp(0, most).to(dtype)


def turn(image: torch.Tensor, matrix: tuple[int, int, int, int]) -> torch.Tensor:
    """Apply the quarter turn or mirroring that is nearest to a display matrix, to `[C, H, W]`."""
    a, b, c, d = matrix
    if abs(b) > abs(a):  # x and y are swapped
        image, a, d = image.transpose(1, 2), c, b
    axes = [axis for axis, value in ((2, a), (1, d)) if value < 0]
    return image.flip(axes).contiguous() if axes else image.contiguous()
