"""Classes of things: the union of all that belongs to the classes which a job names, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline import devices
from pipeline.arrays import Image, as_floats
from pipeline.imaging import guided_filter
from pipeline.models.base import Card, Prediction, PromptedFrame
from pipeline.stream_state import State
from pipeline.weights import checkpoints
from pipeline.weights.spec import File, Weights

if TYPE_CHECKING:
    import torch
    from torch import nn

NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable"),
    *("dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Those of Pascal VOC, in the order of the network's outputs behind the first, which is the background."""

DEFAULT = ("person",)

_SIDE = 520
"""Pixels of the picture's shorter side that the network was trained with."""

_FRAME_BYTES = 2**30
"""About what one frame takes on the device while the network works on it."""


class Classes:
    """The network; `choose` returns the model of some classes."""

    def __init__(self, network: nn.Module, device: torch.device, chosen: Sequence[str] = DEFAULT) -> None:
        """`network` maps normalised pictures to `{"out": logits}`, with a channel for each class."""
        self._network = network
        self._device = device
        self._channels = [1 + NAMES.index(name) for name in chosen]

    def choose(self, chosen: Sequence[str]) -> Classes:
        """Return the model whose subject is all that belongs to these classes."""
        return Classes(self._network, self._device, chosen)

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        size = devices.batch_size(self._device, _FRAME_BYTES)
        yield from devices.run_batches(self._predict_batch, iter(frames), size)

    def _predict_batch(self, frames: Sequence[PromptedFrame]) -> list[Prediction]:
        import torch

        from pipeline.networks import deeplab

        smaller = [_shrink(frame.image) for frame in frames]
        pictures = torch.from_numpy(np.stack(smaller)).to(self._device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode(), devices.autocast(self._device):
            found = deeplab.probabilities(self._network, pictures)[:, self._channels].sum(1).cpu().numpy()
        predictions = []
        for frame, mask in zip(frames, found, strict=True):
            inside = mask[mask > 0.5]
            confidence = float(inside.mean()) if inside.size else 0.0
            matte = guided_filter.upsample(as_floats(mask), frame.image)
            predictions.append(Prediction(matte, min(1.0, confidence)))
        # A state only at the end of a batch: on a GPU the last bit depends on what is in it.
        return [*predictions[:-1], predictions[-1]._replace(state=dict)]


def _shrink(image: Image) -> Image:
    """Shrink a frame to the network's size; a smaller one stays as it is."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _load(device: str, files: list[Path]) -> Classes:
    from pipeline.networks import deeplab

    chosen = devices.pick(device)
    network: Any = deeplab.create(1 + len(NAMES))
    checkpoints.load_into(network, files[0])
    network.aux_classifier = None  # for training alone
    return Classes(network.to(chosen).train(False), chosen)


CARDS = (
    Card(
        key="classes",
        label="Classes",
        purpose="Finds all people, dogs, cars or other things of the classes that you choose, by itself.",
        points=False,
        box=False,
        automatic=True,
        licence="BSD-3-Clause",
        licence_url="https://github.com/pytorch/vision/blob/main/LICENSE",
        load=_load,
        weights=Weights(
            (
                File(
                    "deeplabv3_resnet101_coco-586e9e4e.pth",
                    "https://download.pytorch.org/models/deeplabv3_resnet101_coco-586e9e4e.pth",
                    round(233.217 * 2**20),
                    "586e9e4e",
                ),
            )
        ),
        per_frame=True,
        classes=NAMES,
        preview_frames=0,
    ),
)
