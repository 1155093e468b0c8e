"""The sound tracks of a video as they are heard: their packets, or their samples without a gap."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from pipeline.video.av_errors import read_errors
from pipeline.video.reading.frame_index import load_index
from pipeline.video.reading.source import DAMAGED, Source

# Seconds by which a seek aims too early, since containers lay sound down beside pictures of another time.
_SEEK_MARGIN = 2
# Packets before the first that is heard, by which any decoder has come into step.
PREROLL_PACKETS = 16
# Seconds by which a decoder may be late with what it was fed.
_DECODER_DELAY = Fraction(1, 4)
# Sound whose time lies this far (in seconds) beside the end of the sound before it comes after a gap; what
# lies nearer is a rounding. Less than what lips and voice may differ by unnoticed (ITU-R BT.1359).
_GAP = Fraction(1, 25)
# Where the times run away from the samples slowly, as a recorder's clocks do, by more than this (in seconds),
# the samples are stretched after them.
_DRIFT = Fraction(1, 200)
_DTYPES = {"flt": np.float32, "s16": np.int16, "s32": np.int32, "dbl": np.float64}

# PyAV frees a layout of channels in an order of their own once too often, which ends the process; these are
# never freed. They are few and small.
_KEPT_LAYOUTS: list[av.AudioLayout] = []

_Block = tuple[Fraction | None, NDArray[Any]]


@dataclass(frozen=True)
class AudioRange:
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


@dataclass(frozen=True)
class AudioPacket:
    """A packet of sound; `begin` and `length` are seconds, from where hearing starts."""

    begin: Fraction
    length: Fraction
    packet: Packet[AudioStream]

    @property
    def end(self) -> Fraction:
        return self.begin + self.length


@dataclass(frozen=True)
class SampleFormat:
    """What samples are turned into: FFmpeg's names of a packed sample format and of a layout, and Hz."""

    format: str
    layout: str
    rate: int

    @property
    def channels(self) -> int:
        return av.AudioLayout(self.layout).nb_channels

    def silence(self, length: int) -> Iterator[NDArray[Any]]:
        """`length` samples in blocks of a second."""
        for begin in range(0, length, self.rate):
            yield np.zeros((min(self.rate, length - begin), self.channels), _DTYPES[self.format])


def audio_streams(source: Source) -> list[AudioStream]:
    """The sound tracks of a video, to be got here alone.

    Of channels in an order of their own only the number is kept.
    """
    tracks = list(source.container.streams.audio)
    for track in tracks:
        if track.codec_context:
            layout = track.codec_context.layout
            if " channels (" in layout.name:
                _KEPT_LAYOUTS.append(layout)
                track.codec_context.layout = f"{layout.nb_channels} channels"
    return tracks


def read_packets(wanted: AudioRange, track: int, lead: int = 0) -> Generator[AudioPacket, None, None]:
    """The packets of a track that are heard, once through, and up to `lead` before the first of them."""
    start, end = (wanted.start, wanted.end) if wanted.repeat is None else (Fraction(0), wanted.repeat)
    with _open_track(wanted.path, track, start) as (_, timed):
        yield from _select_packets(timed, None if end is None else end - start, lead)


def read_samples(wanted: AudioRange, track: int, target: SampleFormat) -> Iterator[NDArray[Any]]:
    """What is heard of a track, as arrays `[n, channels]` that follow one another without a gap."""
    if wanted.repeat is None or wanted.end is None:
        length = None if wanted.end is None else round((wanted.end - wanted.start) * target.rate)
        yield from _align_samples(
            _decode(wanted.path, track, wanted.start, wanted.end, target), target, length
        )
        return
    begin = wanted.start
    while begin < wanted.end:
        turn = begin // wanted.repeat * wanted.repeat
        past = min(turn + wanted.repeat, wanted.end)
        # Each turn begins at the sample that is next to its time, so that no rounding adds up.
        length = round((past - wanted.start) * target.rate) - round((begin - wanted.start) * target.rate)
        decoded = _decode(wanted.path, track, begin - turn, past - turn, target)
        yield from _align_samples(decoded, target, length, pad=True)
        begin = past


def _align_samples(
    decoded: Iterator[_Block], target: SampleFormat, length: int | None, pad: bool = False
) -> Iterator[NDArray[Any]]:
    """Samples where their time says: what lies before 0 or behind `length` is cut, a gap is silence."""
    written = reached = 0
    drift = 0.0
    for begin, block in decoded:
        if begin is not None:
            beside = round(begin * target.rate) - reached
            if not written or abs(beside) > _GAP * target.rate:
                reached, drift = reached + beside, 0.0
            else:
                drift += (beside - drift) * min(1, len(block) / target.rate)
                if abs(drift) > _DRIFT * target.rate:
                    block = _stretch(block, drift)
        at, reached = reached, reached + len(block)
        if length is not None:
            at, block = min(at, length), block[: max(0, length - at)]
        if reached <= 0:
            continue
        yield from target.silence(at - written)
        written = max(written, at)
        block = block[written - at :]
        if len(block):
            yield block
            written += len(block)
    if pad:
        yield from target.silence((length or 0) - written)


def _stretch(block: NDArray[Any], by: float) -> NDArray[Any]:
    """`block` longer by `by` samples, or by as many as nobody hears."""
    length = len(block)
    most = max(1, length // 200)
    places = np.linspace(0, length - 1, length + round(max(-most, min(most, by))))
    return np.stack([np.interp(places, np.arange(length), row) for row in block.T], axis=1).astype(
        block.dtype
    )


def _decode(
    path: Path, track: int, start: Fraction, end: Fraction | None, target: SampleFormat
) -> Iterator[_Block]:
    """What a track's packets decode to, and when it begins in seconds from `start`, where that is known."""
    zero = _first_frame_time(path) + start
    with _open_track(path, track, start) as (stream, timed):
        turned, like = None, None
        for frame in _decode_frames(
            stream,
            _select_packets(timed, None if end is None else end - start + _DECODER_DELAY, PREROLL_PACKETS),
        ):
            shape = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
            if turned is not None and shape != like:  # broadcasts change between stereo and 5.1 on the way
                yield from _resample(turned, None, zero, target.channels)
                turned = None
            if frame is not None:
                turned = turned or AudioResampler(target.format, target.layout, target.rate)
                like = shape
                yield from _resample(turned, frame, zero, target.channels)


def _decode_frames(stream: AudioStream, packets: Iterator[AudioPacket]) -> Iterator[AudioFrame | None]:
    """The frames of sound, without those that are damaged; None is the end of them."""
    for piece in packets:
        with suppress(*DAMAGED):
            yield from stream.decode(piece.packet)
    with suppress(*DAMAGED):
        yield from stream.decode(None)
    yield None


def _resample(
    resampler: AudioResampler, frame: AudioFrame | None, zero: Fraction, channels: int
) -> Iterator[_Block]:
    for part in resampler.resample(frame):
        begin = None
        if part.pts is not None and part.time_base is not None:
            begin = part.pts * part.time_base - zero
        yield begin, part.to_ndarray().reshape(-1, channels)


def _select_packets(
    timed: Iterator[AudioPacket], seconds: Fraction | None, lead: int
) -> Iterator[AudioPacket]:
    """The pieces that sound between 0 and `seconds`, and up to `lead` before the first of them."""
    before: deque[AudioPacket] = deque(maxlen=lead)
    for piece in timed:
        if seconds is not None and piece.begin >= seconds:
            return
        if piece.begin < 0 and piece.end <= 0:
            before.append(piece)
            continue
        yield from before
        before.clear()
        yield piece


@contextmanager
def _open_track(
    path: Path, track: int, start: Fraction
) -> Iterator[tuple[AudioStream, Iterator[AudioPacket]]]:
    """A track and its pieces from `start` or before on, on a clock that begins there."""
    zero = _first_frame_time(path) + start
    if start > _SEEK_MARGIN:
        with Source(path) as source, read_errors(source.name):
            stream = audio_streams(source)[track]
            found = _demux_packets(source, stream, zero, seek=True)
            first = next(found, None)
            # Where the container's own index is wrong or missing, read from the start instead.
            if first is not None and first.begin <= 0:
                yield stream, chain([first], found)
                return
    with Source(path) as source, read_errors(source.name):
        stream = audio_streams(source)[track]
        yield stream, _demux_packets(source, stream, zero)


def _demux_packets(
    source: Source, stream: AudioStream, zero: Fraction, seek: bool = False
) -> Iterator[AudioPacket]:
    if seek:
        with suppress(av.error.FFmpegError):
            source.container.seek(int((zero - _SEEK_MARGIN) * av.time_base), backward=True)
    for other in source.container.streams:
        if other is not stream:
            other.discard = Discard.all
    tick = Fraction(stream.time_base or Fraction(1, stream.codec_context.sample_rate))
    here = stream.start_time or round(_first_frame_time(source.path) / tick)
    with suppress(*DAMAGED):
        for packet in source.container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                packet.pts = here if packet.dts is None else packet.dts
            here = packet.pts + (packet.duration or 0)
            yield AudioPacket(packet.pts * tick - zero, (packet.duration or 0) * tick, packet)


def _first_frame_time(path: Path) -> Fraction:
    """When the first picture is shown, on the container's clock."""
    times = load_index(path)
    return times.origin * times.tick
