"""IS-Net: nested U-shaped blocks in a U, from a picture to the logits of a matte.

Qin and others, "Highly Accurate Dichotomous Image Segmentation" (ECCV 2022), whose blocks (RSU) are those of
"U²-Net" (Qin and others, Pattern Recognition 2020). Parameters are named as in the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, cat, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Row(NamedTuple):
    """One stage of a network: a block between its input's and its output's channels."""

    name: str
    """"stageN" on the way down, "stageNd" on the way back up, beside stageN."""
    into: int
    mid: int
    """The channels inside the block."""
    out: int
    depth: int
    """The levels of the block, of which the last is dilated instead of pooled."""
    flat: bool = False
    """The block dilates at every level and does not pool (RSU-4F)."""


GENERAL = (
    Row("stage1", 64, 32, 64, 7),
    Row("stage2", 64, 32, 128, 6),
    Row("stage3", 128, 64, 256, 5),
    Row("stage4", 256, 128, 512, 4),
    Row("stage5", 512, 256, 512, 4, flat=True),
    Row("stage6", 512, 256, 512, 4, flat=True),
    Row("stage5d", 1024, 256, 512, 4, flat=True),
    Row("stage4d", 1024, 128, 256, 4),
    Row("stage3d", 512, 64, 128, 5),
    Row("stage2d", 256, 32, 64, 6),
    Row("stage1d", 128, 16, 64, 7),
)
"""The widths of IS-Net as published, and of RMBG-1.4."""


class Isnet(nn.ModuleDict):
    """The network of a table of rows, for pictures of `channels` channels; 44.05 million weights for GENERAL.

    Its stages on the way down come first in the table, then those on the way back, deepest first.
    """

    def __init__(self, rows: Sequence[Row] = GENERAL, channels: int = 3) -> None:
        super().__init__()
        self["conv_in"] = nn.Conv2d(channels, rows[0].into, 3, stride=2, padding=1)
        self.update({row.name: _Block(row) for row in rows})
        self._down = [row.name for row in rows if not row.name.endswith("d")]
        width = {row.name: row.out for row in rows}
        for level, name in enumerate(self._down, 1):
            self[f"side{level}"] = nn.Conv2d(width.get(f"{name}d", width[name]), 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the logits of the matte, `[N, 1, H, W]`, of pictures `[N, channels, H, W]` of any size.

        A picture is RGB, 0 to 1, minus 0.5. Only the first side is computed.
        """
        return _resize(self["side1"](self._features(picture)[0]), picture)

    def sides(self, picture: Tensor) -> list[Tensor]:
        """Return every side output's logits at the picture's size, the matte's first, for training."""
        features = self._features(picture)
        return [_resize(self[f"side{n}"](feature), picture) for n, feature in enumerate(features, 1)]

    def _features(self, picture: Tensor) -> list[Tensor]:
        """Return the features of each side output, the finest first."""
        x = self["conv_in"](picture)
        levels: list[Tensor] = []
        for name in self._down:
            x = self[name](_pool(x) if levels else x)
            levels.append(x)
        for level in range(len(levels) - 2, -1, -1):
            x = self[f"{self._down[level]}d"](_join(levels[level + 1], levels[level]))
            levels[level] = x
        return levels


def drop_norms(network: Isnet) -> None:
    """Remove the normalisations, for weights into whose convolutions they are fused already."""
    for module in network.modules():
        if isinstance(module, _Unit):
            module.bn_s1 = nn.Identity()


def fuse_norms(network: Isnet) -> Isnet:
    """Fuse each normalisation into the convolution before it: the same output, faster, for inference only."""
    network.eval()
    for module in network.modules():
        if isinstance(module, _Unit) and isinstance(module.bn_s1, nn.BatchNorm2d):
            module.conv_s1 = fuse_conv_bn_eval(module.conv_s1, module.bn_s1)
            module.bn_s1 = nn.Identity()
    return network


class _Block(nn.ModuleDict):
    """A residual U-block (RSU): a small U-Net whose output is added to its input convolution's."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.depth, self.flat = row.depth, row.flat
        self["rebnconvin"] = _Unit(row.into, row.out)
        for level in range(1, row.depth + 1):
            last = 2 if level == row.depth else 1
            dilation = 2 ** (level - 1) if row.flat else last
            self[f"rebnconv{level}"] = _Unit(row.out if level == 1 else row.mid, row.mid, dilation)
        for level in range(row.depth - 1, 0, -1):
            dilation = 2 ** (level - 1) if row.flat else 1
            self[f"rebnconv{level}d"] = _Unit(2 * row.mid, row.out if level == 1 else row.mid, dilation)

    def forward(self, x: Tensor) -> Tensor:
        entry: Tensor = self["rebnconvin"](x)
        x = entry
        levels: list[Tensor] = []
        for level in range(1, self.depth + 1):
            if 1 < level < self.depth and not self.flat:
                x = _pool(x)
            x = self[f"rebnconv{level}"](x)
            levels.append(x)
        x = levels.pop()
        for level in range(self.depth - 1, 0, -1):
            x = self[f"rebnconv{level}d"](_join(x, levels.pop()))
        return x + entry


class _Unit(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, into: int, out: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(into, out, 3, padding=dilation, dilation=dilation)
        self.bn_s1: nn.Module = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn_s1(self.conv_s1(x)), inplace=True)


def _pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _join(x: Tensor, beside: Tensor) -> Tensor:
    """Concatenate the channels of `x`, resized to `beside`, and those of `beside`."""
    return cat((_resize(x, beside), beside), dim=1)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    size = like.shape[-2:]
    return x if x.shape[-2:] == size else functional.interpolate(x, size, mode="bilinear")
