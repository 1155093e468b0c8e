"""Training episodes: sequences of a few steps in which the network meets its own errors.

Either one frame is corrected (mark, click, click, …), or a mask is propagated (mark, a frame some time later,
the frames after that). Inputs of a step that depend on the network's output of the step before are added in
`training.trainer`.
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
from training import prompt_simulation, synthesis
from training.photos import Photos

STEPS = synthesis.FRAMES


class Request(NamedTuple):
    """Parameters of one episode."""

    number: int
    side: int
    """Pixels of a frame's height and width."""
    propagated: bool


class Episode(TypedDict):
    """Arrays of one episode, in small types because they are passed between processes.

    A propagated episode has `STEPS` frames, a corrected one has one.
    """

    pictures: NDArray[np.uint8]
    """`[frames, H, W, 3]`, RGB."""
    alphas: NDArray[np.uint8]
    """`[frames, H, W]`."""
    marks: NDArray[np.uint8]
    """`[2, H, W]`: the first two prompt maps of the first frame, 0 to 255."""
    prior: NDArray[np.uint8]
    """`[H, W]`: a simulated earlier mask on the second frame, 0 to 255; empty if corrected, or by chance."""
    flows: NDArray[np.float16]
    """`[frames - 2, H, W, 2]`, pixels: the flow of the third frame towards the second, and so on."""
    use_truth: bool
    """True if the memory of the first frame is made from its true matte, not the predicted one."""


class Episodes(Dataset[Episode]):
    """Endless dataset of episodes; a request gives the same episode in every process."""

    def __init__(self, photos: Photos, seed: int) -> None:
        self._photos, self._seed = photos, seed

    def __getitem__(self, request: Request) -> Episode:
        number, side, propagated = request
        rng = np.random.default_rng((self._seed, number))
        automatic = rng.random() < (0.2 if propagated else 0.5)
        frames = synthesis.make_scene(self._photos, synthesis.SceneSpec(side, automatic, propagated), rng)
        maps = (
            prompt_maps.draw(side, side)
            if automatic
            else prompt_simulation.simulate_prompts(frames[0].alpha, rng)
        )
        prior = np.zeros((side, side), np.float32)
        if propagated and rng.random() < 0.8:
            prior = prompt_simulation.perturb_mask(frames[1].alpha, rng)
        greys = [optical_flow.grey(frame.picture) for frame in frames[1:]]
        flows = [optical_flow.flow(later, sooner) for sooner, later in pairwise(greys)]
        return Episode(
            pictures=np.stack([frame.picture for frame in frames]),
            alphas=np.stack([frame.alpha for frame in frames]),
            marks=np.rint(255 * maps[:2]).astype(np.uint8),
            prior=np.rint(255 * prior).astype(np.uint8),
            flows=np.array(flows, np.float16).reshape(-1, side, side, 2),
            use_truth=bool(rng.random() < 0.4),
        )


def prepare_batch(collated: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move collated episodes to the device as float32: pictures, marks and masks 0 to 1, channels first."""
    moved = {name: value.to(device, non_blocking=True) for name, value in collated.items()}
    return {
        "pictures": moved["pictures"].permute(0, 1, 4, 2, 3).float() / 255,
        "alphas": moved["alphas"][:, :, None].float() / 255,
        "marks": moved["marks"].float() / 255,
        "prior": moved["prior"][:, None].float() / 255,
        "flows": moved["flows"].float(),
        "use_truth": moved["use_truth"],
    }
