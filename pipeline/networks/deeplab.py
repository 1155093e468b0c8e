"""DeepLabV3 (Chen and others, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017).

The network is torchvision's, with a ResNet-101 behind it and the 21 classes of Pascal VOC.
"""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet101

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def create(classes: int) -> nn.Module:
    """Create the network without weights, as the published checkpoint has it: with its auxiliary head."""
    network: nn.Module = deeplabv3_resnet101(
        weights=None, weights_backbone=None, num_classes=classes, aux_loss=True
    )
    return network


def probabilities(network: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Return the probability of each class, `[N, C, H, W]`, for pictures `[N, 3, H, W]`, RGB, 0 to 1."""
    mean, std = (pictures.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
    logits: torch.Tensor = network((pictures - mean) / std)["out"]
    return logits.float().softmax(1)
