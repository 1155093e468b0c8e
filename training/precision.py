"""Depthwise convolutions in float32 inside a network that is trained in bfloat16.

On a CPU their bfloat16 backward pass takes up to sixty times as long, and a whole step three times.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Depthwise(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


def widen_depthwise(network: nn.Module) -> None:
    """Make the depthwise convolutions of a network compute in float32; names and weights stay."""
    for module in network.modules():
        for name, old in module.named_children():
            if isinstance(old, nn.Conv2d) and not isinstance(old, _Depthwise) and old.groups > 1:
                with torch.device("meta"):
                    new = _Depthwise(
                        old.in_channels,
                        old.out_channels,
                        old.kernel_size,  # type: ignore[arg-type]
                        old.stride,  # type: ignore[arg-type]
                        old.padding,  # type: ignore[arg-type]
                        groups=old.groups,
                        bias=old.bias is not None,
                    )
                new.weight, new.bias = old.weight, old.bias
                setattr(module, name, new)
