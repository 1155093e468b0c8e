"""Copies between the host and a device, each through memory that the device reaches by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.arrays import DeviceImage, DeviceMatte, Matte, Pixels
from pipeline.tensors import streams


def upload(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return a copy of an array on a device, of its shape and dtype."""
    if device.type != "cuda":
        return torch.tensor(array, device=device)
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    held = torch.empty(array.shape, dtype=kind, pin_memory=True)
    held.numpy()[...] = array
    return held.to(device, non_blocking=True)


def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor, of the host or of this device, on the device: itself if it is there."""
    if tensor.device.type != "cpu" or device.type != "cuda":
        return tensor.to(device)
    held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    held.copy_(tensor)
    return held.to(device, non_blocking=True)


def download(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor's values as an array of the host, of its shape and dtype."""
    if tensor.device.type != "cuda":
        return np.asarray(tensor.cpu().contiguous().numpy())
    held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    held.copy_(tensor, non_blocking=True)
    streams.finish(tensor.device)  # other threads have streams of their own, and are not waited for
    return np.asarray(held.numpy())


def upload_image(image: Pixels, device: torch.device) -> DeviceImage:
    """Return a frame of the host, `[H, W, 3]` uint8 or uint16, on a device: `[3, H, W]` of its dtype."""
    return upload(image, device).permute(2, 0, 1).contiguous()


def download_image(image: torch.Tensor) -> Pixels:
    """Return a device's `[C, H, W]` uint8 or uint16 as `[H, W, C]` of the host."""
    return download(image.permute(1, 2, 0).contiguous())


def upload_matte(matte: Matte, device: torch.device) -> DeviceMatte:
    """Return a matte of the host on a device; both `[H, W]` uint8."""
    return upload(matte, device)
