"""The protocol of a network that segments single frames by marks, and a frame's view of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Mask, Matte, as_floats
from pipeline.imaging import guided_filter, optical_flow, strokes
from pipeline.networks.decoder_output import DecoderOutput
from pipeline.prompts import Box, Point, Prompt, Stroke

_SIDE = 512
"""Pixels of the long side of the working size: twice that of the logits, so that nothing of them is lost."""


_SURE = 8.0
"""The logit of what a stroke keeps."""


class Segmenter(Protocol):
    """Network with an image encoder and a prompt decoder; prompts are in the frame's pixels."""

    def embed(self, image: Image) -> Any:
        """Return the embedding of a frame; its size in memory is its `nbytes`."""
        ...

    def decode(
        self,
        embedding: Any,
        size: tuple[int, int],
        points: Sequence[Point] = (),
        box: Box | None = None,
        mask: Floats | None = None,
        several: bool = False,
    ) -> DecoderOutput:
        """Decode the object marked by all the prompts together, on a frame of this height and width.

        `mask` is `logits[n]` of an earlier output, or from `reduce`. `several`: three masks for an ambiguous
        prompt instead of one.
        """
        ...

    def upscale(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """Return one of the decoder's logits on the frame's pixels, `[H, W]`; above 0 is inside."""
        ...

    def reduce(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """Return logits that cover the frame, on a grid of any size, as `decode` takes them for `mask`."""
        ...


class ScoredMask(NamedTuple):
    """One mask of the network, with its score."""

    logits: Floats
    """On the working grid, `[h, w]`."""
    score: float
    """The IoU with the true mask that the network expects, 0 to 1."""


class FrameView:
    """A frame and the network that segments it; the frame is embedded at the first use."""

    def __init__(self, image: Image, segmenter: Segmenter, embed: Callable[[Image], Any]) -> None:
        """`embed` is the segmenter's, or a cache of it."""
        self.image = image
        self.size: tuple[int, int] = (image.shape[0], image.shape[1])
        self._segmenter = segmenter
        self._embed = embed
        self.grid = guided_filter.fit_size(*self.size, _SIDE)
        self._step = self.size[1] / self.grid[1], self.size[0] / self.grid[0]

    @cached_property
    def small(self) -> Image:
        """The frame on the working grid, `[h, w, 3]` uint8."""
        return np.asarray(cv2.resize(self.image, self.grid[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    @cached_property
    def grey(self) -> Image:
        return optical_flow.grey(self.small)

    def segment(self, prompt: Prompt, mask: Floats | None = None, several: bool = False) -> list[ScoredMask]:
        """Segment by marks; `mask` is logits on the working grid, `[h, w]`, to be refined."""
        embedding = self._embed(self.image)
        prior = None if mask is None else self._segmenter.reduce(mask, self.size)
        answer = self._segmenter.decode(embedding, self.size, prompt.points, prompt.box, prior, several)
        return [
            ScoredMask(self._to_grid(self._segmenter.upscale(logits, self.size)), float(np.clip(score, 0, 1)))
            for logits, score in zip(answer.logits, answer.scores, strict=True)
        ]

    def matte(self, logits: Floats) -> Matte:
        """Return the matte of logits on the working grid, its soft edge drawn to the picture's."""
        return guided_filter.upsample(guided_filter.logistic(logits), self.image)

    def logits(self, matte: Matte) -> Floats:
        """Return a matte of the frame as logits on the working grid, `[h, w]`."""
        alpha = as_floats(cv2.resize(matte, self.grid[::-1], interpolation=cv2.INTER_AREA)) / np.float32(255)
        likely = np.clip(alpha, np.float32(1e-6), np.float32(1 - 1e-6))
        return as_floats(np.clip(np.log(likely / (1 - likely)), -_SURE, _SURE))

    def pixel(self, point: Point) -> tuple[int, int]:
        """Return the row and column of the working grid that a point of the frame lies on."""
        x, y = int(point.x / self._step[0]), int(point.y / self._step[1])
        return min(max(y, 0), self.grid[0] - 1), min(max(x, 0), self.grid[1] - 1)

    def paint(self, logits: Floats, painted: Sequence[Stroke]) -> Floats:
        """Return logits on the working grid, `[h, w]`, sure of what strokes keep and of what they remove."""
        if not painted:
            return logits
        lowest, highest = (
            cv2.resize(plane, self.grid[::-1], interpolation=cv2.INTER_AREA)
            for plane in strokes.bounds(tuple(painted), *self.size)
        )
        kept = np.where(lowest > 127, np.maximum(logits, _SURE), logits)
        return as_floats(np.where(highest <= 127, np.minimum(kept, -_SURE), kept))

    def empty_matte(self) -> Matte:
        return np.zeros(self.size, np.uint8)

    def point(self, x: float, y: float) -> Point:
        """Return a point to keep, in pixels of the frame, for a pixel of the working grid."""
        return Point((x + 0.5) * self._step[0] - 0.5, (y + 0.5) * self._step[1] - 0.5)

    def box(self, mask: Mask) -> Box:
        """Return a box, in pixels of the frame, around a mask on the working grid, a little wider."""
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        across, down = (max(2, 0.05 * side) for side in (width, height))
        return Box(
            max(0, x - across) * self._step[0],
            max(0, y - down) * self._step[1],
            min(self.grid[1], x + width + across) * self._step[0],
            min(self.grid[0], y + height + down) * self._step[1],
        )

    def _to_grid(self, logits: Floats) -> Floats:
        return as_floats(cv2.resize(logits, self.grid[::-1], interpolation=cv2.INTER_AREA))


def initial_masks(view: FrameView, prompt: Prompt) -> list[ScoredMask]:
    """Segment by the first marks: three masks for a single click, in the network's order, else one."""
    return view.segment(prompt, several=prompt.is_single_click)
