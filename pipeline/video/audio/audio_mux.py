"""The sound of a video on its way into a result: copied where the container takes it, else encoded."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet, PacketSideData
from av.stream import Disposition
from numpy.typing import NDArray

from pipeline.formats import Format
from pipeline.video.audio.audio_read import (
    PREROLL_PACKETS,
    AudioPacket,
    AudioRange,
    SampleFormat,
    audio_streams,
    read_packets,
    read_samples,
)
from pipeline.video.reading.source import Source, codec_name

__all__ = ["AudioMuxer", "AudioRange"]

# Seconds that sound may run ahead of the picture, which waits in the encoder's look-ahead anyway.
_MAX_LEAD = 1
# By how much sound and picture may part (in seconds), as nobody notices.
_SYNC = Fraction(1, 100)
# Packets that a decoder wants before the first that is heard: one that overlaps with it, one more for what is
# predicted from it (HE-AAC), and for MP3 as many as its bits may be spread over.
_PREROLL = 2
_PREROLL_BY_CODEC = {"mp3": 10}
# Channels to the layout that the encoders of AAC and Opus both hold; four or seven find a place in the next.
_LAYOUTS = ("mono", "stereo", "3.0", "5.0", "5.0", "5.1", "7.1", "7.1")
_OPUS_RATE = 48_000
_SKIP_SAMPLES = 11  # AV_PKT_DATA_SKIP_SAMPLES, for which PyAV has no name to make one by

_Packets: TypeAlias = "Generator[Packet[AudioStream], None, None]"


class AudioMuxer:
    """All sound tracks of a video on their way into a result, whose second 0 is `AudioRange.start`."""

    def __init__(self, out: OutputContainer, tracks: list[_Track], notes: tuple[str, ...] = ()) -> None:
        self._out = out
        self._tracks = tracks
        self.tracks = len(tracks)
        self.notes = notes
        """Sentences on what could not be read of it."""

    @classmethod
    def open(cls, wanted: AudioRange, out: OutputContainer, form: Format) -> AudioMuxer:
        """Adds a stream to `out` for each track in which something is wanted, and that can be decoded.

        `form` is one with sound.
        """
        found: list[_Track] = []
        unread = 0
        with Source(wanted.path) as source:
            tracks = audio_streams(source)
            for number, track in enumerate(tracks):
                try:
                    packets = _add_track(wanted, number, track, out, form)
                except _UndecodableTrack:
                    unread += 1
                    continue
                if packets is not None:
                    found.append(_Track(packets))
        return cls(out, found, _undecodable_notes(source.name, unread, len(tracks)))

    def mux(self, until: Fraction | None) -> None:
        """Pass on what begins up to `until` seconds of the result; None: all the rest."""
        for track in self._tracks:
            for packet in track.take_until(None if until is None else until + _MAX_LEAD):
                self._out.mux(packet)

    def close(self) -> None:
        for track in self._tracks:
            track.close()


class _UndecodableTrack(Exception):
    """There is sound in a track, and nothing here can decode it."""


def _undecodable_notes(name: str, count: int, tracks: int) -> tuple[str, ...]:
    """The sentence on tracks that could not be read."""
    if not count:
        return ()
    if count == tracks:
        return (
            f"{name}: its sound could not be read, so the result has none. Convert it to AAC to keep it.",
        )
    return (
        f"{name}: {count} of its {tracks} sound tracks could not be read, and the result is without. "
        "Convert them to AAC to keep them.",
    )


class _Track:
    """The packets of one track, to be taken in portions."""

    def __init__(self, packets: _Packets) -> None:
        self._packets = packets
        self._waiting: Packet[AudioStream] | None = None

    def take_until(self, limit: Fraction | None) -> Iterator[Packet[AudioStream]]:
        """Those that begin up to `limit` seconds; None: all that are left."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = packet
            if limit is not None and cast(int, packet.pts) * packet.time_base > limit:
                return
            self._waiting = None
            yield packet

    def close(self) -> None:
        self._packets.close()


def _add_track(
    wanted: AudioRange, number: int, track: AudioStream, out: OutputContainer, form: Format
) -> _Packets | None:
    """The packets that go into `out` for a track, for which a stream is added; None where it is not heard.

    Raises _Unread where it cannot be decoded.
    """
    context = track.codec_context
    if not (context and context.sample_rate and context.layout.nb_channels):
        raise _UndecodableTrack
    codec = codec_name(track)
    matroska = form.container in ("webm", "matroska")
    found = read_packets(
        wanted, number, lead=PREROLL_PACKETS if matroska else _PREROLL_BY_CODEC.get(codec, _PREROLL)
    )
    first = next(found, None)
    if first is None:
        return None
    end = None if wanted.end is None or wanted.repeat is not None else wanted.end - wanted.start
    # PCM has no packets of its own: its samples go over as they are, and can be cut anywhere.
    pcm, copied = codec.startswith("pcm_"), codec in form.copied_sound_codecs
    fits = _can_copy_start(first, track) if matroska else _can_copy_end(first, end)
    if copied and not pcm and fits and wanted.repeat is None:
        stream = out.add_stream_from_template(track)
        packets = _copy_packets(chain([first], found), stream, end, matroska)
    else:
        codec = codec if copied and pcm else cast(str, form.sound_codec)
        samples = _choose_sample_format(track.codec_context, codec)
        blocks = read_samples(wanted, number, samples)
        block = next(blocks, None)
        if block is None:
            raise _UndecodableTrack
        stream = _add_encoder(out, codec, samples)
        packets = _encode(chain([block], blocks), stream, samples)
    told = track.metadata
    stream.metadata["language"] = told.get("language", "und")
    if title := told.get("title") or told.get("name"):  # in MP4 it is a name
        stream.metadata["title"] = title
    stream.disposition = track.disposition & Disposition.default
    return packets


def _can_copy_start(first: AudioPacket, track: AudioStream) -> bool:
    """Whether Matroska can say where copied sound begins.

    It has no word for what is decoded and not wanted, but for what an Opus decoder drops in any case.
    """
    return first.begin >= -_SYNC - _opus_preskip(track)


def _can_copy_end(first: AudioPacket, end: Fraction | None) -> bool:
    """Whether copied sound in MP4 can end near enough to `end`: players play a packet whole.

    Where sound begins an edit list says to the sample.
    """
    if end is None:
        return True
    beyond = -(end - first.begin) % first.length if first.length else _SYNC
    return min(beyond, first.length - beyond) <= _SYNC


def _opus_preskip(track: AudioStream) -> Fraction:
    """Seconds that an Opus decoder is told to drop at the start (RFC 7845, 5.1: pre-skip)."""
    head = track.codec_context.extradata or b""
    if not head.startswith(b"OpusHead"):
        return Fraction(0)
    return Fraction(int.from_bytes(head[10:12], "little"), _OPUS_RATE)


def _copy_packets(
    found: Iterator[AudioPacket], stream: AudioStream, end: Fraction | None, matroska: bool
) -> _Packets:
    """The packets as they are, at their times; the last one says how much of it is wanted."""
    rate = stream.codec_context.sample_rate
    last, reached = None, None
    for piece in found:
        beyond = Fraction(0) if end is None else piece.end - end
        if beyond > piece.length / 2 and not matroska:
            return
        if reached is not None and piece.end < reached:
            continue  # a clock that was set back
        reached = piece.end
        packet = piece.packet
        begin = max(piece.begin, -_opus_preskip(stream)) if matroska else piece.begin
        packet.time_base = Fraction(1, rate)  # a container's own may be as long as a packet
        packet.pts = round(begin * rate) if last is None else max(round(begin * rate), last + 1)
        packet.dts = last = packet.pts
        packet.duration = max(1, round((piece.length - max(Fraction(0), beyond)) * rate))
        packet.stream = stream
        if beyond > 0:
            _trim_packet_end(packet, round(beyond * rate))
        yield packet


def _trim_packet_end(packet: Packet[AudioStream], count: int) -> None:
    """Say that the last `count` samples of a packet are not heard (FFmpeg's AV_PKT_DATA_SKIP_SAMPLES)."""
    told = cast(Any, PacketSideData)(_SKIP_SAMPLES, 10)
    told.update(struct.pack("<IIBB", 0, count, 0, 0))
    packet.set_sidedata(told)


def _choose_sample_format(context: AudioCodecContext, codec: str) -> SampleFormat:
    """As much of a track as a codec can hold: its channels, its rate."""
    form = (av.Codec(codec, "w").audio_formats or [context.format])[0]
    layout = context.layout.name
    if not codec.startswith("pcm_"):
        layout = _LAYOUTS[min(context.layout.nb_channels, len(_LAYOUTS)) - 1]
    return SampleFormat(form.packed.name, layout, _choose_sample_rate(codec, context.sample_rate))


def _choose_sample_rate(codec: str, rate: int) -> int:
    """The rate that an encoder takes which loses nothing, else the highest that it takes."""
    if codec == "libopus":
        return _OPUS_RATE  # what any Opus is decoded at
    taken = av.Codec(codec, "w").audio_rates
    if not taken:
        return rate
    return min((each for each in taken if each >= rate), default=max(taken))


def _add_encoder(out: OutputContainer, codec: str, samples: SampleFormat) -> AudioStream:
    stream = cast(AudioStream, out.add_stream(cast(Any, codec), rate=samples.rate, layout=samples.layout))
    if not codec.startswith("pcm_"):
        stream.codec_context.bit_rate = 32_000 + 64_000 * stream.codec_context.layout.nb_channels
    return stream


def _encode(blocks: Iterator[NDArray[Any]], stream: AudioStream, samples: SampleFormat) -> _Packets:
    written = 0
    for block in blocks:
        packed = np.ascontiguousarray(block).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format=samples.format, layout=samples.layout)
        frame.sample_rate, frame.time_base, frame.pts = samples.rate, Fraction(1, samples.rate), written
        written += len(block)
        yield from stream.encode(frame)
    yield from stream.encode(None)
