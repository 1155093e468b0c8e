"""Estimation of the subject's colours on a device; the twin of `compositing.foreground`."""

from __future__ import annotations

import torch

from pipeline.arrays import DeviceImage, DeviceMatte
from pipeline.compositing.foreground import LEAST, NEARER, NOISE, RADII, SHORT_SIDE
from pipeline.tensors import filters


def estimate_foreground(
    image: DeviceImage,
    matte: DeviceMatte,
    where: DeviceMatte | None = None,
    own_alpha: DeviceMatte | None = None,
) -> DeviceImage:
    """Replace mixed colours by the subject's own, as the function of that name on the host does.

    `image` is `[3, H, W]`, uint8 or uint16, as is the result; the others are `[H, W]` uint8.
    """
    wanted = matte if where is None else where
    if own_alpha is not None:
        matte = torch.where(own_alpha > 0, matte, 0)
    unit = torch.iinfo(image.dtype).max / 255
    colours = image.float() / unit
    subject, background = _local_statistics(colours, matte, own_alpha)
    height, width = matte.shape
    alpha = matte.float() / 255
    # One field after the other: at 4K each is 130 MB.
    own = _enlarge(subject, height, width)
    other = _enlarge(background, height, width)
    share = alpha * own[3]
    gain = share / (alpha * share + (1 - alpha) ** 2 * other[3] + NOISE)
    left = colours - alpha * own[:3] - (1 - alpha) * other[:3]
    likeliest = ((own[:3] + gain * left).clamp(0, 255) * unit).round()
    mixed = (wanted > 0) & (matte < 255)
    return torch.where(mixed, likeliest, image.float()).to(image.dtype)


def _local_statistics(
    colours: torch.Tensor, matte: DeviceMatte, own_alpha: DeviceMatte | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the local colour statistics of subject and background on a small image, `[4, h, w]` each."""
    height, width = matte.shape
    step = max(1, min(height, width) // SHORT_SIDE)
    size = -(-height // step), -(-width // step)
    small = filters.enlarge_nearest(colours, *size)
    share = filters.enlarge_nearest(matte[None], *size)[0].double() / 255
    square = (small * small).sum(0) / 3
    subject, background = _subject_weight(share), _subject_weight(1 - share)
    if own_alpha is not None:
        weight = (filters.enlarge_nearest(own_alpha[None], *size)[0].double() / 255 + 1e-15).float()
        subject, background = subject * weight, background * weight
    return _weighted_statistics(small, square, subject), _weighted_statistics(small, square, background)


def _subject_weight(share: torch.Tensor) -> torch.Tensor:
    return (share**128 + 1e-9 * share**2 + 1e-12).float()


def _weighted_statistics(colours: torch.Tensor, square: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return mean and variance of `colours` around each pixel, `[4, h, w]`."""
    sums = _sum_boxes(torch.cat((colours * weight, weight[None], (square * weight)[None])))
    count = sums[3].clamp_min(float(LEAST))  # where there is no colour far and wide
    mean = sums[:3] / count
    variance = sums[4] / count - (mean * mean).sum(0) / 3
    return torch.cat((mean, variance.clamp_min(0)[None] + 1))


def _sum_boxes(image: torch.Tensor) -> torch.Tensor:
    """Return the sum of box filters of all radii, narrow ones weighing more."""
    total = torch.zeros_like(image)
    for radius in RADII:
        total = total / NEARER + filters.box_replicate(image, radius)
    return total


def _enlarge(field: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Sample a field `[4, h, w]` at `x * w / width`, `y * h / height` for every pixel."""
    rows, columns = (
        torch.arange(new, device=field.device) * (old / new)
        for new, old in ((height, field.shape[1]), (width, field.shape[2]))
    )
    return filters.sample_grid(field, rows, columns)
