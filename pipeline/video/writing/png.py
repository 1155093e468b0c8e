"""Encoder of PNG pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import av
from av.codec.context import CodecContext

from pipeline.arrays import Pixels
from pipeline.formats import Options
from pipeline.video.writing.encoder_frames import FrameConverter, bit_depth
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.verify import decode_image

_THREADS = 4


class PngEncoder:
    """Encoder of frames as PNG pictures, several at a time."""

    def __init__(self, shape: StreamSpec, pixels: str, options: Options) -> None:
        """Encode frames of this size in FFmpeg's pixel format `pixels`."""
        self.depth = bit_depth(pixels)
        self._convert = FrameConverter(pixels)
        self._encoder = cast(Any, CodecContext.create("png", "w"))
        self._encoder.width, self._encoder.height, self._encoder.pix_fmt = shape.width, shape.height, pixels
        self._encoder.time_base = shape.time_base
        self._encoder.options = dict(options)
        self._encoder.thread_type, self._encoder.thread_count = "FRAME", _THREADS

    def encode(self, image: Pixels, pts: int) -> Iterable[memoryview]:
        """Take `[H, W, 3]` RGB or `[H, W, 4]` straight RGBA; return the files that are done."""
        frame = self._convert(image)
        frame.pts, frame.time_base = pts, self._encoder.time_base
        return self._write(frame)

    def flush(self) -> Iterable[memoryview]:
        """Return the files that are not written yet."""
        return self._write(None)

    def close(self) -> None:
        """Nothing is left behind: FFmpeg ends its threads with the encoder."""

    def decode(self, data: bytes) -> Pixels:
        """Decode a written file: `[H, W, 3]` BGR or `[H, W, 4]` BGRA; raises RunError if that fails."""
        return decode_image(data)

    def _write(self, frame: av.VideoFrame | None) -> Iterable[memoryview]:
        return (memoryview(packet) for packet in self._encoder.encode(frame))
