"""Window: the part of a frame that a network is given; closer around a small subject."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, Image, Matte, as_floats
from pipeline.imaging import guided_filter
from pipeline.prompts import Box, Point, Stroke

_STRIDE = 32
"""The grid's sides are multiples of this."""

_SLIM = 2.0
"""Its largest aspect ratio, either way, where the frame allows a smaller one."""

_PART = 0.05
"""The least share of a matte's area for a part of it to count: distant specks are left out."""


class Window(NamedTuple):
    """A rectangle of a frame, in whole pixels, and the grid that the network sees of it."""

    left: int
    top: int
    width: int
    height: int
    columns: int
    rows: int

    @property
    def _slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def area(self) -> int:
        """In pixels of the frame."""
        return self.width * self.height

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop a frame or a matte and resize it to the grid: `[rows, columns]` or with channels, uint8."""
        shrinks = self.area > self.columns * self.rows
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(
            cv2.resize(image[self._slices], (self.columns, self.rows), interpolation=how), np.uint8
        )

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop a frame or a matte at its own resolution: `[height, width]` or with channels, uint8."""
        return np.ascontiguousarray(image[self._slices])

    def paste(self, matte: Matte, height: int, width: int) -> Matte:
        """Return the matte of a frame, `[height, width]` uint8, from that of `cut`; it is 0 outside."""
        whole = np.zeros((height, width), np.uint8)
        whole[self._slices] = matte
        return whole

    def to_frame(self, mask: Floats, image: Image) -> Matte:
        """Return the frame's matte, `[H, W]` uint8, from a mask on the grid, 0 to 1; it is 0 outside."""
        matte = np.zeros(image.shape[:2], np.uint8)
        # Where the frame has fewer pixels than the grid, the frame's are enough.
        size = min(self.columns, self.width), min(self.rows, self.height)
        mask = as_floats(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
        matte[self._slices] = guided_filter.upsample(mask, np.ascontiguousarray(image[self._slices]))
        return matte

    def point(self, point: Point) -> Point:
        """Map a point of the frame to the grid."""
        x, y = self._on_grid(point.x, point.y)
        return Point(x, y, point.keep)

    def stroke(self, stroke: Stroke) -> Stroke:
        """Map a stroke of the frame to the grid."""
        scale = float(np.sqrt(self.columns / self.width * self.rows / self.height))
        return Stroke(tuple(self._on_grid(x, y) for x, y in stroke.path), stroke.width * scale, stroke.keep)

    def box(self, box: Box) -> Box:
        """Map a box of the frame to the grid."""
        return Box(*self._on_grid(box.x0, box.y0), *self._on_grid(box.x1, box.y1))

    def from_grid(self, box: Box) -> Box:
        """Map a box of the grid to the frame."""
        across, down = self.width / self.columns, self.height / self.rows
        x0, x1 = (self.left + x * across for x in (box.x0, box.x1))
        y0, y1 = (self.top + y * down for y in (box.y0, box.y1))
        return Box(x0, y0, x1, y1)

    def _on_grid(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self.columns / self.width, (y - self.top) * self.rows / self.height

    def contains(self, other: Window) -> bool:
        """Return True if this window contains the other."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.left + self.width >= other.left + other.width
            and self.top + self.height >= other.top + other.height
        )


def around(extent: Box, room: float, size: tuple[int, int], pixels: int) -> Window:
    """Return the window around `extent`, with a margin of `room` times its sides, on a frame of this size.

    Its grid has about `pixels` pixels.
    """
    high, wide = size
    across, down = ((1 + 2 * room) * side for side in (extent.x1 - extent.x0, extent.y1 - extent.y0))
    across, down = max(across, down / _SLIM), max(down, across / _SLIM)
    left, right = _span((extent.x0 + extent.x1) / 2, across, wide)
    top, bottom = _span((extent.y0 + extent.y1) / 2, down, high)
    scale = np.sqrt(pixels / ((right - left) * (bottom - top)))
    columns, rows = (
        max(1, round(float(scale) * length / _STRIDE)) * _STRIDE for length in (right - left, bottom - top)
    )
    return Window(left, top, right - left, bottom - top, columns, rows)


def follow(old: Window, extent: Box, room: float, size: tuple[int, int], pixels: int) -> Window:
    """Return the old window while it fits `extent`; else a new one, as `around`.

    In an unchanged window static parts keep their pixels, and the mask does not jitter.
    """
    close, far = (around(extent, share * room, size, pixels) for share in (0.4, 1.8))
    return old if old.contains(close) and far.contains(old) else around(extent, room, size, pixels)


def whole(size: tuple[int, int], pixels: int) -> Window:
    """Return the window of a whole frame of this height and width."""
    return around(Box(0, 0, size[1], size[0]), 0, size, pixels)


def _span(middle: float, length: float, end: int) -> tuple[int, int]:
    """Return a span about `middle`, within 0 and `end`: shifted inside rather than cut where possible."""
    length = min(max(length, 32), end)
    low = min(max(0.0, middle - length / 2), end - length)
    return int(low), min(end, int(np.ceil(low + length)))


def extent(matte: Matte) -> Box | None:
    """Return the box around a matte's pixels above 127, without specks; None: there are none."""
    height, width = matte.shape
    step = max(1, max(height, width) // 256)
    small = (matte[::step, ::step] > 127).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(small)
    parts = stats[1:]
    if not len(parts):
        return None
    parts = parts[parts[:, cv2.CC_STAT_AREA] >= _PART * parts[:, cv2.CC_STAT_AREA].sum()]
    if not len(parts):
        return None
    corners = parts[:, :2], parts[:, :2] + parts[:, 2:4]
    (x0, y0), (x1, y1) = corners[0].min(0) * step, corners[1].max(0) * step
    return Box(float(x0), float(y0), float(min(x1, width)), float(min(y1, height)))
