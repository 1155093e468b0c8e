"""SAM on a device, with marks in a frame's own pixels.

The network is that of Kirillov and others, "Segment Anything" (ICCV 2023), as the package `segment_anything`
builds it. The code around it returns bit for bit what the package's `SamPredictor` returns, but without
a state that two users would share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline import devices
from pipeline.arrays import Floats, Image
from pipeline.networks.decoder_output import DecoderOutput
from pipeline.prompts import Box, Point
from pipeline.weights import checkpoints

Size = tuple[int, int]
"""Height and width of a frame."""

_OUTSIDE = -10.0
"""The logit of a mask prompt where the network's square shows no picture."""


def load(name: str, device: str, path: Path) -> Network:
    """Load one of the package's networks, "vit_b", "vit_l" or "vit_h", with the weights of a checkpoint.

    Raises WeightsError for a file that does not fit, InputError for a device that is not there.
    """
    from segment_anything import sam_model_registry

    chosen = devices.pick(device)
    with torch.device("meta"):  # the values that a fresh network draws would be thrown away
        network = sam_model_registry[name](checkpoint=None)
    network.to_empty(device="cpu")
    # No checkpoint holds these; they are the package's.
    network.pixel_mean = torch.tensor([123.675, 116.28, 103.53]).view(-1, 1, 1)
    network.pixel_std = torch.tensor([58.395, 57.12, 57.375]).view(-1, 1, 1)
    checkpoints.load_into(network, path)
    return Network(network.eval().to(chosen), devices.precision(chosen))


class Network:
    """SAM as a `Segmenter`."""

    def __init__(self, sam: Any, precision: torch.dtype = torch.float32) -> None:
        """`sam` is a `segment_anything.modeling.Sam`; its encoder computes in `precision`, its decoder in
        float32: that one takes a hundredth of the time and draws the edge."""
        self._sam = sam
        self._precision = precision

    @torch.inference_mode()
    def embed(self, image: Image) -> Tensor:
        """Run the encoder on a frame: `[1, 256, 64, 64]` float32; raises RunError where the device's
        memory is too small."""
        return next(devices.run_batches(self._embed, iter([image]), 1))

    def _embed(self, images: Sequence[Image]) -> list[Tensor]:
        (image,) = images
        # A copy: torch takes no array that is read-only or turned over.
        pixels = torch.from_numpy(np.array(image, order="C")).to(self._sam.device)
        pixels = resize(pixels, *self._grid((image.shape[0], image.shape[1])))
        square = self._sam.preprocess(pixels.permute(2, 0, 1).contiguous()[None])
        with torch.autocast(square.device.type, self._precision, enabled=self._precision != torch.float32):
            return [self._sam.image_encoder(square).float()]

    @torch.inference_mode()
    def decode(
        self,
        embedding: Tensor,
        size: Size,
        points: Sequence[Point] = (),
        box: Box | None = None,
        mask: Floats | None = None,
        several: bool = False,
    ) -> DecoderOutput:
        """Implement `Segmenter.decode`."""
        scale = self._scale(size)
        marks = boxes = prior = None
        if points:
            places = torch.tensor(np.array([(p.x, p.y) for p in points]) * scale, dtype=torch.float32)
            labels = torch.tensor([int(p.keep) for p in points], dtype=torch.int32)
            marks = places[None].to(self._sam.device), labels[None].to(self._sam.device)
        if box is not None:
            corners = np.array([(box.x0, box.y0), (box.x1, box.y1)]) * scale
            boxes = torch.tensor(corners.reshape(1, 4), dtype=torch.float32, device=self._sam.device)
        if mask is not None:
            prior = torch.as_tensor(mask, dtype=torch.float32, device=self._sam.device)[None, None]
        sparse, dense = self._sam.prompt_encoder(points=marks, boxes=boxes, masks=prior)
        logits, scores = self._sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self._sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        return DecoderOutput(logits[0].cpu().numpy(), scores[0].cpu().numpy())

    @torch.inference_mode()
    def upscale(self, logits: Floats, size: Size) -> Floats:
        """Implement `Segmenter.upscale`."""
        small = torch.as_tensor(logits, device=self._sam.device)[None, None]
        large = self._sam.postprocess_masks(small, self._grid(size), size)
        return np.asarray(large[0, 0].cpu().numpy(), np.float32)

    @torch.inference_mode()
    def reduce(self, logits: Floats, size: Size) -> Floats:
        """Implement `Segmenter.reduce`."""
        side = self._sam.image_encoder.img_size
        height, width = self._grid(size)
        resized = torch.as_tensor(logits, dtype=torch.float32)[None, None]
        resized = F.interpolate(resized, (height, width), mode="bilinear", antialias=True)
        square = F.pad(resized, (0, side - width, 0, side - height), value=_OUTSIDE)
        low = F.interpolate(square, self._sam.prompt_encoder.mask_input_size, mode="area")
        return np.asarray(low[0, 0].numpy(), np.float32)

    def _grid(self, size: Size) -> Size:
        """Return the size of a frame on the network's square, its long side being the square's.

        Rounded as the package's `ResizeLongestSide` does.
        """
        scale = self._sam.image_encoder.img_size / max(size)
        return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))

    def _scale(self, size: Size) -> NDArray[np.float64]:
        """Return the width and the height of a frame's pixel on the network's square."""
        height, width = self._grid(size)
        return np.array([width / size[1], height / size[0]])


# The package resizes frames with Pillow, on the host only. torch's own antialiased filter differs from it by
# single levels, which is enough to move a mask's edge. Pillow computes with integers, so the same sum has the
# same bits on every device.

_BITS = 22
"""After the binary point of a weight: a byte and the sum of its rounding leave so many of 32."""


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize `image` (`[H, W, C]` uint8), bit for bit as Pillow's bilinear `resize`.

    (But for a picture over a hundred times as tall as wide, of which Pillow shortens the height first.)
    """
    columns = _resample_rows(image.transpose(0, 1).contiguous(), width)
    return _resample_rows(columns.transpose(0, 1).contiguous(), height)


def _resample_rows(rows: Tensor, length: int) -> Tensor:
    """Resample `rows` (`[N, M, C]` uint8) to `length` rows."""
    places, weights = (torch.from_numpy(taps).to(rows.device) for taps in _taps(len(rows), length))
    total = torch.full((length, *rows.shape[1:]), 1 << (_BITS - 1), dtype=torch.int32, device=rows.device)
    for place, weight in zip(places, weights, strict=True):
        total += rows[place].int().mul_(weight[:, None, None])
    return (total >> _BITS).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=8)
def _taps(size: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the pixels (of `size`) and weights that each of `length` new ones is made of; `[taps, length]`.

    The filter is a triangle, as wide as a new pixel's neighbours are apart.
    """
    scale = size / length
    reach = max(scale, 1.0)
    centre = (np.arange(length) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    past = np.minimum((centre + reach + 0.5).astype(np.int64), size)
    places = first + np.arange(int(np.ceil(reach)) * 2 + 1)[:, None]
    weights = np.maximum(1 - np.abs((places - centre + 0.5) * (1 / reach)), 0)
    weights[places >= past] = 0
    weights /= np.cumsum(weights, axis=0)[-1]  # summed in Pillow's order
    return np.minimum(places, size - 1), (weights * (1 << _BITS) + 0.5).astype(np.int32)
