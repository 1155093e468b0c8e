"""Writing one video file, with the sound of another if wanted."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
from av.codec.context import Flags
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.arrays import Pixels
from pipeline.files import create_part, move_into_place, remove_part, write_errors
from pipeline.formats import Format, Quality
from pipeline.video.audio.audio_mux import Heard, Sound
from pipeline.video.labels import Labels
from pipeline.video.priority import ordinary
from pipeline.video.webp import unblend
from pipeline.video.writing.encoder_frames import Converter, coverage, depth, padded
from pipeline.video.writing.palette import Paletted
from pipeline.video.writing.timing import Schedule, Shape
from pipeline.video.writing.verify import Content, check, content

# SVT-AV1 tells of itself on standard error, unless it is asked not to.
os.environ.setdefault("SVT_LOG", "0")


class Writer:
    """Writes one video file, beside its final name until it is whole and was checked.

    A context manager: leaving it without an error moves the file into place, with one removes it.
    `sound` begins to be heard at second 0 of the result.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: Shape,
        *,
        alpha: bool = False,
        deep: bool = False,
        sound: Heard | None = None,
        quality: Quality = "high",
        metadata: dict[str, str] | None = None,
        labels: Labels | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._form = form
        self._schedule = Schedule(shape)
        self._waiting: av.VideoFrame | None = None
        self._lasts: dict[int, int] = {}
        """For how long each picture in the encoder is shown, by its pts."""
        self._early: int | None = None
        """How many ticks before its time the first picture is decoded."""
        self._alpha = alpha and form.alpha
        self._coverage: float | None = None
        self._sound: Sound | None = None
        self._size = form.size(shape.width, shape.height)
        self._pixels = form.pixels(alpha=alpha, deep=deep)
        asked = {**form.asked(quality), **(options or {})}
        rate = shape.rate if form.told_rate is None else min(shape.rate, form.told_rate)
        self._framed: Callable[[Pixels], av.VideoFrame]
        if form.codec == "gif":
            self._framed = Paletted(int(asked.pop("colours")))
        else:
            self._framed = Converter(self._pixels)
        self._part = create_part(path)
        try:
            with write_errors(path.name):
                self._out = av.open(
                    os.fspath(self._part),
                    "w",
                    format=form.container,
                    container_options=dict(form.container_options),
                )
                self._out.metadata.update(metadata or {})
                if labels is not None:
                    labels.put(self._out, shape.rate)
                self._stream = self._out.add_stream(cast(Any, form.codec), rate=rate, options=asked)
                self._stream.width, self._stream.height = self._size
                self._stream.pix_fmt = self._pixels
                context = self._stream.codec_context
                self._stream.time_base = context.time_base = shape.time_base
                context.flags |= Flags.frame_duration  # else they are passed over
                if form.tag is not None:
                    context.codec_tag = form.tag
                if self._pixels.startswith(("yuv", "p01")):
                    context.colorspace = Colorspace.ITU709
                    context.color_primaries = context.color_trc = 1  # BT.709, as its frames are tagged
                    context.color_range = ColorRange.MPEG
                if sound is not None and form.sound_codec is not None:
                    self._sound = Sound.open(sound, self._out, form)
                    self.notes += self._sound.notes
        except BaseException:
            self._abandon()
            raise

    def write(self, image: Pixels, pts: int) -> None:
        """Add `[H, W, 3]` RGB, `[H, W, 4]` RGBA (straight alpha) or `[H, W]` grey at `pts` ticks."""
        if self._alpha and not len(self._schedule):
            self._coverage = coverage(image, hard=self._pixels == "pal8")
        with write_errors(self.path.name):
            frame = self._framed(padded(image, *self._size))
        if self._waiting is not None:
            self._show(self._waiting, self._schedule.at(pts) - cast(int, self._waiting.pts))
        frame.pts, frame.time_base = self._schedule.add(pts), self._schedule.tick
        self._waiting = frame

    def _show(self, frame: av.VideoFrame, lasts: int) -> None:
        """Encode a picture, and again where it lasts longer than the format can say."""
        longest = lasts if self._form.longest is None else int(self._form.longest / self._schedule.tick)
        while lasts > longest:
            self._encode(frame, longest)
            lasts -= longest
            frame.pts = self._schedule.again(longest)
        self._encode(frame, lasts)

    def _encode(self, frame: av.VideoFrame, lasts: int) -> None:
        frame.duration = self._lasts[cast(int, frame.pts)] = lasts
        with write_errors(self.path.name):
            if not self._stream.codec_context.is_open:
                with ordinary():
                    self._stream.codec_context.open()
            if self._sound is not None:
                self._sound.mux(until=cast(int, frame.pts) * self._schedule.tick)
            self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        if packets and self._early is None:
            self._early = cast(int, packets[0].pts) - cast(int, packets[0].dts)
        for packet in packets:
            # Encoders forget it, or say something of their own; a muxer that has nothing makes something up,
            # as it does of what its clock rounds to nothing.
            lasts = self._lasts.pop(cast(int, packet.pts), packet.duration or 0)
            packet.duration = max(lasts, math.ceil(self._stream.time_base / packet.time_base))
        self._out.mux(packets)

    def _ended(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        """The last packets, whose lengths make up the whole.

        MP4 adds up how long packets last in the order of decoding, and the last one decoded need not be the
        last one shown, nor last as long.
        """
        if len(self._schedule) < 3:  # x265 does not say when so few are decoded
            for packet in packets:
                packet.dts = packet.pts
        if packets:
            first, last = packets[0], packets[-1]
            pts, dts = cast(int, last.pts), cast(int, last.dts)
            early = cast(int, first.pts) - cast(int, first.dts) if self._early is None else self._early
            end = round(self._schedule.end / last.time_base)
            last.dts = min(pts, max(dts, pts - early))
            last.duration = self._lasts[pts] = end - early - last.dts
        return packets

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
                self._finish()
                move_into_place(self._part, self.path)
        except BaseException:
            self._abandon()
            raise

    def _finish(self) -> None:
        if self._waiting is not None:
            self._show(self._waiting, self._schedule.lasts)
        self._mux(self._ended(self._stream.encode(None)))
        if self._sound is not None:
            self._sound.mux(until=None)
            self._sound.close()
        self._out.close()
        if self._form.container == "webp":
            unblend(self._part)
        if len(self._schedule):
            check(self.path.name, self._promised(), content(self._part, self._form))

    def _promised(self) -> Content:
        return Content(
            codec=self._stream.codec_context.codec.canonical_name,
            size=self._size,
            depth=depth(self._pixels),
            times=self._schedule.seconds,
            lasts=self._schedule.end,
            coverage=self._coverage,
            tracks=0 if self._sound is None else self._sound.tracks,
        )

    def _abandon(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if hasattr(self, "_out"):
            with suppress(OSError, av.error.FFmpegError):  # a full disk refuses the trailer too
                self._out.close()
        remove_part(self._part)
