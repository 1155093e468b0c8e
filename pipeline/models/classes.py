"""Classes of things: the union of all that belongs to the classes which a job names, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline import devices
from pipeline.arrays import ClassMap, Image, as_floats
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

ALL = ("background", *NAMES)
"""Classes of a map, in the order of the network's outputs."""

COLOURS = (
    "#000000",
    *("#dea30b", "#590af9", "#b4bfff", "#123890", "#fffbe1", "#7d6c69", "#e4fb00"),
    *("#791614", "#ccaf97", "#0571a3", "#3e0bb5", "#5089fb", "#473e58", "#dceaff"),
    *("#dea95e", "#fff170", "#ffffaf", "#96a7b6", "#ad6b47", "#b06300"),
)
"""The colour of each of `ALL` in a map: a search's, so that any two are at least 20 apart in CIELAB, also as
people without red or without green cones see them."""

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

    def find_map(self, image: Image) -> ClassMap:
        """As `MapsClasses.find_map`."""
        import torch

        from pipeline.networks import deeplab

        picture = torch.from_numpy(_shrink(image)).to(self._device).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode(), devices.autocast(self._device):
            planes = deeplab.probabilities(self._network, picture)[0].cpu().numpy()
        height, width = image.shape[:2]
        likeliest = np.zeros((height, width), np.float32)
        found = np.zeros((height, width), np.uint8)
        for number, plane in enumerate(planes):  # one by one: all of them in a frame's size take long
            large = as_floats(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
            found[large > likeliest] = number
            np.maximum(likeliest, large, out=likeliest)
        return found

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


def palette() -> Image:
    """Return `COLOURS` as an array, `[21, 3]` uint8, RGB."""
    return np.array([[int(c[at : at + 2], 16) for at in (1, 3, 5)] for c in COLOURS], np.uint8)


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
