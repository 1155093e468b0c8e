"""Swin Transformer: image features at four strides by attention within shifted windows.

Liu and others, "Swin Transformer" (ICCV 2021). Parameters are named as in the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Size(NamedTuple):
    """Widths and depths of a Swin Transformer."""

    width: int
    """Channels of the first stage; each next one has twice as many."""
    depths: tuple[int, ...]
    """Blocks of each stage."""
    heads: tuple[int, ...]
    window: int
    """Side of a window, in tokens."""


TINY = Size(96, (2, 2, 6, 2), (3, 6, 12, 24), 7)
LARGE = Size(192, (2, 2, 18, 2), (6, 12, 24, 48), 12)

_PATCH = 4
"""Side of the patch that becomes a token, in pixels."""


class Swin(nn.Module):
    """The network: pictures `[N, 3, H, W]` to features at strides 4, 8, 16 and 32, `[N, C, h, w]` each."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbed(size.width)
        widths = [size.width * 2**level for level in range(len(size.depths))]
        last = len(widths) - 1
        self.layers = nn.ModuleList(
            _Stage(width, size.depths[level], size.heads[level], size.window, level < last)
            for level, width in enumerate(widths)
        )
        for level, width in enumerate(widths):
            self.add_module(f"norm{level}", nn.LayerNorm(width))

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.patch_embed(picture)  # [N, h, w, C]
        features = []
        for level, stage in enumerate(self.layers):
            assert isinstance(stage, _Stage)
            x = stage(x)
            features.append(self.get_submodule(f"norm{level}")(x).permute(0, 3, 1, 2).contiguous())
            if stage.downsample is not None:
                x = stage.downsample(x)
        return features


class _PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, _PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, picture: Tensor) -> Tensor:
        """Return tokens, `[N, h, w, C]`; the picture is padded below and at the right."""
        height, width = picture.shape[-2:]
        picture = functional.pad(picture, (0, -width % _PATCH, 0, -height % _PATCH))
        tokens: Tensor = self.norm(self.proj(picture).permute(0, 2, 3, 1))
        return tokens


class _Stage(nn.Module):
    """Blocks of one stride; `downsample` leads to the next stage."""

    def __init__(self, width: int, depth: int, heads: int, window: int, downsampled: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _Block(width, heads, window, shift=window // 2 if number % 2 else 0) for number in range(depth)
        )
        self.downsample = _Merging(width) if downsampled else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class _Merging(nn.Module):
    """Halves both sides: the tokens of two by two become one of twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(parts, -1)))
        return merged


class _Block(nn.Module):
    """Attention within windows, which are shifted by `shift` tokens, and a perceptron; both residual."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        side, shift = self.window, self.shift
        y = functional.pad(self.norm1(x), (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = y.shape[1] // side, y.shape[2] // side
        mask = None
        if shift:
            y = y.roll((-shift, -shift), (1, 2))
            mask = _shift_mask(rows * side, columns * side, side, shift, y.device)
        windows = y.view(count, rows, side, columns, side, channels).transpose(2, 3)
        windows = self.attn(windows.reshape(-1, side * side, channels), mask)
        y = windows.view(count, rows, columns, side, side, channels).transpose(2, 3)
        y = y.reshape(count, rows * side, columns * side, channels)
        if shift:
            y = y.roll((shift, shift), (1, 2))
        x = x + y[:, :height, :width]
        sum_: Tensor = x + self.mlp(self.norm2(x))
        return sum_


def _shift_mask(height: int, width: int, side: int, shift: int, device: torch.device) -> Tensor:
    """Return for each window which pairs of its tokens were neighbours before the shift, `[W, n, n]` bool."""
    regions = torch.zeros(height, width, dtype=torch.int64, device=device)
    spans = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    for row, down in enumerate(spans):
        for column, across in enumerate(spans):
            regions[down, across] = row * len(spans) + column
    windows = regions.view(height // side, side, width // side, side).transpose(1, 2)
    windows = windows.reshape(-1, side * side)
    return windows[:, :, None] == windows[:, None, :]


class _Attention(nn.Module):
    """Attention among the tokens of a window, with a learnt bias for each relative position."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", _relative_positions(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within windows `[N * W, n, C]`; `mask` tells for each of W windows who may see whom."""
        count, tokens, channels = windows.shape
        parts = self.qkv(windows).view(count, tokens, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(tokens, tokens, self.heads).permute(2, 0, 1)[None].to(query.dtype)
        if mask is not None:
            hidden = torch.zeros(mask.shape, dtype=bias.dtype, device=bias.device)
            hidden = hidden.masked_fill(~mask, float("-inf"))[:, None]
            bias = (bias + hidden).repeat(count // len(mask), 1, 1, 1)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed: Tensor = self.proj(seen.transpose(1, 2).reshape(count, tokens, channels))
        return mixed


def _relative_positions(window: int) -> Tensor:
    """Return the row of the bias table for each pair of a window's tokens, `[n, n]` int64."""
    # In numbers, so that it holds values where modules are created without any (torch.device("meta")).
    places: Sequence[tuple[int, int]] = [(row, column) for row in range(window) for column in range(window)]
    span = 2 * window - 1
    table = [[(r - v + window - 1) * span + (c - u + window - 1) for v, u in places] for r, c in places]
    return torch.tensor(table)


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return y
