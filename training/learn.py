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

from pipeline import devices
from pipeline.models import prompt_maps
from pipeline.networks.recorte import Features, Memory, Recorte
from training import episodes, marks, precision
from training.episodes import Episodes, Request
from training.photos import Photos


class Size(NamedTuple):
    """The pictures of a batch."""

    side: int
    """Pixels of a frame's height and width, a multiple of the network's stride."""
    batch: int
    """Number of episodes in a batch."""


class Stage(NamedTuple):
    """A part of the training: up to which share of all steps, of which sizes, and how often of each."""

    until: float
    sizes: Sequence[Size]
    shares: Sequence[float]


_SIZES = (Size(160, 12), Size(224, 8), Size(288, 5), Size(352, 3))

STAGES = (Stage(0.6, _SIZES, (0.1, 0.4, 0.35, 0.15)), Stage(1.0, _SIZES, (0.0, 0.25, 0.45, 0.3)))
"""Small pictures teach most of what there is to learn, several times as fast. Sizes are mixed, so that the
network is at home on a finer grid, too."""

_RATE, _PRETRAINED_RATE = 1e-3, 3e-4
_WARM, _FALL = 50, 0.5
"""Steps until the full rate is reached, and the share of all steps from which on it falls to nothing."""

_AGAIN = 0.5
"""The share of the full rate where a network is taught that has learnt before."""

_CARRIED = 0.6
"""The share of the batches in which a subject is carried; in the others a frame is corrected."""

_AVERAGE = 0.998
"""The exponential average of the weights that is kept: this much of it stays with every step."""

_COARSE = 0.4
"""Weight of the matte at stride 16 in the cost."""

_EDGE = 3.0
"""Weight of a pixel at an edge, as a multiple of any other's."""

_CLICKED = 4
"""At each step of a carried batch a person corrects one in so many."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training."""

    steps: int
    seed: int = 0
    workers: int = 2
    """Processes that make episodes; 0: the one that learns."""
    stages: Sequence[Stage] = STAGES


# One batch


def cost(network: Recorte, batch: dict[str, Tensor], grows: bool = True) -> Tensor:
    """The mean cost of all steps of a batch of episodes (`episodes.batch`), to be derived.

    The episodes are carried where they have more than one frame. `grows`: what was found on later frames is
    remembered, too.
    """
    total = torch.zeros((), device=batch["prior"].device)
    carried = batch["pictures"].shape[1] > 1
    told = batch["told"][:, None, None, None]
    given = torch.cat((batch["marks"], torch.zeros_like(batch["prior"])), 1)
    features: Features | None = None
    memory: Memory | None = None
    for step in range(episodes.STEPS):
        frame = step if carried else 0
        picture, alpha = batch["pictures"][:, frame], batch["alphas"][:, frame]
        if features is None or carried:
            features = network.embed(picture.contiguous(memory_format=torch.channels_last))
        seen = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            seen = network.compare(features, memory).to(seen.dtype)
        logits, coarse = network.decode(features, given, seen)
        total = total + _wrong(logits.float(), alpha)
        small = functional.avg_pool2d(alpha, alpha.shape[-1] // coarse.shape[-1])
        total = total + _COARSE * functional.binary_cross_entropy_with_logits(coarse.float(), small)
        found = logits.detach().float().sigmoid()
        if carried and memory is None:
            memory = network.memorise(features, torch.where(told, alpha, found))
        elif memory is not None and grows and step % 2:
            memory = _joined(memory, network.memorise(features, found))
        if step + 1 < episodes.STEPS:
            given = _next(given, found, step, batch)
    return total / episodes.STEPS


def _joined(one: Memory, other: Memory) -> Memory:
    return Memory(*(torch.cat(parts, -1) for parts in zip(one, other, strict=True)))


def _wrong(logits: Tensor, alpha: Tensor) -> Tensor:
    """Cross-entropy, what is missing of the overlap, and how far off edges are: the first sees pixels, the
    second subjects, the third softness."""
    share = logits.sigmoid()
    common = (share * alpha).sum((1, 2, 3))
    either = (share + alpha - share * alpha).sum((1, 2, 3))
    edge = _edge(alpha)
    weights = 1 + (_EDGE - 1) * edge
    crossed = functional.binary_cross_entropy_with_logits(logits, alpha, weights) / weights.mean()
    apart = ((share - alpha).abs() * edge).sum() / (edge.sum() + 1)
    return crossed + (1 - (common + 1) / (either + 1)).mean() + 0.5 * apart


def _edge(alpha: Tensor) -> Tensor:
    """1 where an edge is within two pixels, else 0; of the shape of `alpha`."""
    most, least = (sign * functional.max_pool2d(sign * alpha, 5, 1, 2) for sign in (1, -1))
    return (most - least > 0.1).to(alpha.dtype)


def _next(given: Tensor, found: Tensor, step: int, batch: dict[str, Tensor]) -> Tensor:
    """The planes for the step after `step`, made of what was given and found at it; `[N, 3, H, W]`."""
    carried = batch["pictures"].shape[1] > 1
    if carried:  # the marks were on another frame
        so_far = batch["prior"] if step == 0 else _warped(found, batch["ways"][:, step - 1])
        given = torch.zeros_like(given)
    else:
        so_far = found
    following = torch.cat((given[:, :2], so_far), 1).cpu().numpy()
    truth = batch["alphas"][:, step + 1 if carried else 0, 0].cpu().numpy() > 0.5
    for n, planes_of in enumerate(following):
        # A person clicks on some of the frames that a mask was carried to, too.
        if not carried or ((n + step) % _CLICKED == 0 and planes_of[prompt_maps.SO_FAR].any()):
            point = marks.correction(planes_of[prompt_maps.SO_FAR] > 0.5, truth[n])
            if point:
                prompt_maps.add(planes_of, point)
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
    """State of a training, from which it is continued."""

    def __init__(
        self, recipe: Recipe, photos: Photos, device: torch.device, weights: dict[str, Tensor]
    ) -> None:
        """`weights`: what it begins with, by the network's names: the pretrained encoder's, or all."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self._photos = photos
        self.network = Recorte()
        self.network.load_state_dict(weights, strict=False)
        self._again = all(name in weights for name in self.network.state_dict())
        """It has learnt before: its normalisations stay as they are, which small batches would disturb."""
        if devices.precision(device) == torch.bfloat16 and device.type == "cpu":
            precision.widen_depthwise(self.network)
        self.network = self.network.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        encoder = ("stem", "stages")
        old = [p for name, p in self.network.named_parameters() if name.startswith(encoder)]
        new = [p for name, p in self.network.named_parameters() if not name.startswith(encoder)]
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
        loader: DataLoader[Any] = DataLoader(
            Episodes(self._photos, self.recipe.seed),
            batch_sampler=self._requests(),
            num_workers=self.recipe.workers,
            worker_init_fn=_alone,
            pin_memory=self.device.type == "cuda",
        )
        self.network.train()
        if self._again:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        began = time.monotonic()
        for found in loader:
            count = len(found["told"])
            paid = self._learn(episodes.batch(found, self.device))
            self.step += 1
            self.episodes += count
            yield paid, episodes.STEPS * count / (time.monotonic() - began)
            began = time.monotonic()

    def _requests(self) -> list[list[Request]]:
        """The batches that are left; each step's is the same wherever the training goes on."""
        batches, number = [], self.episodes
        for step in range(self.step, self.recipe.steps):
            rng = np.random.default_rng((self.recipe.seed, step))
            stage = next(stage for stage in self.recipe.stages if step < stage.until * self.recipe.steps)
            size = stage.sizes[rng.choice(len(stage.sizes), p=stage.shares)]
            carried = bool(rng.random() < _CARRIED)
            batches.append([Request(number + n, size.side, carried) for n in range(size.batch)])
            number += size.batch
        return batches

    def _learn(self, batch: dict[str, Tensor]) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * self._pace()
        with devices.autocast(self.device):
            paid = cost(self.network, batch, grows=self.step % 2 == 0)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(paid)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._keep()
        return float(paid.detach())

    def _pace(self) -> float:
        """The share of the full rate: up, level, and down to nothing."""
        done = self.step / self.recipe.steps
        full = _AGAIN if self._again else 1.0
        return full * min(1.0, (self.step + 1) / _WARM, max(0.01, (1 - done) / (1 - _FALL)))

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
