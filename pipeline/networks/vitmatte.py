"""ViTMatte (Yao and others, "Boosting Image Matting with Pretrained Plain Vision Transformers", 2024).

The architecture is that of `transformers`; the configuration is the small one's, with a plain ViT of 384
channels, global attention in every third block and windows of 14 in the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import VitDetConfig, VitMatteConfig, VitMatteForImageMatting

from pipeline import devices
from pipeline.arrays import ByteMask, Floats, Image, as_floats

_MULTIPLE = 32
"""Height and width of the input are multiples of this."""


def create(**changes: int) -> VitMatteForImageMatting:
    """Create the network with random weights; `changes` are fields of the backbone's configuration."""
    backbone: dict[str, Any] = {
        "num_channels": 4,
        "image_size": 512,
        "pretrain_image_size": 224,
        "patch_size": 16,
        "hidden_size": 384,
        "num_attention_heads": 6,
        "num_hidden_layers": 12,
        "use_absolute_position_embeddings": True,
        "use_relative_position_embeddings": True,
        "window_size": 14,
    } | changes
    layers = int(backbone["num_hidden_layers"])
    backbone["out_features"] = [f"stage{layers}"]
    whole = list(range(2, layers, 3))
    config = VitMatteConfig(
        backbone_config=VitDetConfig(
            **backbone,
            window_block_indices=[n for n in range(layers) if n not in whole],
            residual_block_indices=whole,
        ),
        hidden_size=backbone["hidden_size"],
        convstream_hidden_sizes=[48, 96, 192],
        fusion_hidden_sizes=[256, 128, 64, 32],
    )
    return VitMatteForImageMatting(config)


class VitMatte:
    """The network on a device: alpha of a picture from its trimap."""

    def __init__(self, network: VitMatteForImageMatting, device: torch.device) -> None:
        self._network: nn.Module = nn.Module.to(network, device).train(False)
        self._device = device

    def __call__(self, image: Image, trimap: ByteMask) -> Floats:
        """Return the alpha of `image`, `[H, W]`, 0 to 1; `trimap` is 0 outside, 255 inside, 128 unknown."""
        height, width = trimap.shape
        planes = np.dstack([image, trimap]).astype(np.float32) / 255
        planes[..., :3] = planes[..., :3] * 2 - 1
        pad = [(0, -side % _MULTIPLE) for side in (height, width)]
        padded = np.pad(planes, [*pad, (0, 0)])
        pixels = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None].to(self._device)
        with torch.inference_mode(), devices.autocast(self._device):
            alphas = self._network(pixel_values=pixels).alphas
        return as_floats(alphas[0, 0, :height, :width].float().cpu().numpy())
