"""What is learned from: short stories of three steps, each with the network's own errors in it.

Either a person corrects one frame (mark, click, click), or a subject is carried (mark, a frame some time
after, the frame after that). What a step is given that depends on the network's answer to the step before is
added in `training.learn`.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline import planes, propagate
from training import marks, scenes
from training.photos import Photos

STEPS = scenes.FRAMES


class Episode(TypedDict):
    """One story; as small numbers, since processes hand it to each other."""

    pictures: NDArray[np.uint8]
    """`[STEPS, H, W, 3]`, RGB."""
    alphas: NDArray[np.uint8]
    """`[STEPS, H, W]`."""
    marks: NDArray[np.uint8]
    """`[2, H, W]`: the first two planes of the marks on the first frame, 0 to 255."""
    prior: NDArray[np.uint8]
    """`[H, W]`: what an earlier mask would be like on the second frame, where `carried`; may be empty."""
    way: NDArray[np.float16]
    """`[H, W, 2]`: the flow of the third frame towards the second."""
    carried: bool
    told: bool
    """What is remembered of the first frame is its true matte, and not what the network found."""


class Episodes(Dataset[Episode]):
    """Endless: the n-th is always the same, whoever makes it."""

    def __init__(self, photos: Photos, side: int, seed: int, first: int, count: int) -> None:
        """Those from `first` on, of frames of `side` pixels."""
        self._photos, self._side, self._seed = photos, side, seed
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Episode:
        rng = np.random.default_rng((self._seed, self._first + number))
        carried = bool(rng.random() < 0.65)
        automatic = rng.random() < (0.2 if carried else 0.5)
        frames = scenes.made(self._photos, scenes.Wish(self._side, automatic, carried), rng)
        given = planes.drawn(self._side, self._side) if automatic else marks.started(frames[0].alpha, rng)
        prior = np.zeros((self._side, self._side), np.float32)
        way = np.zeros((self._side, self._side, 2), np.float32)
        if carried:
            if rng.random() < 0.8:
                prior = marks.disturbed(frames[1].alpha, rng)
            way = propagate.flow(*(propagate.grey(frame.picture) for frame in (frames[2], frames[1])))
        return Episode(
            pictures=np.stack([frame.picture for frame in frames]),
            alphas=np.stack([frame.alpha for frame in frames]),
            marks=np.rint(255 * given[:2]).astype(np.uint8),
            prior=np.rint(255 * prior).astype(np.uint8),
            way=way.astype(np.float16),
            carried=carried,
            told=bool(rng.random() < 0.4),
        )


def batch(found: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch of episodes on the device: pictures, marks and masks 0 to 1, `[N, STEPS, C, H, W]`."""
    moved = {name: value.to(device, non_blocking=True) for name, value in found.items()}
    return {
        "pictures": moved["pictures"].permute(0, 1, 4, 2, 3).float() / 255,
        "alphas": moved["alphas"][:, :, None].float() / 255,
        "marks": moved["marks"].float() / 255,
        "prior": moved["prior"][:, None].float() / 255,
        "way": moved["way"].float(),
        "carried": moved["carried"],
        "told": moved["told"],
    }
