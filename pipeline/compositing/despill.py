"""Removal of the light that a green or blue screen casts on the subject."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np

from pipeline.arrays import Pixels

_CHANNELS = {"green": 1, "blue": 2}
_LUMA = (0.2126, 0.7152, 0.0722)


def despill(image: Pixels, screen: Literal["green", "blue"]) -> Pixels:
    """Remove screen spill: limit the screen's channel to the mean of the other two.

    `image` is `[H, W, 3]` RGB, uint8 or uint16, as is the result. The removed amount is added to all channels
    by the luma weight (ITU-R BT.709), so that nothing gets darker; grey stays grey.
    """
    channel = _CHANNELS[screen]
    planes = list(cv2.split(image))
    first, second = (plane for n, plane in enumerate(planes) if n != channel)
    spill = cv2.subtract(planes[channel], cv2.addWeighted(first, 0.5, second, 0.5, 0))  # never below 0
    planes[channel] = cv2.subtract(planes[channel], spill)
    result: Any = cv2.merge([cv2.addWeighted(plane, 1, spill, _LUMA[channel], 0) for plane in planes])
    return np.asarray(result)
