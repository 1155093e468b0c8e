"""Writing one video, with the sound of another if wanted."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.formats import Format
from pipeline.video.border import write_errors
from pipeline.video.sound import Heard, Sound
from pipeline.video.source import CLEAN_SCALING
from pipeline.video.whole import beside, into_place


class Writer:
    """Writes one video, beside its final name until it is whole.

    A context manager: leaving it without an error moves the file into place, with one removes it.
    `start` is the pts of the first frame: second 0 of the result, where `sound` begins to be heard.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        *,
        width: int,
        height: int,
        time_base: Fraction,
        rate: Fraction,
        start: int = 0,
        alpha: bool = False,
        sound: Heard | None = None,
        metadata: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._reformatter = VideoReformatter()
        self._tick = time_base
        self._gap = max(1, round(1 / rate / time_base))
        self._start = start
        self._sound: Sound | None = None
        self._part = beside(path)
        try:
            with write_errors(path.name):
                self._out = av.open(
                    os.fspath(self._part),
                    "w",
                    format=form.container,
                    container_options=dict(form.container_options),
                )
                self._out.metadata.update(metadata or {})
                stream = self._out.add_stream(
                    cast(Any, form.codec), rate=rate, options={**form.options, **(options or {})}
                )
                stream.width = width + width % 2 if form.even else width
                stream.height = height + height % 2 if form.even else height
                self._pad = ((0, stream.height - height), (0, stream.width - width), (0, 0))
                stream.pix_fmt = (form.alpha_pixel_format if alpha else None) or form.pixel_format
                stream.codec_context.time_base = time_base
                stream.time_base = time_base
                if not stream.pix_fmt.startswith("gray"):
                    context = stream.codec_context
                    context.colorspace = Colorspace.ITU709
                    context.color_primaries = context.color_trc = 1  # BT.709, as frames are tagged below
                    context.color_range = ColorRange.MPEG
                self._stream = stream
                if sound is not None and form.sound_codec is not None:
                    self._sound = Sound.open(sound, self._out, form)
        except BaseException:
            self._abandon()
            raise

    def write(self, image: NDArray[np.uint8] | NDArray[np.uint16], pts: int) -> None:
        """Add `[H, W, 3]` RGB, `[H, W, 4]` RGBA (straight alpha) or `[H, W]` grey at `pts` ticks."""
        pts -= self._start
        with write_errors(self.path.name):
            if self._sound is not None:
                self._sound.mux(until=pts * self._tick)
            self._out.mux(self._stream.encode(self._frame(image, pts)))

    def _frame(self, image: NDArray[np.uint8] | NDArray[np.uint16], pts: int) -> av.VideoFrame:
        grey = image.ndim == 2
        if not grey and any(after for _, after in self._pad):
            image = cast(Any, np.pad(image, self._pad, mode="symmetric"))
        kind = "gray" if grey else "rgba" if image.shape[2] == 4 else "rgb24"
        frame = av.VideoFrame.from_ndarray(cast(Any, np.ascontiguousarray(image)), format=kind)
        if not grey:
            frame = self._reformatter.reformat(
                frame,
                format=self._stream.pix_fmt,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=CLEAN_SCALING,
                threads=1,
            )
            frame.color_trc = frame.color_primaries = 1
        frame.pts = pts
        frame.time_base = self._tick
        frame.duration = self._gap
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with write_errors(self.path.name):
                self._out.mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.mux(until=None)
                    self._sound.close()
                self._out.close()
                into_place(self._part, self.path)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if hasattr(self, "_out"):
            with suppress(OSError, av.error.FFmpegError):  # a full disk refuses the trailer too
                self._out.close()
        self._part.unlink(missing_ok=True)
