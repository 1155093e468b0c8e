"""Writing of a video file, optionally with the audio of another."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.arrays import DeviceImage, Pixels
from pipeline.files import create_part, move_into_place, remove_part, write_errors
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.audio.audio_mux import AudioMuxer, AudioRange
from pipeline.video.hardware import takes_card_frames
from pipeline.video.labels import Labels
from pipeline.video.priority import drop_realtime_priority
from pipeline.video.webp import disable_blending
from pipeline.video.writing.encoder_frames import FrameConverter, bit_depth, mean_alpha, pad_image, to_host
from pipeline.video.writing.palette import PaletteConverter
from pipeline.video.writing.timing import StreamSpec, Timeline
from pipeline.video.writing.verify import Content, read_content, verify_content

if TYPE_CHECKING:
    from pipeline.video.device.writing import DeviceFrameConverter


class Writer:
    """Writer of one video file, under a temporary name until it is complete and verified.

    A context manager: on success the file is moved into place, after an error removed. `sound` starts at
    second 0 of the result.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        shape: StreamSpec,
        *,
        alpha: bool = False,
        high_bit_depth: bool = False,
        sound: AudioRange | None = None,
        quality: Quality = "high",
        metadata: dict[str, str] | None = None,
        labels: Labels | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.notes: tuple[Message, ...] = ()
        self._form = form
        self._timeline = Timeline(shape)
        self._waiting: av.VideoFrame | None = None
        self._durations: dict[int, int] = {}
        """Duration of each frame in the encoder, by its pts, in ticks."""
        self._decode_lead: int | None = None
        """Ticks that the first packet's dts is before its pts."""
        self._alpha = alpha and form.alpha
        self._mean_alpha: float | None = None
        self._sound: AudioMuxer | None = None
        self._size = form.padded_size(shape.width, shape.height)
        self._pixels = form.choose_pixel_format(alpha=alpha, high_bit_depth=high_bit_depth)
        codec_options = {**form.codec_options(quality), **(options or {})}
        rate = shape.rate if form.max_encoder_rate is None else min(shape.rate, form.max_encoder_rate)
        self._to_frame: Callable[[Pixels], av.VideoFrame]
        if form.codec == "gif":
            self._to_frame = PaletteConverter(int(codec_options.pop("colours")))
        else:
            self._to_frame = FrameConverter(self._pixels)
        self._from_device: DeviceFrameConverter | None = None
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
                    labels.write_to(self._out, shape.rate)
                self._stream = self._out.add_stream(cast(Any, form.codec), rate=rate, options=codec_options)
                self._stream.width, self._stream.height = self._size
                self._stream.pix_fmt = self._pixels
                context = self._stream.codec_context
                self._stream.time_base = context.time_base = shape.time_base
                context.flags |= Flags.frame_duration  # otherwise frame durations are ignored
                if form.codec_tag is not None:
                    context.codec_tag = form.codec_tag
                if self._pixels.startswith(("yuv", "p01")):
                    context.colorspace = Colorspace.ITU709
                    context.color_primaries = context.color_trc = 1  # BT.709, as its frames are tagged
                    context.color_range = ColorRange.MPEG
                if sound is not None and form.sound_codec is not None:
                    self._sound = AudioMuxer.open(sound, self._out, form)
                    self.notes += self._sound.notes
        except BaseException:
            self._abandon()
            raise

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 3]` RGB, `[H, W, 4]` RGBA (straight alpha) or `[H, W]` grey at `pts` ticks.

        Or `[3, H, W]` or `[4, H, W]` on a device: it is converted there, if the pixel format is known there.
        """
        with write_errors(self.path.name):
            frame = self._convert(image)
        if self._waiting is not None:
            self._encode_for(self._waiting, self._timeline.ticks_at(pts) - cast(int, self._waiting.pts))
        frame.pts, frame.time_base = self._timeline.add(pts), self._timeline.tick
        self._waiting = frame

    def _convert(self, image: Pixels | DeviceImage) -> av.VideoFrame:
        first = not len(self._timeline)
        if not isinstance(image, np.ndarray):
            if first and tuple(image.shape[1:]) == self._size[::-1]:
                self._from_device = self._create_device_converter(image)
            if self._alpha and first:
                self._mean_alpha = mean_alpha(to_host(image))
            if self._from_device is not None:
                if (frame := self._from_device(image)) is not None:
                    return frame
                self._from_device = None
                self.notes += (Message("notes.device_full"),)
            image = to_host(image)
        if self._alpha and first:
            self._mean_alpha = mean_alpha(image, hard=self._pixels == "pal8")
        return self._to_frame(pad_image(image, *self._size))

    def _create_device_converter(self, image: DeviceImage) -> DeviceFrameConverter | None:
        """Return a converter of frames on a device; None: there is none to this pixel format."""
        from pipeline.video.device import writing

        if not writing.converts(self._pixels, image):
            return None
        on_card = writing.stays_on_card(self._pixels, image.device) and takes_card_frames(
            self._form, self._pixels, *self._size, image.device.index or 0
        )
        if on_card:
            self._stream.pix_fmt = "cuda"
        return writing.DeviceFrameConverter(self._pixels, on_card)

    def _encode_for(self, frame: av.VideoFrame, duration: int) -> None:
        """Encode a frame, repeatedly if it lasts longer than the format's longest frame duration."""
        longest = (
            duration
            if self._form.max_frame_duration is None
            else int(self._form.max_frame_duration / self._timeline.tick)
        )
        while duration > longest:
            self._encode(frame, longest)
            duration -= longest
            frame.pts = self._timeline.repeat_last(longest)
        self._encode(frame, duration)

    def _encode(self, frame: av.VideoFrame, duration: int) -> None:
        frame.duration = self._durations[cast(int, frame.pts)] = duration
        with write_errors(self.path.name):
            if not self._stream.codec_context.is_open and frame.sw_format is None:
                with drop_realtime_priority():
                    self._stream.codec_context.open()  # with frames of a card, its first one opens it
            if self._sound is not None:
                self._sound.mux(until=cast(int, frame.pts) * self._timeline.tick)
            self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        if packets and self._decode_lead is None:
            self._decode_lead = cast(int, packets[0].pts) - cast(int, packets[0].dts)
        for packet in packets:
            # Encoders drop or change the duration; muxers invent one if it is missing or rounds to 0.
            duration = self._durations.pop(cast(int, packet.pts), packet.duration or 0)
            packet.duration = max(duration, math.ceil(self._stream.time_base / packet.time_base))
        self._out.mux(packets)

    def _adjust_last_packets(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        """Adjust the last packets so that durations add up to the total.

        MP4 adds up packet durations in decoding order, and the last packet decoded need not be the last one
        displayed, nor have its duration.
        """
        if len(self._timeline) < 3:  # x265 gives no dts for so few frames
            for packet in packets:
                packet.dts = packet.pts
        if packets:
            first, last = packets[0], packets[-1]
            pts, dts = cast(int, last.pts), cast(int, last.dts)
            early = (
                cast(int, first.pts) - cast(int, first.dts)
                if self._decode_lead is None
                else self._decode_lead
            )
            end = round(self._timeline.end / last.time_base)
            last.dts = min(pts, max(dts, pts - early))
            last.duration = self._durations[pts] = end - early - last.dts
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
            self._encode_for(self._waiting, self._timeline.last_duration)
        self._mux(self._adjust_last_packets(self._stream.encode(None)))
        if self._sound is not None:
            self._sound.mux(until=None)
            self._sound.close()
        self._out.close()
        if self._form.container == "webp":
            disable_blending(self._part)
        if len(self._timeline):
            verify_content(self.path.name, self._expected_content(), read_content(self._part, self._form))

    def _expected_content(self) -> Content:
        return Content(
            codec=self._stream.codec_context.codec.canonical_name,
            size=self._size,
            depth=bit_depth(self._pixels),
            times=self._timeline.start_times,
            duration=self._timeline.end,
            mean_alpha=self._mean_alpha,
            sound_tracks=0 if self._sound is None else self._sound.tracks,
        )

    def _abandon(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if hasattr(self, "_out"):
            with suppress(OSError, av.error.FFmpegError):  # a full disk refuses the trailer too
                self._out.close()
        remove_part(self._part)
