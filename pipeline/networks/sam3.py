"""SAM 3: its tracker, which is SAM 2's with another encoder, and its detector, which finds what words name.

The network is that of Carion et al., "SAM 3: Segment Anything with Concepts" (2025), as transformers has it.
One published file holds both: they share the image encoder's backbone, and each has a neck of its own. A
frame uses those before it by the rules of SAM 2, and so `sam2.Track` serves the tracker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    CLIPTokenizer,
    Sam2VideoVideoProcessor,
    Sam3ImageProcessor,
    Sam3Model,
    Sam3TrackerVideoModel,
    Sam3TrackerVideoProcessor,
    Sam3VideoConfig,
)
from transformers.initialization import no_init_weights

from pipeline import devices
from pipeline.arrays import Floats, Image, as_floats
from pipeline.networks.sam2 import Network
from pipeline.weights import checkpoints

_TRACKER = (
    ("detector_model.vision_encoder.backbone.", "vision_encoder.backbone."),
    ("tracker_neck.", "vision_encoder.neck."),
    ("tracker_model.", ""),
)
"""Beginnings of the published names of the tracker's tensors, with those of its network."""

_DETECTOR = (("detector_model.", ""),)

_PUBLISHED = ("detector_model.", "tracker_neck.", "tracker_model.")
"""Beginnings of the names of all tensors of the published file."""

_GREY = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
"""Mean and deviation by which the encoder's pixels are normalised."""

_TOKENS = 32
"""Length of a phrase in tokens; shorter ones are padded, longer ones cut."""


def configure(**changes: Any) -> Sam3VideoConfig:
    """Return the configuration of the published network; `changes` are fields of it.

    The defaults are the published ones: the file's size follows from them, to the byte.
    """
    return Sam3VideoConfig(**changes)


def load_tracker(weights: Path, device: str) -> Network:
    """Load the tracker from the published file: `model.safetensors`, with the names of transformers.

    It is read as data. Raises WeightsError for a file that is damaged or of another network, InputError for a
    device that is not there.
    """
    where = devices.pick(device)
    config: Any = configure().tracker_config
    with no_init_weights():
        module = Sam3TrackerVideoModel(config)
    checkpoints.load_tensors(module, _pick(checkpoints.read(weights), _TRACKER), weights.name)
    return create_tracker(module, where)


def create_tracker(module: Any, device: torch.device) -> Network:
    """Return a `Sam3TrackerVideoModel` on a device with the input that it was trained with."""
    size: Any = {"height": module.config.image_size, "width": module.config.image_size}
    mean: Any = _GREY
    processor = Sam3TrackerVideoProcessor(
        Sam3ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size, **mean)
    )
    return Network(module, device, processor)


def load_detector(weights: Path) -> Sam3Model:
    """Load the detector from the published file; raises as `load_tracker`."""
    config: Any = configure().detector_config
    with no_init_weights():
        module = Sam3Model(config)
    checkpoints.load_tensors(module, _pick(checkpoints.read(weights), _DETECTOR), weights.name)
    return module


def _pick(tensors: Mapping[str, Tensor], names: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Return the tensors of one part by the names in its network.

    Those of the other part are left out. A name that is not the published file's stays in it, for
    `checkpoints.load_tensors` to refuse.
    """
    picked: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for beginning, own in names:
            if name.startswith(beginning):
                picked[own + name.removeprefix(beginning)] = tensor
                break
        else:
            if not name.startswith(_PUBLISHED):
                picked[name] = tensor
    return picked


class Sam3Detector:
    """The detector on a device with its vocabulary: boxes of what phrases name in a picture."""

    def __init__(self, network: Any, vocabulary: Path, merges: Path, device: torch.device) -> None:
        """`vocabulary` and `merges` are the published files of the tokenizer, which is CLIP's."""
        self._network = network.to(device).train(False)
        tokenizer: Any = CLIPTokenizer
        self._tokenizer: Any = tokenizer(vocab=str(vocabulary), merges=str(merges))
        self._device = device
        side = network.config.image_size
        size: Any = {"height": side, "width": side}
        self._processor: Any = Sam3ImageProcessor(size=size)

    def __call__(self, image: Image, phrases: Sequence[str]) -> tuple[Floats, Floats]:
        """Return boxes, `[N, 4]`, and how well each phrase describes them, `[N, P]`, 0 to 1.

        Boxes are in pixels of `image`, XYXY, and may reach beyond it. Each phrase has boxes of its own, which
        no other phrase describes.
        """
        height, width = image.shape[:2]
        boxes, scores = [], []
        with torch.inference_mode(), devices.autocast(self._device):
            features = self._network.get_vision_features(self._prepare(image))
            for number, phrase in enumerate(phrases):
                output = self._network(vision_embeds=features, **self._tokenize(phrase))
                corners = output.pred_boxes[0].float()
                found = (output.pred_logits[0].float().sigmoid()) * output.presence_logits[
                    0
                ].float().sigmoid()
                described = found.new_zeros(len(found), len(phrases))
                described[:, number] = found
                boxes.append(corners * corners.new_tensor([width, height, width, height]))
                scores.append(described)
        return as_floats(torch.cat(boxes).cpu().numpy()), as_floats(torch.cat(scores).cpu().numpy())

    def _prepare(self, image: Image) -> Tensor:
        """Return a picture at the size of the training, normalised, `[1, 3, H, W]`."""
        pixels: Tensor = self._processor(
            images=torch.tensor(np.ascontiguousarray(image)),
            input_data_format="channels_last",
            device=self._device,
            return_tensors="pt",
        )["pixel_values"]
        return pixels.to(self._device)

    def _tokenize(self, phrase: str) -> dict[str, Tensor]:
        text = self._tokenizer(
            phrase, padding="max_length", max_length=_TOKENS, truncation=True, return_tensors="pt"
        )
        return {name: text[name].to(self._device) for name in ("input_ids", "attention_mask")}
