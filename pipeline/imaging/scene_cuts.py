"""Detection of scene cuts."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Floats, Grey, Image
from pipeline.imaging import optical_flow
from pipeline.video.reading.frames import Frame, read_frames

_WIDTH, _HEIGHT = 160, 90


def scan(path: Path, first: int, last: int) -> Generator[int | None, None, None]:
    """Yield for each frame from pts `first` to `last` its pts if it begins another scene, else None."""
    scenes, before = SceneCutDetector(), 0
    for frame in read_frames(path, first, last + 1):
        number = scenes(frame)
        yield frame.pts if number > before else None
        before = number


class SceneCutDetector:
    """A detector that numbers the scenes of a stream: call it with each frame in turn.

    At a cut dense flow forward and back disagrees over most of the picture, and the colours differ as well.
    Either alone is not enough: fast motion breaks the flow, and a change of light the colours.
    """

    def __init__(self, number: int = 0, before: Image | None = None) -> None:
        """Continue a stream: `number` is the scene of its last frame, `before` that frame from `shrink`."""
        self.number = number
        self._before = None if before is None else _brightness_and_colours(before)

    def __call__(self, frame: Frame) -> int:
        now = _brightness_and_colours(shrink(frame))
        if self._before is not None and _colour_distance(self._before[1], now[1]) > _COLOUR_DISTANCE:
            self.number += _consistent_share(self._before[0], now[0]) < _CONSISTENT
        self._before = now
        return self.number


def shrink(frame: Frame) -> Image:
    """Return a frame at the size of the comparison, `[90, 160, 3]` uint8, RGB."""
    size = _WIDTH, _HEIGHT
    return np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _brightness_and_colours(picture: Image) -> tuple[Grey, Floats]:
    """Return the brightness and the colours of a small picture."""
    return optical_flow.grey(picture), _colours(picture)


_COLOUR_DISTANCE = 0.45
"""The least distance between the colours of two scenes, 0 to 1."""

_CONSISTENT = 0.5
"""The least share of the picture with consistent flow within a scene."""


def _colours(small: Image) -> Floats:
    """Return the colour histogram of each sixth of the picture, `[6, 512]`, shares."""
    cells = (small >> 5).astype(np.int32)
    bins = (cells[..., 0] * 8 + cells[..., 1]) * 8 + cells[..., 2]
    parts = [part for row in np.array_split(bins, 2) for part in np.array_split(row, 3, axis=1)]
    return np.stack([np.bincount(part.ravel(), minlength=512) / part.size for part in parts]).astype(
        np.float32
    )


def _colour_distance(a: Floats, b: Floats) -> float:
    """Return one minus the intersection of two frames' histograms, 0 to 1."""
    return float(1 - np.minimum(a, b).sum() / len(a))


def _consistent_share(a: Grey, b: Grey) -> float:
    """Return the share of the picture where flow forward and back agrees, 0 to 1."""
    error = optical_flow.forward_backward_error(optical_flow.flow(a, b), optical_flow.flow(b, a))
    return float((error < 1).mean())
