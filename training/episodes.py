"""Episodes to learn from: short stories of a few steps, each with the network's own errors in it.

Either a person corrects one frame (mark, click, click, …), or a subject is carried (mark, a frame some time
after, the frames after that). What a step is given that depends on the network's answer to the step before is
added in `training.learn`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.imaging import optical_flow
from pipeline.models import prompt_maps
from training import marks, scenes
from training.photos import Photos

STEPS = scenes.FRAMES


class Request(NamedTuple):
    """An episode that is asked for."""

    number: int
    side: int
    """Pixels of a frame's height and width."""
    carried: bool


class Episode(TypedDict):
    """One story; as small numbers, since processes hand it to each other.

    It has `STEPS` frames where it is carried, else one.
    """

    pictures: NDArray[np.uint8]
    """`[frames, H, W, 3]`, RGB."""
    alphas: NDArray[np.uint8]
    """`[frames, H, W]`."""
    marks: NDArray[np.uint8]
    """`[2, H, W]`: the first two planes of the marks on the first frame, 0 to 255."""
    prior: NDArray[np.uint8]
    """`[H, W]`: what an earlier mask would be like on the second frame, where carried; may be empty."""
    ways: NDArray[np.float16]
    """`[frames - 2, H, W, 2]`: the flow of the third frame towards the second, and so on, where carried."""
    told: bool
    """True if the memory of the first frame holds its true matte, not the network's own."""


class Episodes(Dataset[Episode]):
    """Endless: what is asked for is always the same, whoever makes it."""

    def __init__(self, photos: Photos, seed: int) -> None:
        self._photos, self._seed = photos, seed

    def __getitem__(self, request: Request) -> Episode:
        number, side, carried = request
        rng = np.random.default_rng((self._seed, number))
        automatic = rng.random() < (0.2 if carried else 0.5)
        frames = scenes.made(self._photos, scenes.Wish(side, automatic, carried), rng)
        given = prompt_maps.drawn(side, side) if automatic else marks.started(frames[0].alpha, rng)
        prior = np.zeros((side, side), np.float32)
        if carried and rng.random() < 0.8:
            prior = marks.disturbed(frames[1].alpha, rng)
        greys = [optical_flow.grey(frame.picture) for frame in frames[1:]]
        ways = [optical_flow.flow(later, sooner) for sooner, later in pairwise(greys)]
        return Episode(
            pictures=np.stack([frame.picture for frame in frames]),
            alphas=np.stack([frame.alpha for frame in frames]),
            marks=np.rint(255 * given[:2]).astype(np.uint8),
            prior=np.rint(255 * prior).astype(np.uint8),
            ways=np.array(ways, np.float16).reshape(-1, side, side, 2),
            told=bool(rng.random() < 0.4),
        )


def batch(found: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch of episodes on the device: pictures, marks and masks 0 to 1, `[N, frames, C, H, W]`."""
    moved = {name: value.to(device, non_blocking=True) for name, value in found.items()}
    return {
        "pictures": moved["pictures"].permute(0, 1, 4, 2, 3).float() / 255,
        "alphas": moved["alphas"][:, :, None].float() / 255,
        "marks": moved["marks"].float() / 255,
        "prior": moved["prior"][:, None].float() / 255,
        "ways": moved["ways"].float(),
        "told": moved["told"],
    }
