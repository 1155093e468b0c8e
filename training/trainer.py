"""Training loop: the forward steps of episodes, their loss, and the optimiser."""

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
from training import episodes, precision, prompt_simulation
from training.episodes import Episodes, Request
from training.photos import Photos


class BatchSize(NamedTuple):
    """Size of a batch."""

    side: int
    """Pixels of a frame's height and width, a multiple of the network's stride."""
    batch: int
    """Number of episodes in a batch."""


class Stage(NamedTuple):
    """A part of the schedule."""

    until: float
    """Share of all steps at which it ends."""
    sizes: Sequence[BatchSize]
    shares: Sequence[float]
    """Probability of each size."""


_SIZES = (BatchSize(160, 12), BatchSize(224, 8), BatchSize(288, 5), BatchSize(352, 3))

STAGES = (Stage(0.6, _SIZES, (0.1, 0.4, 0.35, 0.15)), Stage(1.0, _SIZES, (0.0, 0.25, 0.45, 0.3)))
"""Mostly small pictures, which train several times as fast; mixed with larger ones, so that the network
generalises to higher resolutions."""

_LEARNING_RATE, _ENCODER_LEARNING_RATE = 1e-3, 3e-4
_WARMUP_STEPS, _DECAY_START = 50, 0.5
"""Steps until the full learning rate is reached, and the share of all steps after which it decays to 0."""

_FINE_TUNING_RATE = 0.5
"""Factor of the learning rate for a network that was trained before."""

_PROPAGATED_SHARE = 0.6
"""Share of the batches in which a mask is propagated; in the others a frame is corrected."""

_EMA_DECAY = 0.998
"""Decay of the exponential moving average of the weights."""

_COARSE_WEIGHT = 0.4
"""Weight of the matte at stride 16 in the loss."""

_EDGE_WEIGHT = 3.0
"""Weight of a pixel at an edge, as a multiple of any other's."""

_CLICK_EVERY = 4
"""At each step of a propagated batch one episode in so many gets a corrective click."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training."""

    steps: int
    seed: int = 0
    workers: int = 2
    """Processes that make episodes; 0: the training process."""
    stages: Sequence[Stage] = STAGES


# Loss of a batch


def loss(network: Recorte, batch: dict[str, Tensor], extend_memory: bool = True) -> Tensor:
    """Return the mean loss of all steps of a batch of `episodes.prepare_batch`, with its graph.

    Episodes with more than one frame are propagated. `extend_memory`: every other later frame is memorised,
    too.
    """
    total = torch.zeros((), device=batch["prior"].device)
    propagated = batch["pictures"].shape[1] > 1
    use_truth = batch["use_truth"][:, None, None, None]
    maps = torch.cat((batch["marks"], torch.zeros_like(batch["prior"])), 1)
    features: Features | None = None
    memory: Memory | None = None
    for step in range(episodes.STEPS):
        frame = step if propagated else 0
        picture, alpha = batch["pictures"][:, frame], batch["alphas"][:, frame]
        if features is None or propagated:
            features = network.embed(picture.contiguous(memory_format=torch.channels_last))
        recalled = torch.zeros_like(features.sixteenth[:, :3])
        if memory is not None:
            recalled = network.compare(features, memory).to(recalled.dtype)
        logits, coarse = network.decode(features, maps, recalled)
        total = total + _matte_loss(logits.float(), alpha)
        small = functional.avg_pool2d(alpha, alpha.shape[-1] // coarse.shape[-1])
        total = total + _COARSE_WEIGHT * functional.binary_cross_entropy_with_logits(coarse.float(), small)
        matte = logits.detach().float().sigmoid()
        if propagated and memory is None:
            memory = network.memorise(features, torch.where(use_truth, alpha, matte))
        elif memory is not None and extend_memory and step % 2:
            memory = _concatenate(memory, network.memorise(features, matte))
        if step + 1 < episodes.STEPS:
            maps = _next_prompt_maps(maps, matte, step, batch)
    return total / episodes.STEPS


def _concatenate(one: Memory, other: Memory) -> Memory:
    return Memory(*(torch.cat(parts, -1) for parts in zip(one, other, strict=True)))


def _matte_loss(logits: Tensor, alpha: Tensor) -> Tensor:
    """Return the sum of weighted cross-entropy, soft IoU loss, and mean absolute error at edges."""
    matte = logits.sigmoid()
    intersection = (matte * alpha).sum((1, 2, 3))
    union = (matte + alpha - matte * alpha).sum((1, 2, 3))
    edge = _edge_mask(alpha)
    weights = 1 + (_EDGE_WEIGHT - 1) * edge
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, alpha, weights) / weights.mean()
    edge_error = ((matte - alpha).abs() * edge).sum() / (edge.sum() + 1)
    return cross_entropy + (1 - (intersection + 1) / (union + 1)).mean() + 0.5 * edge_error


def _edge_mask(alpha: Tensor) -> Tensor:
    """Return 1 where an edge is within two pixels, else 0; of the shape of `alpha`."""
    most, least = (sign * functional.max_pool2d(sign * alpha, 5, 1, 2) for sign in (1, -1))
    return (most - least > 0.1).to(alpha.dtype)


def _next_prompt_maps(maps: Tensor, matte: Tensor, step: int, batch: dict[str, Tensor]) -> Tensor:
    """Return the prompt maps of the step after `step` from that step's maps and matte; `[N, 3, H, W]`."""
    propagated = batch["pictures"].shape[1] > 1
    if propagated:  # the prompts were on another frame
        earlier_mask = batch["prior"] if step == 0 else _warp(matte, batch["flows"][:, step - 1])
        maps = torch.zeros_like(maps)
    else:
        earlier_mask = matte
    following = torch.cat((maps[:, :2], earlier_mask), 1).cpu().numpy()
    truth = batch["alphas"][:, step + 1 if propagated else 0, 0].cpu().numpy() > 0.5
    for n, maps_of_one in enumerate(following):
        # Some of the frames that a mask was propagated to are corrected, too.
        if not propagated or ((n + step) % _CLICK_EVERY == 0 and maps_of_one[prompt_maps.SO_FAR].any()):
            point = prompt_simulation.correction_click(maps_of_one[prompt_maps.SO_FAR] > 0.5, truth[n])
            if point:
                prompt_maps.add_point(maps_of_one, point)
    return torch.from_numpy(following).to(matte.device)


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    """Warp `image` (`[N, 1, H, W]`) backwards by a flow (`[N, H, W, 2]`, pixels)."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    positions = torch.stack((x, y), -1) + flow
    size = torch.tensor([width, height], device=flow.device)
    return functional.grid_sample(image, (2 * positions + 1) / size - 1, align_corners=False)


# Training loop


class Training:
    """A training: network, averaged weights and optimiser; its state can be saved and resumed."""

    def __init__(
        self, recipe: Recipe, photos: Photos, device: torch.device, weights: dict[str, Tensor]
    ) -> None:
        """Start from `weights`, by the network's parameter names: the pretrained encoder's, or all."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self._photos = photos
        self.network = Recorte()
        self.network.load_state_dict(weights, strict=False)
        self._fine_tuning = all(name in weights for name in self.network.state_dict())
        """True if all weights were given; batch statistics are then frozen, as batches are small."""
        if devices.precision(device) == torch.bfloat16 and device.type == "cpu":
            precision.widen_depthwise(self.network)
        self.network = self.network.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        encoder = ("stem", "stages")
        old = [p for name, p in self.network.named_parameters() if name.startswith(encoder)]
        new = [p for name, p in self.network.named_parameters() if not name.startswith(encoder)]
        self._optimizer = torch.optim.AdamW(
            [{"params": old, "rate": _ENCODER_LEARNING_RATE}, {"params": new, "rate": _LEARNING_RATE}],
            weight_decay=1e-4,
        )
        self.step = self.episodes = 0
        self.best = 0.0
        """Best overall score so far."""

    def save(self, path: Path) -> None:
        """Write the state for `load`, atomically."""
        part = path.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "counts": [self.step, self.episodes],
                "best": self.best,
            },
            part,
        )
        part.replace(path)

    def load(self, path: Path) -> None:
        """Restore a state that `save` wrote."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.episodes = state["counts"]
        self.best = state["best"]

    def run(self) -> Iterator[tuple[float, float]]:
        """Train; after each step yields its loss and its speed in frames per second."""
        loader: DataLoader[Any] = DataLoader(
            Episodes(self._photos, self.recipe.seed),
            batch_sampler=self._requests(),
            num_workers=self.recipe.workers,
            worker_init_fn=_init_worker,
            pin_memory=self.device.type == "cuda",
        )
        self.network.train()
        if self._fine_tuning:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        started = time.monotonic()
        for collated in loader:
            count = len(collated["use_truth"])
            loss_value = self._train_step(episodes.prepare_batch(collated, self.device))
            self.step += 1
            self.episodes += count
            yield loss_value, episodes.STEPS * count / (time.monotonic() - started)
            started = time.monotonic()

    def _requests(self) -> list[list[Request]]:
        """Return the remaining batches; a step's batch does not depend on where the training was resumed."""
        batches, number = [], self.episodes
        for step in range(self.step, self.recipe.steps):
            rng = np.random.default_rng((self.recipe.seed, step))
            stage = next(stage for stage in self.recipe.stages if step < stage.until * self.recipe.steps)
            size = stage.sizes[rng.choice(len(stage.sizes), p=stage.shares)]
            propagated = bool(rng.random() < _PROPAGATED_SHARE)
            batches.append([Request(number + n, size.side, propagated) for n in range(size.batch)])
            number += size.batch
        return batches

    def _train_step(self, batch: dict[str, Tensor]) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * self._learning_rate_factor()
        with devices.autocast(self.device):
            value = loss(self.network, batch, extend_memory=self.step % 2 == 0)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        self._update_average()
        return float(value.detach())

    def _learning_rate_factor(self) -> float:
        """Return the factor of the learning rate: linear warm-up, constant, linear decay."""
        done = self.step / self.recipe.steps
        full = _FINE_TUNING_RATE if self._fine_tuning else 1.0
        return full * min(1.0, (self.step + 1) / _WARMUP_STEPS, max(0.01, (1 - done) / (1 - _DECAY_START)))

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(_EMA_DECAY, (self.step + 1) / (self.step + 10))
        present = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(present[name], 1 - decay)
            else:
                value.copy_(present[name])


def _init_worker(_: int) -> None:
    """Limit a data-loading process to one thread, and raise errors of numpy arithmetic."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    np.seterr(all="raise", under="ignore")
