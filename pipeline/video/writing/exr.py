"""Encoder of OpenEXR pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import numpy as np
import OpenEXR
from av import Packet, VideoCodecContext
from numpy.typing import NDArray

from pipeline.arrays import Pixels
from pipeline.errors import RunError
from pipeline.video.colour.tonemap import PRIMARIES, WHITE_POINT, srgb_to_light

_BT709 = (*(part for colour in PRIMARIES[1] for part in colour), *WHITE_POINT)
_MOST = 2**31 - 1
"""Largest numerator and denominator of a rational attribute."""


class ExrEncoder:
    """Encoder of frames as OpenEXR pictures: half floats of linear light, compressed by ZIP.

    Light is what a display shows of the frame (`srgb_to_light`), with the primaries of BT.709, which the
    header states; 1 is white. Colours are multiplied by their alpha, as OpenEXR defines it.
    """

    depth = 16

    def __init__(self, rate: Fraction) -> None:
        """Write `rate`, in frames a second, to the headers."""
        self._header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "chromaticities": _BT709,
            "framesPerSecond": rate.limit_denominator(_MOST // max(1, int(rate) + 1)),
        }
        self._curves: dict[int, NDArray[np.float32]] = {}

    def encode(self, image: Pixels, pts: int) -> Iterable[bytes]:
        """Return the file of `[H, W, 3]` RGB or `[H, W, 4]` straight RGBA, uint8 or uint16."""
        light = np.take(self._curve(image), image[..., :3])
        names, channels = "RGB", light
        if image.shape[2] == 4:
            alpha = image[..., 3:] / np.float32(np.iinfo(image.dtype).max)
            names, channels = "RGBA", np.concatenate((light * alpha, alpha), axis=2)
        data = io.BytesIO()
        OpenEXR.File(dict(self._header), {names: channels.astype(np.float16)}).write(data)
        return (data.getvalue(),)

    def flush(self) -> Iterable[bytes]:
        """Return the files that are not written yet: none."""
        return ()

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Decode a written file by FFmpeg: `[H, W, 3]` or `[H, W, 4]`; raises RunError if that fails."""
        decoder = VideoCodecContext.create("exr", "r")
        for frame in [*decoder.decode(Packet(data)), *decoder.decode(None)]:
            alpha = any(part.is_alpha for part in frame.format.components)
            planes = frame.reformat(format="gbrapf32le" if alpha else "gbrpf32le")
            return cast(NDArray[np.float32], planes.to_ndarray())
        raise RunError("writing.first_picture")

    def _curve(self, image: Pixels) -> NDArray[np.float32]:
        """Return the light of each sample of the image's type."""
        count = np.iinfo(image.dtype).max + 1
        if count not in self._curves:
            self._curves[count] = srgb_to_light(np.linspace(0, 1, count)).astype(np.float32)
        return self._curves[count]
