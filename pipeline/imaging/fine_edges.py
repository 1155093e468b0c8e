"""Fine edges: alpha of hair and other soft edges, found anew in a band around the edge of a matte.

The band becomes the unknown part of a trimap, and a matting method finds the alpha there, at the picture's
own resolution, in tiles that bound its memory. A tile whose edge already follows the picture is left as it
is: there the guided filter (He and others, 2010), which draws an edge to that of the picture, changes little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pipeline.arrays import ByteMask, Floats, Image, Mask, Matte, as_floats
from pipeline.imaging import guided_filter

Matting = Callable[[Image, ByteMask], Floats]
"""`(image, trimap)` to alpha `[H, W]`, 0 to 1; the trimap is 0 outside, 255 inside and 128 unknown."""

SIDE = 512
"""Pixels of a tile's side."""

_MARGIN = 64
"""Pixels of a tile's border that are seen and not used."""

_REACH = 0.02
"""Half of the band's width, as a share of the picture's height."""

_SURE = 12
"""Nearer to 0 or 255 than this a matte is certain."""

_CHANGED = 0.1
"""Difference of the filtered matte by which a pixel counts as changed."""

_SHARP = 0.04
"""A tile with a smaller share of changed pixels in its band is sharp already."""


def band(matte: Matte) -> Mask:
    """Return the band around the edge of a matte and around its soft parts, `[H, W]` bool."""
    radius = max(3, round(matte.shape[0] * _REACH))
    inside = (matte > 127).astype(np.uint8)
    edge = guided_filter.dilate(inside, radius) > guided_filter.erode(inside, radius)
    soft = ((matte > _SURE) & (matte < 255 - _SURE)).astype(np.uint8)
    return edge | (guided_filter.dilate(soft, max(1, radius // 2)) > 0)


def refine(image: Image, matte: Matte, find_alpha: Matting) -> tuple[Matte, Mask]:
    """Return the matte, `[H, W]` uint8, with the alpha found anew, and where it was (`[H, W]` bool).

    `image` is `[H, W, 3]` uint8. Outside of the band the matte stays as it is.
    """
    unknown = band(matte)
    refined, found = matte.copy(), np.zeros(matte.shape, np.bool_)
    if not unknown.any():
        return refined, found
    trimap = np.where(unknown, 128, np.where(matte > 127, 255, 0)).astype(np.uint8)
    for tile, core in _tiles(matte.shape[0], matte.shape[1]):
        part, inner = unknown[core], _within(core, tile)
        if not part.any() or _is_sharp(image[tile], matte[tile], unknown[tile]):
            continue
        alpha = find_alpha(np.ascontiguousarray(image[tile]), np.ascontiguousarray(trimap[tile]))
        refined[core][part] = np.rint(255 * np.clip(alpha[inner][part], 0, 1))
        found[core] |= part
    return refined, found


_Place = tuple[slice, slice]


def _within(core: _Place, tile: _Place) -> _Place:
    """Return the place of a core in its tile."""
    (y, x), (top, left) = core, tile
    return slice(y.start - top.start, y.stop - top.start), slice(x.start - left.start, x.stop - left.start)


def _tiles(height: int, width: int) -> Iterator[tuple[_Place, _Place]]:
    """Yield each tile, and its core; the cores cover the picture without overlap."""
    for y in _spans(height):
        for x in _spans(width):
            yield (y[0], x[0]), (y[1], x[1])


def _spans(length: int) -> Iterator[tuple[slice, slice]]:
    step = SIDE - 2 * _MARGIN
    for start in range(0, max(1, length), step):
        low = max(0, min(start - _MARGIN, length - SIDE))
        yield slice(low, min(length, low + SIDE)), slice(start, min(length, start + step))


def _is_sharp(image: Image, matte: Matte, unknown: Mask) -> bool:
    """Return True if the edge in a tile follows the picture's already."""
    alpha = as_floats(matte) / np.float32(255)
    filtered = guided_filter.Guide(image, 4, 1e-4).filter(alpha)
    changed = np.abs(filtered - alpha)[unknown] > _CHANGED
    return bool(changed.mean() < _SHARP) if changed.size else True
