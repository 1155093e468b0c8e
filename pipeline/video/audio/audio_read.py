"""Audio tracks of a video within a time range: as packets, or as decoded samples without gaps."""

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
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.source import DAMAGED, Source

# Seconds that a seek goes back further, since containers interleave audio with video of another time.
_SEEK_MARGIN = 2
# Packets decoded before the first wanted one, after which any decoder is in sync.
PREROLL_PACKETS = 16
# Decoder delay, in seconds.
_DECODER_DELAY = Fraction(1, 4)
# A timestamp that differs by more than this (in seconds) from the end of the audio before it means a gap;
# less is rounding. Below the detection threshold of lip-sync errors (ITU-R BT.1359).
_GAP = Fraction(1, 25)
# Drift between timestamps and sample count, in seconds, above which samples are stretched to follow.
_DRIFT = Fraction(1, 200)
_DTYPES = {"flt": np.float32, "s16": np.int16, "s32": np.int32, "dbl": np.float64}

# PyAV frees a custom channel layout once too often, which crashes the process; these references keep the few
# that occur alive.
_KEPT_LAYOUTS: list[av.AudioLayout] = []

_Block = tuple[Fraction | None, NDArray[Any]]


@dataclass(frozen=True)
class AudioRange:
    """A time range of a video's audio: from `start` to `end`, in seconds from its first frame.

    With `repeat` the audio starts over every `repeat` seconds and `end` is required; otherwise None for `end`
    means the end of the audio.
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
    """An audio packet; `begin` and `length` in seconds, counted from the start of the range."""

    begin: Fraction
    length: Fraction
    packet: Packet[AudioStream]

    @property
    def end(self) -> Fraction:
        """End of the packet, in seconds from the start of the range."""
        return self.begin + self.length


@dataclass(frozen=True)
class SampleFormat:
    """Target of resampling: FFmpeg's names of a packed sample format and a layout; rate in Hz."""

    format: str
    layout: str
    rate: int

    @property
    def channels(self) -> int:
        """Number of channels of the layout."""
        return av.AudioLayout(self.layout).nb_channels

    def silence(self, length: int) -> Iterator[NDArray[Any]]:
        """Yield `length` zero samples, `[n, channels]`, in blocks of one second."""
        for begin in range(0, length, self.rate):
            yield np.zeros((min(self.rate, length - begin), self.channels), _DTYPES[self.format])


def audio_streams(source: Source) -> list[AudioStream]:
    """Return the audio streams of a video; use this instead of `container.streams.audio`.

    Custom channel layouts are replaced by one that has the number of channels only.
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
    """Yield a track's packets within the range, without repeats, and up to `lead` packets before it."""
    start, end = (wanted.start, wanted.end) if wanted.repeat is None else (Fraction(0), wanted.repeat)
    with _open_track(wanted.path, track, start) as (_, timed):
        yield from _select_packets(timed, None if end is None else end - start, lead)


def read_samples(wanted: AudioRange, track: int, target: SampleFormat) -> Iterator[NDArray[Any]]:
    """Yield a track's samples within the range as contiguous arrays `[n, channels]` in `target`'s type."""
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
    """Place samples by their timestamps: cut before 0 and after `length` samples, fill gaps with silence."""
    written = position = 0
    drift = 0.0
    for begin, block in decoded:
        if begin is not None:
            offset = round(begin * target.rate) - position
            if not written or abs(offset) > _GAP * target.rate:
                position, drift = position + offset, 0.0
            else:
                drift += (offset - drift) * min(1, len(block) / target.rate)
                if abs(drift) > _DRIFT * target.rate:
                    block = _stretch(block, drift)
        at, position = position, position + len(block)
        if length is not None:
            at, block = min(at, length), block[: max(0, length - at)]
        if position <= 0:
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
    """Resample `block` (`[n, channels]`) to be `by` samples longer, limited to an inaudible 0.5 %."""
    length = len(block)
    most = max(1, length // 200)
    places = np.linspace(0, length - 1, length + round(max(-most, min(most, by))))
    return np.stack([np.interp(places, np.arange(length), row) for row in block.T], axis=1).astype(
        block.dtype
    )


def _decode(
    path: Path, track: int, start: Fraction, end: Fraction | None, target: SampleFormat
) -> Iterator[_Block]:
    """Yield decoded blocks and their begin in seconds from `start` (None if unknown)."""
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
    """Yield decoded audio frames, skipping damaged ones; None at the end."""
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
    """Yield the packets between 0 and `seconds`, and up to `lead` packets before the first of them."""
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
    """Open a track and its packets from `start` (seconds) or earlier; packet times count from `start`."""
    zero = _first_frame_time(path) + start
    if start > _SEEK_MARGIN:
        with Source(path) as source, read_errors(source.name):
            stream = audio_streams(source)[track]
            packets = _demux_packets(source, stream, zero, seek=True)
            first = next(packets, None)
            # Where the container's own index is wrong or missing, read from the start instead.
            if first is not None and first.begin <= 0:
                yield stream, chain([first], packets)
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
    """Return the time of the first video frame in seconds by the container's clock."""
    times = load_index(path)
    return times.origin * times.tick
