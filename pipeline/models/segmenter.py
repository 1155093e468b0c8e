"""A network that answers marks on single frames, and a frame as it is asked about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from pipeline.arrays import Floats, Image, Mask, Matte, as_floats
from pipeline.imaging import guided_filter, optical_flow
from pipeline.prompts import Box, Point, Prompt

_SIDE = 512
"""Pixels of the long side of the working size: twice that of the logits, so that nothing of them is lost."""


class Answer(NamedTuple):
    """What the network says to marks."""

    logits: Floats
    """`[N, h, w]`, one image for each reading of the marks, above zero where the object is; on the network's
    own small square, on which the frame lies at the top left."""
    scores: Floats
    """`[N]`: the overlap with the true mask that the network expects of each."""


class Segmenter(Protocol):
    """A network that embeds a frame once and then answers marks on it; marks are in the frame's pixels."""

    def embed(self, image: Image) -> Any:
        """What is known of a frame; it has its size in memory as `nbytes`."""
        ...

    def decode(
        self,
        embedding: Any,
        size: tuple[int, int],
        points: Sequence[Point] = (),
        box: Box | None = None,
        mask: Floats | None = None,
        several: bool = False,
    ) -> Answer:
        """The object that all the marks together mean, on a frame of this height and width.

        `mask` is an earlier answer's `logits[n]`, or made by `reduced`. `several`: three readings of an
        ambiguous mark instead of one.
        """
        ...

    def enlarged(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """One of an answer's logits on the frame's own pixels, `[H, W]`; the mask is where they exceed 0."""
        ...

    def reduced(self, logits: Floats, size: tuple[int, int]) -> Floats:
        """Logits that cover the frame, on a grid of any size, as `decode` takes them for `mask`."""
        ...


class Reading(NamedTuple):
    """One mask that the network proposes."""

    logits: Floats
    """On the working grid, `[h, w]`."""
    score: float
    """0 to 1."""


class View:
    """A frame and the network that is asked about it; it is embedded at the first question."""

    def __init__(self, image: Image, segmenter: Segmenter, embed: Callable[[Image], Any]) -> None:
        """`embed` is the segmenter's, or one that remembers."""
        self.image = image
        self.size: tuple[int, int] = (image.shape[0], image.shape[1])
        self._segmenter = segmenter
        self._embed = embed
        self.grid = guided_filter.within(*self.size, _SIDE)
        self._step = self.size[1] / self.grid[1], self.size[0] / self.grid[0]

    @cached_property
    def small(self) -> Image:
        """The frame on the working grid."""
        return np.asarray(cv2.resize(self.image, self.grid[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    @cached_property
    def grey(self) -> Image:
        return optical_flow.grey(self.small)

    def ask(self, prompt: Prompt, mask: Floats | None = None, several: bool = False) -> list[Reading]:
        """What the marks mean; `mask` is logits on the working grid that are to be bettered."""
        embedding = self._embed(self.image)
        prior = None if mask is None else self._segmenter.reduced(mask, self.size)
        answer = self._segmenter.decode(embedding, self.size, prompt.points, prompt.box, prior, several)
        return [
            Reading(self._shrunk(self._segmenter.enlarged(logits, self.size)), float(np.clip(score, 0, 1)))
            for logits, score in zip(answer.logits, answer.scores, strict=True)
        ]

    def matte(self, logits: Floats) -> Matte:
        """The mask that these logits on the working grid are, its soft edge drawn to that of the picture."""
        return guided_filter.upsample(guided_filter.logistic(logits), self.image)

    def pixel(self, point: Point) -> tuple[int, int]:
        """The row and column of the working grid that a point of the frame lies on."""
        x, y = int(point.x / self._step[0]), int(point.y / self._step[1])
        return min(max(y, 0), self.grid[0] - 1), min(max(x, 0), self.grid[1] - 1)

    def empty(self) -> Matte:
        return np.zeros(self.size, np.uint8)

    def point(self, x: float, y: float) -> Point:
        """A point to keep on this pixel of the working grid."""
        return Point((x + 0.5) * self._step[0] - 0.5, (y + 0.5) * self._step[1] - 0.5)

    def box(self, mask: Mask) -> Box:
        """The frame's box around a mask on the working grid, a little wider."""
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        across, down = (max(2, 0.05 * side) for side in (width, height))
        return Box(
            max(0, x - across) * self._step[0],
            max(0, y - down) * self._step[1],
            min(self.grid[1], x + width + across) * self._step[0],
            min(self.grid[0], y + height + down) * self._step[1],
        )

    def _shrunk(self, logits: Floats) -> Floats:
        return as_floats(cv2.resize(logits, self.grid[::-1], interpolation=cv2.INTER_AREA))


def readings(view: View, prompt: Prompt) -> list[Reading]:
    """What marks that start mean: three things for a lone click, in the network's order, else one."""
    return view.ask(prompt, several=prompt.is_single_click)
