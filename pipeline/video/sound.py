"""The sound of a video on its way into a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from pipeline.formats import Format
from pipeline.video.border import DAMAGED, read_errors
from pipeline.video.source import Source, codec_name
from pipeline.video.times import index


@dataclass(frozen=True)
class Heard:
    """What is heard of a video: from `start` to `end`, in seconds from its first picture.

    With `repeat` its sound begins again every so many seconds, and `end` is a must; else None for `end` is
    where its sound ends.
    """

    path: Path
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    repeat: Fraction | None = None

    def __post_init__(self) -> None:
        if self.repeat is not None and (self.end is None or self.repeat <= 0):
            raise ValueError("sound that repeats needs a length above 0 to repeat after, and an end")


class Sound:
    """The first sound track of a video on its way into a result, whose second 0 is `Heard.start`."""

    # Sound may run ahead of the picture, which waits in the encoder's look-ahead anyway.
    _LEAD = 1
    # Times that lie this far (in seconds) beside the sound before them are a gap and not a rounding; less
    # than what lips and voice may differ by unnoticed (ITU-R BT.1359).
    _GAP = Fraction(1, 25)

    def __init__(
        self,
        source: Source,
        track: AudioStream,
        out: OutputContainer,
        form: Format,
        heard: Heard,
    ) -> None:
        self.tracks = 1
        self._source = source
        self._tick = Fraction(track.time_base or Fraction(1, track.codec_context.sample_rate))
        # Sound keeps its distance to the first picture.
        times = index(source.path)
        first = times.origin * times.tick
        self._zero = first + heard.start
        self._last = None if heard.end is None else first + heard.end
        self._packets = self._within(track, seek=heard.start > 0)
        self._waiting: Packet[AudioStream] | None = None
        copied = codec_name(track) in form.sound_copied
        self._send = self._copy(track, out) if copied else self._encode(track, out, form)

    @classmethod
    def open(cls, heard: Heard, out: OutputContainer, form: Format) -> Sound | None:
        """None where the video has no sound that can be decoded."""
        source = Source(heard.path)
        try:
            for track in source.container.streams.audio:
                if track.codec_context:
                    return cls(source, track, out, form, heard)
        except BaseException:
            source.close()
            raise
        source.close()
        return None

    def close(self) -> None:
        self._source.close()

    def mux(self, until: Fraction | None) -> None:
        """Pass on what begins up to `until` seconds of the result; None: all the rest."""
        limit = None if until is None else self._zero + until + self._LEAD
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            if limit is not None and cast(int, packet.pts) * self._tick > limit:
                self._waiting = packet
                return
            self._send(packet)
        if limit is None:
            self._send(None)

    def _within(self, track: AudioStream, seek: bool) -> Iterator[Packet[AudioStream]]:
        with read_errors(self._source.name), suppress(*DAMAGED):
            if seek:
                self._source.container.seek(int(self._zero / self._tick), stream=track, backward=True)
            for packet in self._source.container.demux(track):
                if packet.pts is None or not packet.size:
                    continue
                begin = packet.pts * self._tick
                if seek and begin + (packet.duration or 0) * self._tick <= self._zero:
                    continue
                if self._last is not None and begin >= self._last:
                    return
                yield packet

    def _copy(self, track: AudioStream, out: OutputContainer) -> Callable[[Packet[AudioStream] | None], None]:
        stream = out.add_stream_from_template(track)
        offset = round(self._zero / self._tick)

        def send(packet: Packet[AudioStream] | None) -> None:
            if packet is None:
                return
            packet.pts = cast(int, packet.pts) - offset
            packet.dts = packet.pts if packet.dts is None else packet.dts - offset
            packet.stream = stream
            out.mux(packet)

        return send

    def _encode(
        self, track: AudioStream, out: OutputContainer, form: Format
    ) -> Callable[[Packet[AudioStream] | None], None]:
        rate = 48_000 if form.sound_codec == "libopus" else track.codec_context.sample_rate
        layout = "mono" if track.codec_context.layout.nb_channels == 1 else "stereo"
        stream = cast(AudioStream, out.add_stream(cast(Any, form.sound_codec), rate=rate, layout=layout))
        stream.codec_context.bit_rate = 96_000 if layout == "mono" else 160_000
        resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        past = None if self._last is None else round((self._last - self._zero) * rate)
        written = 0

        def add(samples: NDArray[np.float32]) -> None:
            nonlocal written
            block = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
            block.sample_rate, block.time_base, block.pts = rate, Fraction(1, rate), written
            written += samples.shape[1]
            out.mux(stream.encode(block))

        def place(frame: AudioFrame) -> None:
            """Put the samples where their time says: what lies before second 0 is cut, a gap is silence."""
            samples = cast(NDArray[np.float32], frame.to_ndarray())
            at = written
            if frame.pts is not None and frame.time_base is not None:
                exact = frame.pts * frame.time_base - self._zero
                if not written or abs(exact - Fraction(written, rate)) > self._GAP:
                    at = round(exact * rate)
            while written < at and (past is None or written < past):
                add(np.zeros((len(samples), min(at - written, rate)), np.float32))
            samples = samples[:, written - at : None if past is None else max(0, past - at)]
            if samples.shape[1]:
                add(samples)

        def send(packet: Packet[AudioStream] | None) -> None:
            with suppress(*DAMAGED):  # a damaged one leaves a gap
                for frame in track.decode(packet):
                    for part in resampler.resample(frame):
                        place(part)
            if packet is None:
                for part in resampler.resample(None):
                    place(part)
                out.mux(stream.encode(None))

        return send
