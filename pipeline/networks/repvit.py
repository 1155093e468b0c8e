"""RepViT: image features at four strides by convolutions alone.

Wang and others, "RepViT: Revisiting Mobile CNN From ViT Perspective" (CVPR 2024), in the size M1. Parameters
are named as in the published checkpoints.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

WIDTHS = (48, 96, 192, 384)
"""Channels of each stage."""

DEPTHS = (2, 2, 14, 2)
"""Blocks of each stage."""


class RepVit(nn.Module):
    """The network: pictures `[N, 3, H, W]` to features at strides 4, 8, 16 and 32, `[N, C, h, w]` each."""

    def __init__(self, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        self.stem = _Stem(widths[0])
        self._stages = len(widths)
        before = (None, *widths[:-1])
        for level, (into, width, depth) in enumerate(zip(before, widths, depths, strict=True)):
            self.add_module(f"stages_{level}", _Stage(into, width, depth))

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.stem(picture)
        features = []
        for level in range(self._stages):
            x = self.get_submodule(f"stages_{level}")(x)
            features.append(x)
        return features


class _Stem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(3, width // 2, 3, stride=2)
        self.conv2 = _ConvNorm(width // 2, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(functional.gelu(self.conv1(x)))
        return y


class _Stage(nn.Module):
    """Blocks of one width; `into` is the width of the stage before."""

    def __init__(self, into: int | None, width: int, depth: int) -> None:
        super().__init__()
        self.downsample = nn.Identity() if into is None else _Downsample(into, width)
        # Every other block weighs its channels.
        self.blocks = nn.Sequential(*(_Block(width, squeezes=n % 2 == 0) for n in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(self.downsample(x))
        return y


class _Downsample(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.pre_block = _Block(into, squeezes=False)
        self.spatial_downsample = _ConvNorm(into, into, 3, stride=2, groups=into)
        self.channel_downsample = _ConvNorm(into, out)
        self.ffn = _ChannelMixer(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        y: Tensor = x + self.ffn(x)
        return y


class _Block(nn.Module):
    def __init__(self, width: int, squeezes: bool) -> None:
        super().__init__()
        self.token_mixer: nn.Module = _TokenMixer(width)
        self.se = _Squeeze(width) if squeezes else nn.Identity()
        self.channel_mixer = _ChannelMixer(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.token_mixer(x))
        y: Tensor = x + self.channel_mixer(x)
        return y


class _TokenMixer(nn.Module):
    """A convolution of each channel, trained as the sum of three."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _ConvNorm(width, width, 3, groups=width)
        self.conv1 = _ConvNorm(width, width, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + self.conv1(x) + x
        return y

    def fuse(self) -> nn.Conv2d:
        """Return the one convolution with the same output."""
        fused, centre = self.conv.fuse(), self.conv1.fuse()
        assert fused.bias is not None and centre.bias is not None
        with torch.no_grad():
            fused.weight += functional.pad(centre.weight + 1, (1, 1, 1, 1))
            fused.bias += centre.bias
        return fused


class _ChannelMixer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(width, 2 * width)
        self.conv2 = _ConvNorm(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(functional.gelu(self.conv1(x)))
        return y


class _Squeeze(nn.Module):
    """A weight for each channel, from the means of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(8, (width // 4 + 4) // 8 * 8)
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        weight: Tensor = self.fc2(functional.relu(self.fc1(mean))).sigmoid()
        return x * weight


class _ConvNorm(nn.Sequential):
    """A convolution and its normalisation."""

    def __init__(self, into: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(c=convolution, bn=nn.BatchNorm2d(out)))

    def fuse(self) -> nn.Conv2d:
        """Return the one convolution with the same output."""
        convolution, norm = self
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        return fuse_conv_bn_eval(convolution, norm)


def fuse(network: RepVit) -> RepVit:
    """Fuse what follows convolutions, or lies beside them, into them: the same output, faster, for inference.

    The parameters' names are others then.
    """
    network.eval()
    for kind in (_TokenMixer, _ConvNorm):  # those within a mixer first
        for module in list(network.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, kind):
                    setattr(module, name, child.fuse())
    return network
