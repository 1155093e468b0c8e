"""Compositing on a device: the twins of `compositing.composite`, `despill`, `light` and of the blur behind.

Images are `[3, H, W]`, uint8 or uint16 over the whole range, mattes and shades `[H, W]` uint8; results are
new tensors of the same kind.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from pipeline.arrays import DeviceImage, DeviceMatte, Floats
from pipeline.tensors import filters

_MARGIN = 4
"""Pixels around a cut-out in which colours stay."""


def multiply_alpha(matte: DeviceMatte, own_alpha: DeviceMatte | None) -> DeviceMatte:
    """Multiply a matte by the image's own alpha, rounded to nearest."""
    if own_alpha is None:
        return matte
    return (matte.float() * own_alpha.float() / 255).round().to(torch.uint8)


def over(image: DeviceImage, matte: DeviceMatte, behind: DeviceImage) -> DeviceImage:
    """Composite `image` over `behind` by `matte`, rounded to nearest."""
    alpha = matte.float()
    return ((image.float() * alpha + behind.float() * (255 - alpha)) / 255).round().to(image.dtype)


def extend(matte: DeviceMatte) -> DeviceMatte:
    """Return the largest alpha around each pixel: where a cut-out keeps its colours."""
    return filters.dilate(matte[None].float(), _MARGIN)[0].to(torch.uint8)


def cut_out(image: DeviceImage, matte: DeviceMatte) -> torch.Tensor:
    """Return `[4, H, W]` straight RGBA of the image's dtype, black far from the subject."""
    colours = torch.where(extend(matte) > 0, image.float(), 0)
    alpha = matte.float() * (1 if image.dtype == torch.uint8 else 257)
    return torch.cat((colours, alpha[None])).to(image.dtype)


def despill(image: DeviceImage, screen: Literal["green", "blue"]) -> DeviceImage:
    """Remove a screen's spill: limit its channel to the mean of the other two, without a loss of light."""
    channel = {"green": 1, "blue": 2}[screen]
    most = torch.iinfo(image.dtype).max
    planes = image.float()
    first, second = (n for n in range(3) if n != channel)
    mean = ((planes[first] + planes[second]) / 2).round()
    spill = (planes[channel] - mean).clamp_min(0)
    planes[channel] -= spill
    luma = torch.tensor((0.2126, 0.7152, 0.0722), device=image.device)[channel]
    return (planes + spill * luma).round().clamp(0, most).to(image.dtype)


def recolour(image: DeviceImage, matching: Floats) -> DeviceImage:
    """Apply an affine map from `match.fit_match` to an image."""
    most = torch.iinfo(image.dtype).max
    linear, offset = (torch.from_numpy(part.copy()).to(image.device) for part in np.split(matching, [3], 1))
    mapped = torch.tensordot(linear, image.float(), dims=1) + offset[..., None] * most
    result: DeviceImage = mapped.round().clamp(0, most).to(image.dtype)
    return result


def darken(image: DeviceImage, shade: DeviceMatte) -> DeviceImage:
    """Darken a picture by a shadow."""
    return (image.float() * (255 - shade.float()) / 255).round().to(image.dtype)


def wrap_light(
    image: DeviceImage, alpha: DeviceMatte, behind: DeviceImage, strength: float, size: tuple[int, int]
) -> DeviceImage:
    """Let the background's light fall on the subject's edges, where it is brighter than they are.

    `size` is the width and height of the grid on which the light is blurred.
    """
    height, width = alpha.shape
    of_bytes = image.dtype == torch.uint8
    small_alpha, glow = (
        filters.resize_area(picture.float(), size[1], size[0]).round() for picture in (alpha[None], behind)
    )
    near = filters.gaussian_blur(255 - small_alpha, 0.5 + 0.015 * size[1], of_bytes=True).round()
    glow = filters.gaussian_blur(glow, 0.5 + 0.03 * size[1], of_bytes=of_bytes).round()
    near, light = (filters.resize_linear(field, height, width).round() for field in (near, glow))
    share = near[0] * alpha.float() * (strength / 255**2)
    colours = image.float()
    return (colours + (light - colours).clamp_min(0) * share).round().to(image.dtype)


def blur_background(image: DeviceImage, matte: DeviceMatte, radius: float) -> DeviceImage:
    """Blur the background of `image` without the subject's colours; `radius` as on the host."""
    height, width = matte.shape
    small = max(1, height // 4), max(1, width // 4)
    sigma = max(0.5, radius * height / 720 / 4)
    picture, cover = (filters.resize_area(part.float(), *small).round() for part in (image, matte[None]))
    weight = 1 - cover / 255 + 1e-3
    soft = filters.gaussian_blur(torch.cat((picture * weight, weight)), sigma, of_bytes=False)
    spread = (soft[:3] / soft[3:]).round().clamp(0, torch.iinfo(image.dtype).max)
    return filters.resize_linear(spread, height, width).round().to(image.dtype)


def remove_subject(image: DeviceImage, matte: DeviceMatte, own_alpha: DeviceMatte) -> DeviceImage:
    """Remove the subject from the image, and composite the rest on black by the image's own alpha."""
    subject, opaque = matte.float() / 255, own_alpha.float() / 255
    share = (1 - subject) * opaque / (1 - subject * opaque).clamp_min(1e-6)
    return (image.float() * (share * 255).round() / 255).round().to(image.dtype)
