"""Where one scene ends and the next begins."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Floats, Grey, Image
from pipeline.imaging import optical_flow
from pipeline.video.reading.frames import Frame, read_frames

_WIDTH, _HEIGHT = 160, 90


def scanned(path: Path, first: int, last: int) -> Generator[int | None, None, None]:
    """For each frame from pts `first` to `last` its pts where it begins another scene than the one before."""
    scenes, before = Scenes(), 0
    for frame in read_frames(path, first, last + 1):
        number = scenes(frame)
        yield frame.pts if number > before else None
        before = number


class Scenes:
    """Numbers the scenes of a stream: called with each frame in turn, it gives the number of its scene.

    A cut is where nothing moved on: dense flow there and back no longer agrees over most of the picture, and
    the colours are others, too. Either alone is no cut: fast movement loses the flow, a lamp changes colours.
    """

    def __init__(self, number: int = 0, before: Image | None = None) -> None:
        """To go on in a stream: the number of its last frame, and what `small` makes of that."""
        self.number = number
        self._before = None if before is None else _seen(before)

    def __call__(self, frame: Frame) -> int:
        now = _seen(small(frame))
        if self._before is not None and _apart(self._before[1], now[1]) > _COLOURS:
            self.number += _followed(self._before[0], now[0]) < _FOLLOWED
        self._before = now
        return self.number


def small(frame: Frame) -> Image:
    """All that is looked at of a frame, `[h, w, 3]`."""
    size = _WIDTH, _HEIGHT
    return np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _seen(picture: Image) -> tuple[Grey, Floats]:
    """Its brightness and its colours."""
    return optical_flow.grey(picture), _colours(picture)


_COLOURS = 0.45
"""How far apart, 0 to 1, the colours of two scenes are at least."""

_FOLLOWED = 0.5
"""The share of the picture that flow can follow within a scene."""


def _colours(small: Image) -> Floats:
    """The shares of the colours in each sixth of the picture, `[6, 512]`."""
    cells = (small >> 5).astype(np.int32)
    bins = (cells[..., 0] * 8 + cells[..., 1]) * 8 + cells[..., 2]
    parts = [part for row in np.array_split(bins, 2) for part in np.array_split(row, 3, axis=1)]
    return np.stack([np.bincount(part.ravel(), minlength=512) / part.size for part in parts]).astype(
        np.float32
    )


def _apart(a: Floats, b: Floats) -> float:
    """One minus the share of colours that two frames have in common, 0 to 1."""
    return float(1 - np.minimum(a, b).sum() / len(a))


def _followed(a: Grey, b: Grey) -> float:
    """The share of the picture where flow there and back agrees."""
    missed = optical_flow.disagreement(optical_flow.flow(a, b), optical_flow.flow(b, a))
    return float((missed < 1).mean())
