"""GroundingDINO (Liu and others, "Grounding DINO: Marrying DINO with Grounded Pre-Training", 2023).

The architecture and the tokenizer are those of `transformers`; the configuration is the tiny network's, with
Swin-T for pictures and BERT base for texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from transformers import BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection
from transformers.utils import logging

from pipeline.arrays import Floats, Image, as_floats
from pipeline.errors import WeightsError
from pipeline.languages.messages import Message
from pipeline.weights import checkpoints

_SHORTER, _LONGER = 800, 1333
"""Pixels of the sides of a picture that the network was trained with: the shorter one, and the most."""

_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_STD = np.array((0.229, 0.224, 0.225), np.float32)

_SHOWN = 3
"""Names of tensors that an error lists at most."""

_END = "."
"""The token behind each phrase."""


def configure(**changes: Any) -> GroundingDinoConfig:
    """Return the configuration of the tiny network; `changes` are fields of it."""
    # Without kernels, which would be compiled, or fetched from the hub.
    return GroundingDinoConfig(disable_custom_kernels=True, **changes)


def load(file: Path, configuration: GroundingDinoConfig) -> GroundingDinoForObjectDetection:
    """Load the network from a file of weights, whose names are those of the published one.

    Raises WeightsError where a tensor is missing, has another shape, or is not the network's.
    """
    library: Any = GroundingDinoForObjectDetection
    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        # The library knows what its tensors were called in the version that wrote the file.
        network: GroundingDinoForObjectDetection
        network, told = library.from_pretrained(
            None,
            config=configuration,
            state_dict=checkpoints.read(file),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below
        )
    finally:
        if shown:
            bars.enable_progress_bar()
    _check_loaded(file, told)
    return network


def _check_loaded(file: Path, told: Mapping[str, Any]) -> None:
    """Raise WeightsError for what the library says of the tensors that it has not loaded."""
    reshaped = [name if isinstance(name, str) else name[0] for name in told["mismatched_keys"]]
    fault = None
    if told["missing_keys"]:
        fault = Message("weights.lacks", {"names": _list_names(told["missing_keys"])})
    elif told["unexpected_keys"]:
        fault = Message("weights.has_excess", {"names": _list_names(told["unexpected_keys"])})
    elif reshaped:
        fault = Message("weights.other_shape", {"names": _list_names(reshaped)})
    if fault is not None:
        raise WeightsError("weights.not_this_model", file=file.name, told=fault)


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN])


class GroundingDino:
    """The network on a device with its vocabulary: boxes of what phrases name in a picture."""

    def __init__(self, network: nn.Module, vocabulary: Path, device: torch.device) -> None:
        self._network = network.to(device).train(False)
        self._tokenizer = BertTokenizer(vocab=str(vocabulary))
        self._device = device

    def __call__(self, image: Image, phrases: Sequence[str]) -> tuple[Floats, Floats]:
        """Return boxes, `[N, 4]`, and how well each phrase describes them, `[N, P]`, 0 to 1.

        Boxes are in pixels of `image`, XYXY, and may reach beyond it. Phrases hold no full stop.
        """
        text = self._tokenizer(f"{_END} ".join(phrases).lower() + _END, return_tensors="pt")
        tokens = {name: tensor.to(self._device) for name, tensor in text.items()}
        with torch.inference_mode():
            output = self._network(pixel_values=self._prepare(image), **tokens)
        found = output.logits[0].float().sigmoid()
        ends = tokens["input_ids"][0] == self._tokenizer.convert_tokens_to_ids(_END)
        scores = []
        first = 1  # behind the token that begins the text
        for end in ends.nonzero()[:, 0].tolist():
            scores.append(found[:, first:end].amax(1))
            first = end + 1
        height, width = image.shape[:2]
        centre, size = output.pred_boxes[0].float().split(2, dim=1)
        corners = torch.cat([centre - size / 2, centre + size / 2], dim=1)
        boxes = corners * corners.new_tensor([width, height, width, height])
        return as_floats(boxes.cpu().numpy()), as_floats(torch.stack(scores, 1).cpu().numpy())

    def _prepare(self, image: Image) -> torch.Tensor:
        """Return a picture at the size of the training, normalised, `[1, 3, H, W]`."""
        height, width = image.shape[:2]
        scale = min(_SHORTER / min(height, width), _LONGER / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        planes = (as_floats(cv2.resize(image, size, interpolation=method)) / 255 - _MEAN) / _STD
        pixels = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))
        return pixels[None].to(self._device)
