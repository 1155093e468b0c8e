"""Swin2SR (Conde and others, "Swin2SR: SwinV2 Transformer for Compressed Image Super-Resolution", 2022).

The architecture is that of `transformers`; the configuration is that of the classical networks, for pictures
that were made smaller and not otherwise damaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from pipeline.arrays import Floats, as_floats


def create(scale: int, **changes: Any) -> Swin2SRForImageSuperResolution:
    """Create the network with random weights; `changes` are fields of its configuration."""
    plain: dict[str, Any] = {
        "image_size": 64,
        "embed_dim": 180,
        "depths": [6] * 6,
        "num_heads": [6] * 6,
        "window_size": 8,
        "mlp_ratio": 2.0,
        "upsampler": "pixelshuffle",
    }
    return Swin2SRForImageSuperResolution(Swin2SRConfig(**plain | changes, upscale=scale))


class Swin2sr:
    """The network on a device: a picture `scale` times as wide and as high."""

    def __init__(self, network: Swin2SRForImageSuperResolution, device: torch.device) -> None:
        self._network: nn.Module = nn.Module.to(network, device).train(False)
        self._window = int(network.config.window_size)
        self._device = device
        self.scale = int(network.config.upscale)

    def __call__(self, image: Floats) -> Floats:
        """Return the picture enlarged, `[scale·H, scale·W, 3]`; both are RGB, 0 to 1, the result about so.

        `image` is `[H, W, 3]`; it is mirrored at its right and lower end to whole windows of attention.
        """
        height, width, _ = image.shape
        pad = [(0, -side % self._window) for side in (height, width)]
        padded = np.pad(image, [*pad, (0, 0)], mode="symmetric")
        pixels = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None].to(self._device)
        with torch.inference_mode():
            enlarged = self._network(pixel_values=pixels).reconstruction[0]
        cut = enlarged[:, : height * self.scale, : width * self.scale]
        return as_floats(cut.float().cpu().numpy().transpose(1, 2, 0))
