"""IS-Net and models of its architecture: mattes of the most prominent subject, without prompts.

The network is our own (`pipeline.networks.isnet`), the checkpoint is read as data. A relative with the same
names and shapes, such as the general IS-Net, is one more card here.

Where the environment variable RECORTE_COMPILE is 1 when a model is loaded, its network is compiled by torch:
a slow first frame, faster ones after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from pipeline import devices
from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter
from pipeline.models.base import Card, Prediction, PromptedFrame
from pipeline.stream_state import State
from pipeline.weights import checkpoints
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    import torch
    from torch import nn

SIDE = 1024
"""Pixels of the network's grid, both ways, whatever the frame's shape."""

_FRAME_BYTES = 2**30
"""About what one frame takes on the device while the network works on it."""


class Isnet:
    """The model; its streams share the network and nothing else."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        """`network` maps pictures `[N, 3, H, W]`, RGB, -0.5 to 0.5, to logits `[N, 1, H, W]`."""
        import torch

        self._device = device
        network = network.eval().to(device).to(memory_format=torch.channels_last)
        self._network = torch.compile(network) if os.environ.get("RECORTE_COMPILE") == "1" else network

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        size = devices.batch_size(self._device, _FRAME_BYTES)
        yield from devices.run_batches(self._predict_batch, iter(frames), size)

    def _predict_batch(self, frames: Sequence[PromptedFrame]) -> list[Prediction]:
        import torch

        with torch.inference_mode():
            grids = torch.cat([_grid(frame.image, self._device) for frame in frames])
            with devices.autocast(self._device):
                logits = self._network(grids.contiguous(memory_format=torch.channels_last))
            masks = logits[:, 0].float().sigmoid().cpu().numpy()
        predictions = [
            Prediction(_resize_mask(mask, frame.image)) for mask, frame in zip(masks, frames, strict=True)
        ]
        # States only at the end of a batch, so that a resumed stream makes the same batches: on a GPU the
        # last bit depends on them.
        return [*predictions[:-1], predictions[-1]._replace(state=dict)]


def _grid(image: Image, device: torch.device) -> torch.Tensor:
    """Return the network's input for a frame, `[1, 3, 1024, 1024]` float32, -0.5 to 0.5."""
    import torch
    from torch.nn import functional

    picture = torch.tensor(image).to(device).permute(2, 0, 1)[None].float()
    return functional.interpolate(picture, (SIDE, SIDE), mode="bilinear") / 255 - 0.5


def _resize_mask(mask: Floats, image: Image) -> Matte:
    """Resize the network's mask, `[1024, 1024]`, 0 to 1, to its frame: `[H, W]` uint8.

    Values are not rescaled: to stretch each frame's mask to its own least and greatest value, as some do,
    makes a video flicker and turns the noise of an empty frame into a subject.
    """
    height, width = image.shape[:2]
    # The network's grid is square; where the frame has fewer pixels one way, the frame's are enough.
    size = min(width, SIDE), min(height, SIDE)
    return guided_filter.upsample_soft(as_floats(cv2.resize(mask, size, interpolation=cv2.INTER_AREA)), image)


def _load(device: str, files: list[Path]) -> Isnet:
    import torch

    from pipeline.networks import isnet

    chosen = devices.pick(device)
    with torch.device("meta"):  # without drawing 44 million numbers that are replaced at once
        network = isnet.Isnet().to_empty(device="cpu")
    checkpoints.load_into(network, files[0])
    return Isnet(network, chosen)


CARDS = (
    Card(
        key="rmbg",
        label="RMBG-1.4",
        purpose="Finds the subject of every frame by itself, hair and soft edges too; fast on a GPU.",
        points=False,
        box=False,
        automatic=True,
        licence="bria-rmbg-1.4, non-commercial",
        licence_url="https://bria.ai/bria-huggingface-model-license-agreement/",
        restriction="RMBG-1.4's weights may not be used commercially without an agreement with BRIA.",
        load=_load,
        weights=Weights(
            (
                File(
                    name="briaai/RMBG-1.4/model.safetensors",
                    url="https://huggingface.co/briaai/RMBG-1.4/resolve/"
                    "2ceba5a5efaec153162aedea169f76caf9b46cf8/model.safetensors",
                    bytes=176_381_984,
                    sha256="46ef7fe46f2ae284d8f1aaa24bfa5fca5ef25a34e2c7caa890a0029eb100e87f",
                ),
            )
        ),
        per_frame=True,
        preview_frames=0,
    ),
)
