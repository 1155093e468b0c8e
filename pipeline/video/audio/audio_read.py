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
_RUN_UP = 2
# Packets before the first that is heard, by which any decoder has come into step.
LEAD = 16
# Seconds by which a decoder may be late with what it was fed.
_DELAY = Fraction(1, 4)
# Sound whose time lies this far (in seconds) beside the end of the sound before it comes after a gap; what
# lies nearer is a rounding. Less than what lips and voice may differ by unnoticed (ITU-R BT.1359).
_GAP = Fraction(1, 25)
# Where the times run away from the samples slowly, as a recorder's clocks do, by more than this (in seconds),
# the samples are stretched after them.
_DRIFT = Fraction(1, 200)
_TYPES = {"flt": np.float32, "s16": np.int16, "s32": np.int32, "dbl": np.float64}

# PyAV frees a layout of channels in an order of their own once too often, which ends the process; these are
# never freed. They are few and small.
_UNFREED: list[av.AudioLayout] = []

_Block = tuple[Fraction | None, NDArray[Any]]


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


@dataclass(frozen=True)
class Piece:
    """A packet of sound; `begin` and `length` are seconds, from where hearing starts."""

    begin: Fraction
    length: Fraction
    packet: Packet[AudioStream]

    @property
    def end(self) -> Fraction:
        return self.begin + self.length


@dataclass(frozen=True)
class Kind:
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
            yield np.zeros((min(self.rate, length - begin), self.channels), _TYPES[self.format])


def sound_tracks(source: Source) -> list[AudioStream]:
    """The sound tracks of a video, to be got here alone.

    Of channels in an order of their own only the number is kept.
    """
    tracks = list(source.container.streams.audio)
    for track in tracks:
        if track.codec_context:
            layout = track.codec_context.layout
            if " channels (" in layout.name:
                _UNFREED.append(layout)
                track.codec_context.layout = f"{layout.nb_channels} channels"
    return tracks


def pieces(heard: Heard, track: int, lead: int = 0) -> Generator[Piece, None, None]:
    """The packets of a track that are heard, once through, and up to `lead` before the first of them."""
    start, end = (heard.start, heard.end) if heard.repeat is None else (Fraction(0), heard.repeat)
    with _timed(heard.path, track, start) as (_, timed):
        yield from _within(timed, None if end is None else end - start, lead)


def samples(heard: Heard, track: int, kind: Kind) -> Iterator[NDArray[Any]]:
    """What is heard of a track, as arrays `[n, channels]` that follow one another without a gap."""
    if heard.repeat is None or heard.end is None:
        length = None if heard.end is None else round((heard.end - heard.start) * kind.rate)
        yield from _laid(_decoded(heard.path, track, heard.start, heard.end, kind), kind, length)
        return
    begin = heard.start
    while begin < heard.end:
        turn = begin // heard.repeat * heard.repeat
        past = min(turn + heard.repeat, heard.end)
        # Each turn begins at the sample that is next to its time, so that no rounding adds up.
        length = round((past - heard.start) * kind.rate) - round((begin - heard.start) * kind.rate)
        decoded = _decoded(heard.path, track, begin - turn, past - turn, kind)
        yield from _laid(decoded, kind, length, filled=True)
        begin = past


def _laid(
    decoded: Iterator[_Block], kind: Kind, length: int | None, filled: bool = False
) -> Iterator[NDArray[Any]]:
    """Samples where their time says: what lies before 0 or behind `length` is cut, a gap is silence."""
    written = reached = 0
    drift = 0.0
    for begin, block in decoded:
        if begin is not None:
            beside = round(begin * kind.rate) - reached
            if not written or abs(beside) > _GAP * kind.rate:
                reached, drift = reached + beside, 0.0
            else:
                drift += (beside - drift) * min(1, len(block) / kind.rate)
                if abs(drift) > _DRIFT * kind.rate:
                    block = _stretched(block, drift)
        at, reached = reached, reached + len(block)
        if length is not None:
            at, block = min(at, length), block[: max(0, length - at)]
        if reached <= 0:
            continue
        yield from kind.silence(at - written)
        written = max(written, at)
        block = block[written - at :]
        if len(block):
            yield block
            written += len(block)
    if filled:
        yield from kind.silence((length or 0) - written)


def _stretched(block: NDArray[Any], by: float) -> NDArray[Any]:
    """`block` longer by `by` samples, or by as many as nobody hears."""
    length = len(block)
    most = max(1, length // 200)
    places = np.linspace(0, length - 1, length + round(max(-most, min(most, by))))
    return np.stack([np.interp(places, np.arange(length), row) for row in block.T], axis=1).astype(
        block.dtype
    )


def _decoded(path: Path, track: int, start: Fraction, end: Fraction | None, kind: Kind) -> Iterator[_Block]:
    """What a track's packets decode to, and when it begins in seconds from `start`, where that is known."""
    zero = _zero(path) + start
    with _timed(path, track, start) as (stream, timed):
        turned, like = None, None
        for frame in _frames(stream, _within(timed, None if end is None else end - start + _DELAY, LEAD)):
            shape = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
            if turned is not None and shape != like:  # broadcasts change between stereo and 5.1 on the way
                yield from _parts(turned, None, zero, kind.channels)
                turned = None
            if frame is not None:
                turned = turned or AudioResampler(kind.format, kind.layout, kind.rate)
                like = shape
                yield from _parts(turned, frame, zero, kind.channels)


def _frames(stream: AudioStream, packets: Iterator[Piece]) -> Iterator[AudioFrame | None]:
    """The frames of sound, without those that are damaged; None is the end of them."""
    for piece in packets:
        with suppress(*DAMAGED):
            yield from stream.decode(piece.packet)
    with suppress(*DAMAGED):
        yield from stream.decode(None)
    yield None


def _parts(
    resampler: AudioResampler, frame: AudioFrame | None, zero: Fraction, channels: int
) -> Iterator[_Block]:
    for part in resampler.resample(frame):
        begin = None
        if part.pts is not None and part.time_base is not None:
            begin = part.pts * part.time_base - zero
        yield begin, part.to_ndarray().reshape(-1, channels)


def _within(timed: Iterator[Piece], seconds: Fraction | None, lead: int) -> Iterator[Piece]:
    """The pieces that sound between 0 and `seconds`, and up to `lead` before the first of them."""
    before: deque[Piece] = deque(maxlen=lead)
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
def _timed(path: Path, track: int, start: Fraction) -> Iterator[tuple[AudioStream, Iterator[Piece]]]:
    """A track and its pieces from `start` or before on, on a clock that begins there."""
    zero = _zero(path) + start
    if start > _RUN_UP:
        with Source(path) as source, read_errors(source.name):
            stream = sound_tracks(source)[track]
            found = _pieces(source, stream, zero, sought=True)
            first = next(found, None)
            # Where the container's own index is wrong or missing, read from the start instead.
            if first is not None and first.begin <= 0:
                yield stream, chain([first], found)
                return
    with Source(path) as source, read_errors(source.name):
        stream = sound_tracks(source)[track]
        yield stream, _pieces(source, stream, zero)


def _pieces(source: Source, stream: AudioStream, zero: Fraction, sought: bool = False) -> Iterator[Piece]:
    if sought:
        with suppress(av.error.FFmpegError):
            source.container.seek(int((zero - _RUN_UP) * av.time_base), backward=True)
    for other in source.container.streams:
        if other is not stream:
            other.discard = Discard.all
    tick = Fraction(stream.time_base or Fraction(1, stream.codec_context.sample_rate))
    here = stream.start_time or round(_zero(source.path) / tick)
    with suppress(*DAMAGED):
        for packet in source.container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                packet.pts = here if packet.dts is None else packet.dts
            here = packet.pts + (packet.duration or 0)
            yield Piece(packet.pts * tick - zero, (packet.duration or 0) * tick, packet)


def _zero(path: Path) -> Fraction:
    """When the first picture is shown, on the container's clock."""
    times = load_index(path)
    return times.origin * times.tick
