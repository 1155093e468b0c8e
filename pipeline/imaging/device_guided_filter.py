"""Upsampling of small mattes along their frame's edges on a device; the twin of `imaging.guided_filter`."""

from __future__ import annotations

from functools import lru_cache

import cv2
import torch

from pipeline.arrays import DeviceImage, DeviceMatte
from pipeline.imaging.guided_filter import SURE
from pipeline.tensors import filters, streams


def upsample_soft(mask: torch.Tensor, frame: DeviceImage, radius: int = 4, eps: float = 1e-4) -> DeviceMatte:
    """Upsample a small matte, `[h, w]` float32, 0 to 1, to the size of its frame, as soft as it is."""
    height, width = frame.shape[1:]
    matte = filters.resize_linear((255 * mask).round()[None], height, width)[0].round()
    if tuple(mask.shape) == (height, width):
        return matte.to(torch.uint8)
    disc = _disc(radius, mask.device, streams.number(mask.device))
    changing = filters.dilate_disc((mask > SURE) & (mask < 1 - SURE), disc)
    around = filters.enlarge_nearest(changing[None], height, width)[0]
    colours = frame.float() if frame.dtype == torch.uint8 else (frame.float() / 257).round()
    small = filters.resize_area(colours, mask.shape[0], mask.shape[1]).round()
    slope = _slopes(small / 255, mask, radius, eps)
    rows, columns = (
        (torch.arange(new, device=mask.device) + 0.5) * (old / new) - 0.5
        for new, old in ((height, mask.shape[0]), (width, mask.shape[1]))
    )
    grids = filters.sample_grid(torch.cat((slope, small, mask[None])), rows, columns)
    alpha = grids[6] + (grids[:3] * (colours - grids[3:6])).sum(0) / 255
    return torch.where(around, (255 * alpha.clamp(0, 1)).round(), matte).to(torch.uint8)


def _slopes(picture: torch.Tensor, image: torch.Tensor, radius: int, eps: float) -> torch.Tensor:
    """Return the smoothed coefficients `a`, `[3, h, w]`, of `image` (`[h, w]`) in a picture, 0 to 1."""
    means = filters.box(torch.cat((picture, image[None])), radius)
    guide, mean = means[:3], means[3]
    r, g, b = picture
    moments = filters.box(
        torch.cat((torch.stack((r * r, g * g, b * b, r * g, r * b, g * b)), picture * image)), radius
    )
    mr, mg, mb = guide
    products = torch.stack((mr * mr, mg * mg, mb * mb, mr * mg, mr * mb, mg * mb))
    rr, gg, bb, rg, rb, gb = moments[:6] - products
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    covariance = moments[6:] - guide * mean
    # The inverse of a symmetric 3 × 3 matrix by its cofactors.
    c = (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb)
    d = (rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg)
    scale = 1 / (rr * c[0] + rg * c[1] + rb * c[2])
    rows = ((c[0], c[1], c[2]), (c[1], d[0], d[1]), (c[2], d[1], d[2]))
    a = [scale * (row[0] * covariance[0] + row[1] * covariance[1] + row[2] * covariance[2]) for row in rows]
    return filters.box(torch.stack(a), radius)


@lru_cache(maxsize=8)
def _disc(radius: int, device: torch.device, stream: int) -> torch.Tensor:
    side = 2 * radius + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return torch.tensor(disc, dtype=torch.float32, device=device)
