"""The kinds of array that go from one package to another, each defined once.

Rows before columns, origin at the top left; colours are RGB, never BGR. Unless it says otherwise an array is
contiguous and is not modified once it has been passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Image = NDArray[np.uint8]
"""One frame in 8 bits: `[H, W, 3]`, RGB, full range, 0 to 255."""

Image16 = NDArray[np.uint16]
"""One frame in 16 bits: `[H, W, 3]`, RGB, full range, 0 to 65535."""

Pixels = Image | Image16
"""An image in either depth, over the whole range of its dtype: `[H, W, 3]` RGB, `[H, W, 4]` RGB with straight
alpha, or `[H, W]` grey."""

Grey = NDArray[np.uint8]
"""The brightness of a frame: `[H, W]`, 0 to 255."""

Matte = NDArray[np.uint8]
"""One alpha image: `[H, W]`, 0 (background) to 255 (subject)."""

ClassMap = NDArray[np.uint8]
"""The class of each pixel: `[H, W]`, an index into `pipeline.models.classes.ALL`, 0 for the background."""

Mask = NDArray[np.bool_]
"""A region: `[H, W]`, True inside."""

ByteMask = NDArray[np.uint8]
"""A region in the form that OpenCV takes: `[H, W]`, 0 outside, not 0 (mostly 1) inside."""

Floats = NDArray[np.float32]
"""Any float32 array; shape and range are in the docstring of the function that takes or returns it."""

Flow = NDArray[np.float32]
"""Optical flow: `[H, W, 2]`, pixels, x before y, from the grid that it is stored on."""

Homography = NDArray[np.float64]
"""A projective map of the plane: `[3, 3]`, for columns `(x, y, 1)` in pixels."""

DeviceImage: TypeAlias = "torch.Tensor"
"""One frame on a device: `[3, H, W]`, RGB, uint8 or uint16 over the whole range of its dtype."""

DeviceMatte: TypeAlias = "torch.Tensor"
"""One alpha image on a device: `[H, W]`, uint8, 0 (background) to 255 (subject)."""


def as_floats(array: Any) -> Floats:
    """Return `array` as float32, without a copy where it is that already.

    For the results of OpenCV's functions, too, which are typed as arrays of anything.
    """
    return np.asarray(array, np.float32)
