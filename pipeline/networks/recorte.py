"""Recorte's own network: predicts a matte from a picture, prompts and a memory of the subject.

The encoder is EfficientNet-Lite0 (Tan and Le, "EfficientNet", ICML 2019, in the form without squeeze-and-
excitation that Google published for phones in 2020). The input of its first half is the picture only, so that
these features serve all prompts on the frame and can be compared with other frames; half-way the prompts and
the memory are added, and the second half and a feature pyramid (Lin and others, CVPR 2017) decode the matte.

The memory is that of tracking by matching (Voigtlaender and others, "FEELVOS", CVPR 2019): for each position,
its similarity to the inside and to the outside of the mask on the memorised frames.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 32
"""Height and width of a picture are multiples of this."""

MARKS = 3
"""Planes of marks beside a picture: kept points and the box, removed points, the mask so far."""


class Row(NamedTuple):
    """One stage of the encoder."""

    repeats: int
    """Number of inverted bottlenecks in a row."""
    width: int
    """Output channels."""
    stride: int
    """Of its first bottleneck."""
    kernel: int
    expand: int
    """Factor by which a bottleneck is wider inside."""


LITE0 = (
    Row(1, 16, 1, 3, 1),
    Row(2, 24, 2, 3, 6),
    Row(2, 40, 2, 5, 6),
    Row(3, 80, 2, 3, 6),
    Row(3, 112, 1, 5, 6),
    Row(4, 192, 2, 5, 6),
    Row(1, 320, 1, 3, 6),
)
"""EfficientNet-Lite0 without its classifier: 2.96 million weights."""

_STEM = 32
_SIGHT = 4
"""Number of stages whose input is only the picture; the output of the last of them is compared."""

_COMPARED = 16
"""The stride at which frames are compared."""

_KEY = 64
"""Length of the vector by which one place is compared."""

_UP = (128, 64, 48, 24)
"""Channels on the way back up, at strides 16, 8, 4 and 2."""


class Features(NamedTuple):
    """Features of the picture, without prompts, at strides 2, 4, 8 and 16, `[N, C, h, w]` each."""

    half: Tensor
    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor


class Memory(NamedTuple):
    """Places of other frames, each with the share of it inside the mask."""

    keys: Tensor
    """`[N, _KEY, M]`, each of length 1."""
    inside: Tensor
    """`[N, M]`, 0 to 1."""


class Recorte(nn.Module):
    """3.3 million weights; pictures are RGB, 0 to 1, `[N, 3, H, W]` of sides that `STRIDE` divides."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _unit(3, _STEM, 3, stride=2, act=nn.ReLU6)
        before = (_STEM, *(row.width for row in LITE0))
        self.stages = nn.ModuleList(_stage(into, row) for into, row in zip(before, LITE0, strict=False))
        half, quarter, eighth, sixteenth, deep, _, deepest = (row.width for row in LITE0)
        self.key = nn.Conv2d(sixteenth, _KEY, 1)
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        """Logarithm of the inverse temperature of the softmax over similarities."""
        self.recall = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, sixteenth, 1))
        self.marks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(into, out, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(out, out, 1))
            for into, out in pairwise((MARKS, half, quarter, eighth, sixteenth))
        )
        self.up = nn.ModuleList(
            _Up(into, beside, out)
            for (into, out), beside in zip(
                pairwise((deepest, *_UP)), (deep, eighth, quarter, half), strict=True
            )
        )
        self.coarse = nn.Conv2d(_UP[0], 1, 1)
        """The matte at stride 16, used in training only."""
        # Four numbers for each place of the finest level: the logits of its four pixels.
        self.head = nn.Sequential(nn.Conv2d(_UP[-1], 4, 3, padding=1), nn.PixelShuffle(2))
        # Marks and memory contribute nothing at first, so that the second half starts as it was pretrained.
        _zero_last_layer(self.recall)
        _zero_last_layer(self.marks[-1])

    def embed(self, picture: Tensor) -> Features:
        """Return the features of a picture, `[N, 3, H, W]`, RGB, 0 to 1."""
        x = self.stem(2 * picture - 1)
        levels = []
        for stage in self.stages[:_SIGHT]:
            x = stage(x)
            levels.append(x)
        return Features(*levels)

    def memorise(self, features: Features, matte: Tensor) -> Memory:
        """Make a memory of a frame's features and its matte (`[N, 1, H, W]`, 0 to 1)."""
        inside = functional.avg_pool2d(matte, _COMPARED)
        return Memory(self._keys(features).float(), inside.flatten(1).float())

    def compare(self, features: Features, memory: Memory) -> Tensor:
        """Compare a frame with a memory: `[N, 3, h, w]` at stride 16.

        The share of similar places that lay inside, and the similarity to the most similar place inside, and
        outside, -1 to 1.
        """
        keys = self._keys(features).float()
        similarity = keys.transpose(1, 2) @ memory.keys
        share = (torch.softmax(similarity * self.sharpness.exp(), 2) @ memory.inside[..., None])[..., 0]
        within = memory.inside[:, None] > 0.5
        best = [similarity.masked_fill(hidden, -1).amax(2) for hidden in (~within, within)]
        return torch.stack((share, *best), 1).reshape(-1, 3, *features.sixteenth.shape[-2:])

    def decode(self, features: Features, marks: Tensor, comparison: Tensor) -> tuple[Tensor, Tensor]:
        """Decode the matte's logits, `[N, 1, H, W]`, and coarse ones at stride 16, used in training.

        `marks` is `[N, MARKS, H, W]`, 0 to 1; `comparison` is what `compare` returned, or zeros
        without a memory.
        """
        levels: list[Tensor] = []
        x = marks
        for layer, feature in zip(self.marks, features, strict=True):
            x = layer(x)
            levels.append(feature + x)
        level, *deeper = self.stages[_SIGHT:]
        x = level(levels.pop() + self.recall(comparison))
        levels.append(x)
        for stage in deeper:
            x = stage(x)
        deepest, *finer = self.up
        x = deepest(x, levels.pop())
        coarse = self.coarse(x)
        for up in finer:
            x = up(x, levels.pop())
        return self.head(x), coarse

    def forward(self, picture: Tensor, marks: Tensor, comparison: Tensor | None = None) -> Tensor:
        """Return the logits of the matte, `[N, 1, H, W]`; `comparison` as in `decode`."""
        features = self.embed(picture)
        if comparison is None:
            comparison = torch.zeros_like(features.sixteenth[:, :3])
        logits, _ = self.decode(features, marks, comparison)
        return logits

    def _keys(self, features: Features) -> Tensor:
        return functional.normalize(self.key(features.sixteenth).flatten(2), dim=1)


def fuse_batch_norm(network: Recorte) -> Recorte:
    """Fuse each batch normalisation into the convolution before it: the same output, faster."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) > 1:
            convolution, normalisation = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(convolution, normalisation), nn.Identity()
    return network


class _Bottleneck(nn.Sequential):
    """An inverted bottleneck (Sandler and others, "MobileNetV2", CVPR 2018)."""

    def __init__(self, into: int, stride: int, row: Row) -> None:
        inner = into * row.expand
        wider = [_unit(into, inner, 1, act=nn.ReLU6)] if row.expand > 1 else []
        around = _unit(inner, inner, row.kernel, stride=stride, groups=inner, act=nn.ReLU6)
        super().__init__(*wider, around, _unit(inner, row.width, 1, act=None))
        self.residual = stride == 1 and into == row.width

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self:
            y = unit(y)
        return x + y if self.residual else y


class _Up(nn.Module):
    """One level of the feature pyramid: upsampling, the sum with the encoder's level, a convolution."""

    def __init__(self, into: int, beside: int, out: int) -> None:
        super().__init__()
        self.inward, self.beside = nn.Conv2d(into, out, 1), nn.Conv2d(beside, out, 1)
        self.smooth = _unit(out, out, 3)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        mixed: Tensor = self.smooth(_resize_like(self.inward(x), beside) + self.beside(beside))
        return mixed


def _stage(into: int, row: Row) -> nn.Sequential:
    first = _Bottleneck(into, row.stride, row)
    return nn.Sequential(first, *(_Bottleneck(row.width, 1, row) for _ in range(row.repeats - 1)))


def _unit(
    into: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    """Build a convolution, a batch normalisation and the activation `act`."""
    parts: list[nn.Module] = [
        nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    ]
    return nn.Sequential(*parts, *([act(inplace=True)] if act else []))


def _zero_last_layer(branch: nn.Module) -> None:
    """Set the last layer of a branch to zero."""
    *_, last = branch.children()
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def _resize_like(x: Tensor, like: Tensor) -> Tensor:
    size = like.shape[-2:]
    return x if x.shape[-2:] == size else functional.interpolate(x, size, mode="bilinear")
