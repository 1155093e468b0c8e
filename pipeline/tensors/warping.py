"""Blending of a matte with the one before it along the motion, on a device: the twin of `deflicker.blend`."""

from __future__ import annotations

import torch
from torch.nn import functional

from pipeline.arrays import DeviceMatte
from pipeline.tensors import filters


def blend(matte: DeviceMatte, before: DeviceMatte, flow: torch.Tensor, weight: torch.Tensor) -> DeviceMatte:
    """Blend a matte with the one before it, warped to its frame.

    `flow` is `[h, w, 2]` float32 on a small grid, in pixels of that grid, to the frame before; `weight`,
    `[h, w]`, is the share of the past.
    """
    height, width = matte.shape
    small = flow.shape[:2]
    fields = filters.resize_linear(torch.cat((flow.permute(2, 0, 1), weight[None])), height, width)
    across = torch.arange(width, device=matte.device) + fields[0] * (width / small[1])
    down = torch.arange(height, device=matte.device)[:, None] + fields[1] * (height / small[0])
    places = torch.stack((across * 2 + 1, down * 2 + 1), -1)
    places = places / torch.tensor((width, height), device=matte.device) - 1
    warped = functional.grid_sample(
        before[None, None].float(), places[None], padding_mode="zeros", align_corners=False
    )[0, 0]
    # Rounded where it is rounded on the host, so that a matte that stands still stays as it is.
    values = matte.float()
    return (values + fields[2] * (warped.round() - values)).round().to(torch.uint8)
