"""The episodes' steps through the network, what their answers cost, and the loop that lowers it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from pipeline import devices, planes
from pipeline.networks.recorte import Memory, Recorte
from training import episodes, marks
from training.episodes import Episodes
from training.photos import Photos


class Size(NamedTuple):
    """A part of the training: up to which share of all steps, of which pictures."""

    until: float
    side: int
    """Pixels of a frame's height and width, a multiple of the network's stride."""
    batch: int
    """How many episodes are learnt from at once."""


SIZES = (Size(0.33, 160, 12), Size(0.8, 224, 8), Size(1.0, 256, 6))
"""Small pictures teach most of what there is to learn, several times as fast; the last have the size that the
network is used with."""

_RATE, _PRETRAINED_RATE = 1e-3, 3e-4
_WARM, _FALL = 50, 0.65
"""Steps until the full rate is reached, and the share of all steps from which on it falls to nothing."""

_AVERAGE = 0.998
"""The exponential average of the weights that is kept: this much of it stays with every step."""

_COARSE = 0.4
"""What the matte at stride 16 counts in the cost."""


@dataclass(frozen=True)
class Recipe:
    """What a training is told."""

    steps: int
    seed: int = 0
    workers: int = 2
    """Processes that make episodes; 0: the one that learns."""
    sizes: Sequence[Size] = SIZES


# One batch


def cost(network: Recorte, batch: dict[str, Tensor]) -> Tensor:
    """The mean cost of all steps of a batch of episodes (`episodes.batch`), to be derived."""
    total = torch.zeros((), device=batch["prior"].device)
    carried, told = batch["carried"][:, None, None, None], batch["told"][:, None, None, None]
    given = torch.cat((batch["marks"], torch.zeros_like(batch["prior"])), 1)
    memory: Memory | None = None
    for step in range(episodes.STEPS):
        picture, alpha = batch["pictures"][:, step], batch["alphas"][:, step]
        picture = picture.contiguous(memory_format=torch.channels_last)
        features = network.embed(picture)
        seen = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            seen = torch.where(carried, network.look(features, memory).to(seen.dtype), seen)
        logits, coarse = network.decode(features, given, seen)
        total = total + _wrong(logits.float(), alpha)
        small = functional.avg_pool2d(alpha, alpha.shape[-1] // coarse.shape[-1])
        total = total + _COARSE * functional.binary_cross_entropy_with_logits(coarse.float(), small)
        found = logits.detach().float().sigmoid()
        if memory is None:
            memory = network.remember(features, torch.where(told, alpha, found))
        if step + 1 < episodes.STEPS:
            given = _next(given, found, step, batch)
    return total / episodes.STEPS


def _wrong(logits: Tensor, alpha: Tensor) -> Tensor:
    """Cross-entropy, and what is missing of the overlap: the one sees pixels, the other subjects."""
    share = logits.sigmoid()
    common = (share * alpha).sum((1, 2, 3))
    either = (share + alpha - share * alpha).sum((1, 2, 3))
    crossed = functional.binary_cross_entropy_with_logits(logits, alpha)
    return crossed + (1 - (common + 1) / (either + 1)).mean()


def _next(given: Tensor, found: Tensor, step: int, batch: dict[str, Tensor]) -> Tensor:
    """The planes for the step after `step`, made of what was given and found at it; `[N, 3, H, W]`."""
    carried = batch["prior"] if step == 0 else _warped(found, batch["way"])
    so_far = torch.where(batch["carried"][:, None, None, None], carried, found)
    following = torch.cat((given[:, :2], so_far), 1).cpu().numpy()
    truth = batch["alphas"][:, step + 1, 0].cpu().numpy() > 0.5
    for n, moved in enumerate(batch["carried"].tolist()):
        if moved:
            following[n, :2] = 0  # the marks were on another frame
        # A person clicks on some of the frames that a mask was carried to, too.
        if not moved or (n % 4 == 0 and following[n, planes.SO_FAR].any()):
            point = marks.correction(following[n, planes.SO_FAR] > 0.5, truth[n])
            if point:
                planes.add(following[n], point)
    return torch.from_numpy(following).to(found.device)


def _warped(image: Tensor, way: Tensor) -> Tensor:
    """`image` (`[N, 1, H, W]`), fetched along a flow (`[N, H, W, 2]`, pixels)."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=way.device), torch.arange(width, device=way.device), indexing="ij"
    )
    places = torch.stack((x, y), -1) + way
    size = torch.tensor([width, height], device=way.device)
    return functional.grid_sample(image, (2 * places + 1) / size - 1, align_corners=False)


# All of it


class Training:
    """What a training has reached; it goes on where it stopped."""

    def __init__(
        self, recipe: Recipe, photos: Photos, device: torch.device, encoder: dict[str, Tensor]
    ) -> None:
        """`encoder`: the pretrained weights, by the network's names."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self._photos = photos
        self.network = Recorte().to(device).to(memory_format=torch.channels_last)
        self.network.load_state_dict(encoder, strict=False)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        old = [p for name, p in self.network.named_parameters() if name in encoder]
        new = [p for name, p in self.network.named_parameters() if name not in encoder]
        self._optimizer = torch.optim.AdamW(
            [{"params": old, "rate": _PRETRAINED_RATE}, {"params": new, "rate": _RATE}], weight_decay=1e-4
        )
        self.step = self.episodes = 0
        self.best = 0.0
        """The best figure so far."""

    def save(self, path: Path) -> None:
        """Write all that `load` needs; a file that is there stays whole until the new one is."""
        beside = path.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "counts": [self.step, self.episodes],
                "best": self.best,
            },
            beside,
        )
        beside.replace(path)

    def load(self, path: Path) -> None:
        """Take up a state that `save` wrote."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.episodes = state["counts"]
        self.best = state["best"]

    def run(self) -> Iterator[tuple[float, float]]:
        """Learn; after each step yields its cost and how many frames a second it took."""
        for size in self.recipe.sizes:
            past = round(size.until * self.recipe.steps)
            if self.step < past:
                yield from self._sized(size, past - self.step)

    def _sized(self, size: Size, steps: int) -> Iterator[tuple[float, float]]:
        made = Episodes(self._photos, size.side, self.recipe.seed, self.episodes, steps * size.batch)
        loader: DataLoader[Any] = DataLoader(
            made,
            size.batch,
            num_workers=self.recipe.workers,
            worker_init_fn=_alone,
            pin_memory=self.device.type == "cuda",
        )
        self.network.train()
        for found in loader:
            began = time.monotonic()
            paid = self._learn(episodes.batch(found, self.device))
            self.step += 1
            self.episodes += size.batch
            yield paid, episodes.STEPS * size.batch / (time.monotonic() - began)

    def _learn(self, batch: dict[str, Tensor]) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * self._pace()
        with devices.autocast(self.device):
            paid = cost(self.network, batch)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(paid)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._keep()
        return float(paid.detach())

    def _pace(self) -> float:
        """The share of the full rate: up, level, and down to nothing."""
        done = self.step / self.recipe.steps
        return min(1.0, (self.step + 1) / _WARM, max(0.01, (1 - done) / (1 - _FALL)))

    @torch.no_grad()
    def _keep(self) -> None:
        kept = min(_AVERAGE, (self.step + 1) / (self.step + 10))
        present = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(present[name], 1 - kept)
            else:
                value.copy_(present[name])


def _alone(_: int) -> None:
    """A process that makes episodes leaves the other cores to the others."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    np.seterr(all="raise", under="ignore")
