"""Encoder of OpenEXR pictures."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

_STRAIGHT = {
    "comments": "Straight alpha: colours are not multiplied by it.",
    "oiio:UnassociatedAlpha": 1,  # OpenImageIO's name of it; OpenEXR has no attribute for this
}

_UNNAMEABLE = re.compile(r"\W", re.ASCII)
"""Letters that not every program takes in the name of a layer."""

_THREADS = 4
"""Number of frames that are encoded at a time: OpenEXR releases Python's lock while it compresses."""

_ROWS = 64
"""Rows converted at a time, so that floats take little memory."""


class ExrEncoder:
    """Encoder of frames as OpenEXR pictures: half floats of linear light, compressed by ZIP.

    Light is what a display shows of the frame (`srgb_to_light`), with the primaries of BT.709, which the
    header states; 1 is white. Colours are multiplied by their alpha, as OpenEXR defines it, or straight, and
    then the header says so. Mattes of objects are the alpha of layers of their own.
    """

    depth = 16

    def __init__(self, rate: Fraction, layers: Sequence[str] = (), straight: bool = False) -> None:
        """Write `rate`, in frames a second, to the headers; `layers` name the mattes behind the colours.

        `straight`: colours are not multiplied by their alpha.
        """
        self._straight = straight
        self._layers = [f"object{_UNNAMEABLE.sub('_', name)}.A" for name in layers]
        self._header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "chromaticities": _BT709,
            "framesPerSecond": rate.limit_denominator(_MOST // max(1, int(rate) + 1)),
            **(_STRAIGHT if straight else {}),
        }
        self._curves = {kind: _tabulate(kind) for kind in (np.uint8, np.uint16)}
        self._threads = ThreadPoolExecutor(_THREADS, "exr")
        self._waiting: deque[Future[bytes]] = deque()

    def encode(self, image: Pixels, pts: int) -> Iterable[bytes]:
        """Take `[H, W, C]`, uint8 or uint16; return files that are done.

        The channels are RGB or straight RGBA, and the mattes of the layers.
        """
        self._waiting.append(self._threads.submit(self._encode, image.copy()))
        return self._take(but=_THREADS)

    def flush(self) -> Iterable[bytes]:
        """Return the files that are not returned yet."""
        return self._take()

    def _take(self, but: int = 0) -> Iterator[bytes]:
        """Wait for the oldest files and yield them, but for so many."""
        while len(self._waiting) > but:
            yield self._waiting.popleft().result()

    def close(self) -> None:
        """Give up the frames that are still being encoded."""
        self._threads.shutdown(cancel_futures=True)

    def _encode(self, image: Pixels) -> bytes:
        colours = image.shape[2] - len(self._layers)
        names = "RGBA"[:colours]
        half = np.empty((*image.shape[:2], colours), np.float16)
        curve, most = self._curves[image.dtype.type], np.float32(np.iinfo(image.dtype).max)
        for top in range(0, len(image), _ROWS):
            rows, into = image[top : top + _ROWS], half[top : top + _ROWS]
            light = np.take(curve, rows[..., :3])
            if colours == 4:
                alpha = rows[..., 3:4] / most
                if not self._straight:
                    light *= alpha
                into[..., 3:] = alpha
            into[..., :3] = light
        mattes = {
            name: (image[..., number] / most).astype(np.float16)
            for number, name in enumerate(self._layers, colours)
        }
        data = io.BytesIO()
        OpenEXR.File(dict(self._header), {names: half, **mattes}).write(data)
        return data.getvalue()

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Decode a written file by FFmpeg: `[H, W, 3]` or `[H, W, 4]`; raises RunError if that fails."""
        decoder = VideoCodecContext.create("exr", "r")
        for frame in [*decoder.decode(Packet(data)), *decoder.decode(None)]:
            alpha = any(part.is_alpha for part in frame.format.components)
            planes = frame.reformat(format="gbrapf32le" if alpha else "gbrpf32le")
            return cast(NDArray[np.float32], planes.to_ndarray())
        raise RunError("writing.first_picture")


def _tabulate(kind: type[np.uint8 | np.uint16]) -> NDArray[np.float32]:
    """Return the light of each sample of this type."""
    return srgb_to_light(np.linspace(0, 1, np.iinfo(kind).max + 1)).astype(np.float32)
