"""Match of colours: brings the subject into its background's light, or the background into the subject's.

The mean and the spread of one are moved towards those of the other (Reinhard et al., "Color Transfer between
Images", 2001), in CIELAB with the lightness and the chroma apart, and within bounds. It is applied as the
affine map of R'G'B' that comes nearest to that over the colours there are, so that it costs one pass over
the picture, and is the same in every bit depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Matte, Pixels, as_floats

_ROWS = 90
"""Most rows of the grid on which colours are measured."""

_SOLID = 230
"""Least alpha of a pixel whose colour is the subject's own."""

_LEAST_PIXELS = 12

_MOST_LIGHTNESS = 20.0
_MOST_CHROMA = 16.0
"""Largest shifts, in units of CIELAB. They keep a face a face, whatever the background is."""

_MOST_SPREAD = 1.35
"""Largest ratio by which the spread grows or shrinks."""

_LEAST_SPREAD = 2.0
"""Least spread, in units of CIELAB, that is matched: a plain colour has none that a subject could have."""

_STEPS = 9
"""Number of levels of each channel among the colours that the affine map is fitted to."""


@dataclass(frozen=True)
class Colours:
    """Mean and spread of colours in CIELAB; can be added up."""

    weight: float
    """Number of pixels."""
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    """Sums of the values and of their squares, `[3]`: lightness, and two of chroma."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean, `[3]`."""
        return self.total / self.weight

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviations of the lightness and of the chroma, `[2]`."""
        variance = np.maximum(self.squares / self.weight - self.mean**2, 0)
        return np.sqrt([variance[0], variance[1] + variance[2]])

    def times(self, factor: float) -> Self:
        """Return the same colours with another weight."""
        return type(self)(self.weight * factor, self.total * factor, self.squares * factor)

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self | None:
        """Return all of them as one; None if there are none."""
        found = list(parts)
        if not found:
            return None
        return cls(
            sum(part.weight for part in found),
            np.sum([part.total for part in found], axis=0),
            np.sum([part.squares for part in found], axis=0),
        )


def measure_colours(picture: Pixels, matte: Matte | None = None) -> Colours | None:
    """Measure the colours of a picture (`[H, W, 3]`, uint8 or uint16), or of its subject.

    `matte` is `[H, W]` uint8. None where it shows too little of the subject.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _ROWS / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = as_floats(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)) / np.iinfo(picture.dtype).max
    values = _to_lab(small.reshape(-1, 3).astype(np.float32))
    if matte is not None:
        values = values[cv2.resize(matte, size, interpolation=cv2.INTER_AREA).ravel() >= _SOLID]
        if len(values) < _LEAST_PIXELS:
            return None
    exact = values.astype(np.float64)
    return Colours(len(exact), exact.sum(axis=0), (exact**2).sum(axis=0))


def fit_match(own: Colours, other: Colours, strength: float) -> Floats:
    """Return the affine map that brings colours into the light of others: `[3, 4]`, for values 0 to 1.

    `strength` is 0 (the colours stay) to 1.
    """
    shift = other.mean - own.mean
    shift[0] = np.clip(shift[0], -_MOST_LIGHTNESS, _MOST_LIGHTNESS)
    shift[1:] *= min(1.0, _MOST_CHROMA / max(float(np.hypot(*shift[1:])), 1e-6))
    has_spread = np.minimum(own.spread, other.spread) >= _LEAST_SPREAD
    ratio = np.where(has_spread, other.spread / np.maximum(own.spread, 1e-6), 1)
    ratio = np.clip(ratio, 1 / _MOST_SPREAD, _MOST_SPREAD)
    shift, ratio = shift * strength, ratio**strength
    colours, lab = _colour_grid()
    moved = (lab - own.mean) * ratio[[0, 1, 1]] + own.mean + shift
    wanted = cv2.cvtColor(moved[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0].astype(np.float64)
    # The colours that occur count most, and the others a little, so that the map is always determined.
    reach = 2 * np.maximum(own.spread, 6)[[0, 1, 1]]
    weight = np.exp(-0.5 * (((lab - own.mean) / reach) ** 2).sum(axis=1)) + 1e-4
    known = np.column_stack((colours, np.ones(len(colours)))) * np.sqrt(weight)[:, None]
    solved = np.linalg.lstsq(known, wanted * np.sqrt(weight)[:, None], rcond=None)[0]
    return np.ascontiguousarray(solved.T, np.float32)


def recolour(picture: Pixels, matching: Floats) -> Pixels:
    """Apply an affine map from `fit_match` to a picture, `[H, W, 3]`, uint8 or uint16; return a new one."""
    scaled = matching.copy()
    scaled[:, 3] *= np.iinfo(picture.dtype).max
    mapped: Any = cv2.transform(picture, scaled)  # rounded, and clipped to the range
    return np.asarray(mapped)


def _to_lab(colours: Floats) -> Floats:
    """Convert colours, `[N, 3]` RGB, 0 to 1, to CIELAB."""
    return as_floats(cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0])


@cache
def _colour_grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return evenly spaced colours, `[N, 3]`, as RGB from 0 to 1 and in CIELAB."""
    levels = np.linspace(0, 1, _STEPS, dtype=np.float32)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid.astype(np.float64), _to_lab(grid).astype(np.float64)
