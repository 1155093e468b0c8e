"""BiRefNet: a Swin Transformer and a decoder that is shown the picture again at every level.

Zheng and others, "Bilateral Reference for High-Resolution Dichotomous Image Segmentation" (CAAI Artificial
Intelligence Research, 2024, arXiv 2401.03407). The inward reference is the picture itself, cut into patches;
the outward reference is the attention that learnt from the picture's gradients. Deformable convolutions: Zhu
and others, "Deformable ConvNets v2" (CVPR 2019). Parameters are named as in the published checkpoints, those
of the side outputs that only training needs among them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import deform_conv2d

from pipeline.networks.swin import LARGE, Size, Swin

STRIDE = 32
"""Height and width of a picture are multiples of this."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, by which pictures are normalised."""

_INNER, _ATROUS = 64, 256
"""Channels inside a decoder block, and of each branch of its pyramid."""

_KERNELS = (1, 3, 7)
"""Sides of the deformable kernels of a pyramid."""

_GRADIENT = 16
"""Channels that the gradient attention is made from."""


class Birefnet(nn.Module):
    """The network; 220.2 million weights with the large encoder, 44.3 million with the tiny one."""

    def __init__(self, size: Size = LARGE) -> None:
        super().__init__()
        # The encoder's features of the picture and of its half, beside each other, coarsest first.
        widths = [2 * size.width * 2**level for level in (3, 2, 1, 0)]
        self.bb = Swin(size)
        self.squeeze_module = nn.Sequential(_DecoderBlock(sum(widths), widths[0]))
        self.decoder = _Decoder(widths)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the logits of the matte, `[N, 1, H, W]`, of pictures `[N, 3, H, W]`.

        A picture is RGB, normalised by ImageNet's mean and deviation; its sides are multiples of STRIDE.
        """
        height, width = picture.shape[-2:]
        half = functional.interpolate(picture, (height // 2, width // 2), mode="bilinear", align_corners=True)
        levels = [
            torch.cat((fine, _resize(coarse, fine)), 1)
            for fine, coarse in zip(self.bb(picture), self.bb(half), strict=True)
        ]
        deepest = torch.cat([*(_resize(level, levels[-1]) for level in levels[:-1]), levels[-1]], 1)
        logits: Tensor = self.decoder(picture, levels[:-1], self.squeeze_module(deepest))
        return logits


class CentredInput(nn.Module):
    """The network for pictures from -0.5 to 0.5, such as IS-Net's."""

    def __init__(self, network: Birefnet) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        """Return the logits, `[N, 1, H, W]`, of pictures `[N, 3, H, W]`, RGB, -0.5 to 0.5."""
        mean, deviation = (picture.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        logits: Tensor = self.network((picture + 0.5 - mean) / deviation)
        return logits


class _Decoder(nn.Module):
    """From the deepest level to the matte; at each level the picture's patches are added."""

    def __init__(self, widths: list[int]) -> None:
        """`widths` are the channels of the levels, the coarsest first."""
        super().__init__()
        a, b, c, d = widths
        self.ipt_blk5 = _Convolutions(3 * 32**2, a // 8)
        self.ipt_blk4 = _Convolutions(3 * 16**2, a // 8)
        self.ipt_blk3 = _Convolutions(3 * 8**2, b // 8)
        self.ipt_blk2 = _Convolutions(3 * 4**2, c // 8)
        self.ipt_blk1 = _Convolutions(3, d // 8)
        self.decoder_block4 = _DecoderBlock(a + a // 8, b)
        self.decoder_block3 = _DecoderBlock(b + a // 8, c)
        self.decoder_block2 = _DecoderBlock(c + b // 8, d)
        self.decoder_block1 = _DecoderBlock(d + c // 8, d // 2)
        self.conv_out1 = nn.Sequential(nn.Conv2d(d // 2 + d // 8, 1, 1))
        for level, width in ((4, b), (3, c), (2, d)):
            self.add_module(f"lateral_block{level}", _Lateral(width))
            self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(width, 1, 1))
            gradient = nn.Sequential(
                nn.Conv2d(width, _GRADIENT, 3, padding=1), nn.BatchNorm2d(_GRADIENT), nn.ReLU()
            )
            self.add_module(f"gdt_convs_{level}", gradient)
            self.add_module(f"gdt_convs_pred_{level}", nn.Sequential(nn.Conv2d(_GRADIENT, 1, 1)))
            self.add_module(f"gdt_convs_attn_{level}", nn.Sequential(nn.Conv2d(_GRADIENT, 1, 1)))

    def forward(self, picture: Tensor, levels: list[Tensor], x: Tensor) -> Tensor:
        """`levels` are the encoder's at strides 4, 8 and 16, `x` is the squeezed one at stride 32."""
        for level, beside in zip((4, 3, 2), reversed(levels), strict=True):
            x = self._refer(level + 1, x, picture)
            x = self.get_submodule(f"decoder_block{level}")(x)
            gradient = self.get_submodule(f"gdt_convs_{level}")(x)
            x = x * self.get_submodule(f"gdt_convs_attn_{level}")(gradient).sigmoid()
            x = _resize(x, beside) + self.get_submodule(f"lateral_block{level}")(beside)
        x = self.decoder_block1(self._refer(2, x, picture))
        logits: Tensor = self.conv_out1(self._refer(1, _resize(x, picture), picture))
        return logits

    def _refer(self, block: int, x: Tensor, picture: Tensor) -> Tensor:
        """Return `x` with the features of the picture's patches beside it."""
        patches = _patches(picture, picture.shape[-1] // x.shape[-1])
        return torch.cat((x, self.get_submodule(f"ipt_blk{block}")(patches)), 1)


def _patches(picture: Tensor, stride: int) -> Tensor:
    """Cut pictures `[N, C, H, W]` into stride times stride tiles, and lay these on each other as channels.

    `[N, C * stride * stride, H / stride, W / stride]`: channels are numbered by colour, then by the tile's
    row, then by its column, as the published weights expect.
    """
    count, channels, height, width = picture.shape
    tiles = picture.view(count, channels, stride, height // stride, stride, width // stride)
    tiles = tiles.permute(0, 1, 2, 4, 3, 5)
    return tiles.reshape(count, channels * stride**2, height // stride, width // stride)


class _Convolutions(nn.Module):
    """Two convolutions in a row."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, _INNER, 3, padding=1)
        self.conv_out = nn.Conv2d(_INNER, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_out(self.conv1(x))
        return y


class _Lateral(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class _DecoderBlock(nn.Module):
    """A convolution to few channels, a pyramid of deformable ones, a convolution to the level's channels."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(into, _INNER, 3, padding=1)
        self.dec_att = _Pyramid()
        self.conv_out = nn.Conv2d(_INNER, out, 3, padding=1)
        self.bn_in, self.bn_out = nn.BatchNorm2d(_INNER), nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn_in(self.conv_in(x)))
        y: Tensor = self.bn_out(self.conv_out(self.dec_att(x)))
        return y


class _Pyramid(nn.Module):
    """Deformable convolutions of several sizes beside each other, and the picture's mean (ASPP)."""

    def __init__(self) -> None:
        super().__init__()
        self.aspp1 = _Branch(1)
        self.aspp_deforms = nn.ModuleList(_Branch(kernel) for kernel in _KERNELS)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(_INNER, _ATROUS, 1, bias=False),
            nn.BatchNorm2d(_ATROUS),
            nn.ReLU(),
        )
        self.conv1 = nn.Conv2d(_ATROUS * (2 + len(_KERNELS)), _INNER, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_INNER)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.aspp1(x), *(branch(x) for branch in self.aspp_deforms)]
        mean = self.global_avg_pool(x).expand_as(branches[0])
        y: Tensor = functional.relu(self.bn1(self.conv1(torch.cat((*branches, mean), 1))))
        return y


class _Branch(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = _Deformable(kernel)
        self.bn = nn.BatchNorm2d(_ATROUS)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.atrous_conv(x)))


class _Deformable(nn.Module):
    """A convolution whose taps are moved and weighted by two others."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.offset_conv = nn.Conv2d(_INNER, 2 * kernel**2, kernel, padding=self.padding)
        self.modulator_conv = nn.Conv2d(_INNER, kernel**2, kernel, padding=self.padding)
        self.regular_conv = nn.Conv2d(_INNER, _ATROUS, kernel, padding=self.padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        offset, weight = self.offset_conv(x), 2 * self.modulator_conv(x).sigmoid()
        # torchvision needs one number format; where to look is too fine for 16 bits.
        kernel = self.regular_conv.weight.float()
        y: Tensor = deform_conv2d(
            x.float(), offset.float(), kernel, padding=self.padding, mask=weight.float()
        )
        return y


def _resize(x: Tensor, like: Tensor) -> Tensor:
    size = like.shape[-2:]
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)
