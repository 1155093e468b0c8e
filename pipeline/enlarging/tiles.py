"""Enlarging a picture tile by tile, so that its memory depends on the tile alone.

Each tile is given to the network with a margin of its surroundings, which is cut off what comes back: pixels
beside a seam have seen the same on both of its sides. Tiles begin at whole windows of attention, where they
would lie in the whole picture.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from pipeline.arrays import Floats, Pixels, as_floats

SIDE, MARGIN = 192, 32
"""Pixels of a tile's side, and of what is seen around it; multiples of a window of attention."""


class Network(Protocol):
    """Network that enlarges pictures."""

    scale: int
    """Times as wide and as high."""

    def __call__(self, image: Floats) -> Floats:
        """Return `[scale·H, scale·W, 3]` for `image`, `[H, W, 3]` RGB, 0 to 1."""


class Tile(NamedTuple):
    """Progress of a picture that is enlarged."""

    done: int
    total: int
    """Tiles."""


def enlarge(image: Pixels, network: Network) -> Generator[Tile, None, Pixels]:
    """Enlarge a picture, `[H, W, 3]` or `[H, W, 4]`, in its dtype; yields the progress behind each tile.

    Straight alpha is enlarged by cubic interpolation, which leaves what is opaque and what is transparent so.
    """
    height, width = image.shape[:2]
    scale, level = network.scale, np.iinfo(image.dtype).max
    enlarged = np.empty((height * scale, width * scale, image.shape[2]), image.dtype)
    if image.shape[2] == 4:
        size = width * scale, height * scale
        alpha: Any = np.ascontiguousarray(image[..., 3])
        enlarged[..., 3] = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)
    places = [(top, left) for top in range(0, height, SIDE) for left in range(0, width, SIDE)]
    yield Tile(0, len(places))
    for number, (top, left) in enumerate(places, 1):
        above, before = max(0, top - MARGIN), max(0, left - MARGIN)
        seen = image[above : top + SIDE + MARGIN, before : left + SIDE + MARGIN, :3]
        made = network(as_floats(seen) / np.float32(level))
        y, x = (top - above) * scale, (left - before) * scale
        core = made[y : y + SIDE * scale, x : x + SIDE * scale]
        core = np.rint(core.clip(0, 1) * np.float32(level)).astype(image.dtype)
        down, right = core.shape[:2]
        enlarged[top * scale : top * scale + down, left * scale : left * scale + right, :3] = core
        yield Tile(number, len(places))
    return enlarged
