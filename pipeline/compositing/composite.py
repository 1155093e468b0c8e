"""Compositing of a frame over a background, or its cut-out with alpha.

Blending uses sRGB values, by the `over` operator of Porter and Duff (1984), as editors and browsers do, so
that a cut-out composited there looks the same as here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline import devices
from pipeline.arrays import DeviceImage, Matte, Pixels
from pipeline.compositing.backdrop import Backdrop, open_backdrop
from pipeline.compositing.background import Background, Transparent
from pipeline.compositing.canvas import multiply_alpha
from pipeline.compositing.despill import despill
from pipeline.compositing.edges import CLEAN, Edges, adjust_edges
from pipeline.compositing.foreground import estimate_foreground
from pipeline.compositing.light import (
    NONE,
    UNSURVEYED,
    FrameLight,
    Light,
    cast_shadow,
    darken,
    join_shades,
    lay_over_shade,
    wrap_light,
)
from pipeline.compositing.match import recolour
from pipeline.languages.messages import Message
from pipeline.video.reading.frames import DeviceFrame, Frame

if TYPE_CHECKING:
    from pipeline.compositing.device_composer import DeviceComposer

_MARGIN = 9
_ROWS = 32
"""Rows blended at a time, so that intermediate arrays stay in the processor's cache."""


class Composer:
    """Compositor of frames of one size over a background; quickest if times ascend."""

    def __init__(self, backdrop: Backdrop | None, edges: Edges, light: Light = NONE) -> None:
        """Composite over `backdrop`; None: cut out the subject with alpha."""
        self._backdrop = backdrop
        self._edges = edges
        self._light = light
        self._on_device: DeviceComposer | None = None
        self._device_full = False

    def __call__(
        self,
        image: Pixels,
        matte: Matte,
        seconds: float,
        own_alpha: Matte | None = None,
        surveyed: FrameLight = UNSURVEYED,
    ) -> Pixels:
        """Return `[H, W, 3]` RGB, or `[H, W, 4]` straight RGBA without a backdrop, of the image's dtype.

        `image` is `[H, W, 3]`, uint8 or uint16; `matte` is `[H, W]`, uint8. `own_alpha` (`[H, W]`, uint8) is
        the alpha of the image itself: its transparent parts are left out. None: it is opaque. `surveyed` is
        what a survey of the clip knows of the frame's light.
        """
        alpha = multiply_alpha(adjust_edges(matte, self._edges), own_alpha)
        near = alpha if self._backdrop is not None else _dilate(alpha)
        subject = estimate_foreground(image, matte, near, own_alpha) if self._edges.clean else image
        if self._edges.despill != "none":
            subject = despill(subject, self._edges.despill)
        if surveyed.subject is not None:
            subject = recolour(subject, surveyed.subject)
        drawn = None if self._light.shadow is None else cast_shadow(alpha, self._light.shadow)
        shade = join_shades(drawn, surveyed.shade)
        if self._backdrop is None:
            cut = cut_out(subject, alpha)
            return cut if shade is None else lay_over_shade(cut, shade)
        behind = self._backdrop.render(image, matte, seconds, own_alpha)
        if surveyed.behind is not None:
            behind = recolour(behind, surveyed.behind)
        if shade is not None:
            behind = darken(behind, shade)
        if self._light.wrap:
            subject = wrap_light(subject, alpha, behind, self._light.wrap)
        return over(subject, alpha, behind)

    def composite(
        self, frame: Frame, matte: Matte, seconds: float, surveyed: FrameLight = UNSURVEYED
    ) -> Pixels | DeviceImage:
        """Composite a frame where it is: as `__call__`, or on its device as `DeviceComposer.__call__`.

        Where the device's memory is too small, frames are composited on the host from then on, and a note
        says so.
        """
        if isinstance(frame, DeviceFrame) and not self._device_full:
            from pipeline.compositing.device_composer import DeviceComposer

            if self._on_device is None:
                self._on_device = DeviceComposer(self._backdrop, self._edges, self._light)
            made = devices.within_memory(partial(self._on_device, frame, matte, seconds, surveyed))
            if made is not None:
                return made
            self._on_device, self._device_full = None, True
        image = frame.image if frame.image16 is None else frame.image16
        return self(image, matte, seconds, frame.alpha, surveyed)

    @property
    def notes(self) -> tuple[Message, ...]:
        """Sentences for the user on deviations from the requested background."""
        notes = () if self._backdrop is None else self._backdrop.notes
        return (*notes, Message("notes.device_full")) if self._device_full else notes

    def close(self) -> None:
        """Close the background's video, if there is one."""
        if self._backdrop is not None:
            self._backdrop.close()


def open_composer(
    background: Background, width: int, height: int, edges: Edges = CLEAN, light: Light = NONE
) -> Composer:
    """Open a compositor for frames of this size in pixels; close it after use.

    Raises BackgroundError if the background cannot be opened.
    """
    behind = None if isinstance(background, Transparent) else open_backdrop(background, width, height)
    return Composer(behind, edges, light)


def over(image: Pixels, matte: Matte, behind: Pixels) -> Pixels:
    """Composite `image` over `behind` by `matte`, rounded to nearest.

    `image` and `behind` are `[H, W, 3]`, both uint8 or both uint16, as is the result; `matte` is `[H, W]`
    uint8.
    """
    depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U
    result = np.empty_like(image)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        alpha = cv2.merge((matte[rows],) * 3)
        # The products and their sum are below 2²⁴: float32 holds them exactly.
        foreground = cv2.multiply(image[rows], alpha, dtype=cv2.CV_32F)
        background = cv2.multiply(behind[rows], cv2.bitwise_not(alpha), dtype=cv2.CV_32F)
        result[rows] = cv2.addWeighted(foreground, 1 / 255, background, 1 / 255, 0, dtype=depth)
    return result


def cut_out(image: Pixels, matte: Matte) -> Pixels:
    """Cut out the subject: return `[H, W, 4]` straight RGBA of the image's dtype, black far from it.

    The removed background must not be in the file under alpha 0; a margin of colour stays so that scaling and
    chroma subsampling at the edge mix the subject's colour and not black.
    """
    colours = cv2.bitwise_and(image, image, mask=_dilate(matte))
    alpha = matte if image.dtype == np.uint8 else matte.astype(np.uint16) * 257
    rgba: Any = cv2.merge((*cv2.split(colours), alpha))
    return np.asarray(rgba)


def _dilate(matte: Matte) -> Matte:
    return np.asarray(cv2.dilate(matte, np.ones((_MARGIN, _MARGIN), np.uint8)), np.uint8)
