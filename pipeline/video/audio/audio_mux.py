"""Audio of a result: copied from the source if the container supports its codec, otherwise re-encoded."""

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
from pipeline.languages.messages import Message
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

# Seconds that audio is muxed ahead of video, which is delayed by the encoder's look-ahead.
_MAX_LEAD = 1
# Largest unnoticeable offset between audio and video, in seconds.
_SYNC = Fraction(1, 100)
# Packets that a decoder needs before the first audible one: one that overlaps with it, one more for
# prediction (HE-AAC), and for MP3 the extent of its bit reservoir.
_PREROLL = 2
_PREROLL_BY_CODEC = {"mp3": 10}
# Layouts that both the AAC and the Opus encoder support, by number of channels; 4 and 7 use the next larger.
_LAYOUTS = ("mono", "stereo", "3.0", "5.0", "5.0", "5.1", "7.1", "7.1")
_OPUS_RATE = 48_000
_SKIP_SAMPLES = 11  # AV_PKT_DATA_SKIP_SAMPLES, for which PyAV has no name to make one by

_Packets: TypeAlias = "Generator[Packet[AudioStream], None, None]"


class AudioMuxer:
    """Muxer of all audio tracks of a video into a result, whose second 0 is `AudioRange.start`."""

    def __init__(self, out: OutputContainer, tracks: list[_Track], notes: tuple[Message, ...] = ()) -> None:
        self._out = out
        self._tracks = tracks
        self.tracks = len(tracks)
        self.notes = notes
        """Tracks that could not be read."""

    @classmethod
    def open(cls, wanted: AudioRange, out: OutputContainer, form: Format) -> AudioMuxer:
        """Add a stream to `out` for each decodable track that has audio within the range.

        `form` must have an audio codec.
        """
        opened: list[_Track] = []
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
                    opened.append(_Track(packets))
        return cls(out, opened, _undecodable_notes(source.name, unread, len(tracks)))

    def mux(self, until: Fraction | None) -> None:
        """Mux the packets that begin up to `until` seconds of the result; None: all remaining ones."""
        for track in self._tracks:
            for packet in track.take_until(None if until is None else until + _MAX_LEAD):
                self._out.mux(packet)

    def close(self) -> None:
        for track in self._tracks:
            track.close()


class _UndecodableTrack(Exception):
    """Raised for an audio track that cannot be decoded."""


def _undecodable_notes(name: str, count: int, tracks: int) -> tuple[Message, ...]:
    """Return the note on tracks that could not be read, if there are any."""
    if not count:
        return ()
    if count == tracks:
        return (Message("notes.no_sound", {"name": name}),)
    return (Message("notes.fewer_tracks", {"name": name, "count": count, "tracks": tracks}),)


class _Track:
    """Packets of one track, taken in portions."""

    def __init__(self, packets: _Packets) -> None:
        self._packets = packets
        self._waiting: Packet[AudioStream] | None = None

    def take_until(self, limit: Fraction | None) -> Iterator[Packet[AudioStream]]:
        """Yield the packets that begin up to `limit` seconds; None: all remaining ones."""
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
    """Add a stream for a track to `out` and return its packets; None if it has no audio in the range.

    Raises _Unread where it cannot be decoded.
    """
    context = track.codec_context
    if not (context and context.sample_rate and context.layout.nb_channels):
        raise _UndecodableTrack
    codec = codec_name(track)
    matroska = form.container in ("webm", "matroska")
    audio = read_packets(
        wanted, number, lead=PREROLL_PACKETS if matroska else _PREROLL_BY_CODEC.get(codec, _PREROLL)
    )
    first = next(audio, None)
    if first is None:
        return None
    end = None if wanted.end is None or wanted.repeat is not None else wanted.end - wanted.start
    # PCM has no packet boundaries: its samples are passed on unchanged and can be cut anywhere.
    pcm, copied = codec.startswith("pcm_"), codec in form.copied_sound_codecs
    fits = _can_copy_start(first, track) if matroska else _can_copy_end(first, end)
    if copied and not pcm and fits and wanted.repeat is None:
        stream = out.add_stream_from_template(track)
        packets = _copy_packets(chain([first], audio), stream, end, matroska)
    else:
        codec = codec if copied and pcm else cast(str, form.sound_codec)
        samples = _choose_sample_format(track.codec_context, codec)
        blocks = read_samples(wanted, number, samples)
        block = next(blocks, None)
        if block is None:
            raise _UndecodableTrack
        stream = add_encoder(out, codec, samples)
        packets = encode_samples(chain([block], blocks), stream, samples)
    metadata = track.metadata
    stream.metadata["language"] = metadata.get("language", "und")
    if title := metadata.get("title") or metadata.get("name"):  # in MP4 it is a name
        stream.metadata["title"] = title
    stream.disposition = track.disposition & Disposition.default
    return packets


def _can_copy_start(first: AudioPacket, track: AudioStream) -> bool:
    """Return True if Matroska can represent the begin of copied audio.

    It cannot mark decoded samples as inaudible, except for those that an Opus decoder always drops.
    """
    return first.begin >= -_SYNC - _opus_preskip(track)


def _can_copy_end(first: AudioPacket, end: Fraction | None) -> bool:
    """Return True if copied audio in MP4 can end close to `end` (seconds): players play whole packets.

    The begin is exact to the sample, by an edit list.
    """
    if end is None:
        return True
    beyond = -(end - first.begin) % first.length if first.length else _SYNC
    return min(beyond, first.length - beyond) <= _SYNC


def _opus_preskip(track: AudioStream) -> Fraction:
    """Return the seconds that an Opus decoder drops at the start (RFC 7845, 5.1: pre-skip)."""
    head = track.codec_context.extradata or b""
    if not head.startswith(b"OpusHead"):
        return Fraction(0)
    return Fraction(int.from_bytes(head[10:12], "little"), _OPUS_RATE)


def _copy_packets(
    packets: Iterator[AudioPacket], stream: AudioStream, end: Fraction | None, matroska: bool
) -> _Packets:
    """Yield packets unchanged with new timestamps; the last one carries its audible length."""
    rate = stream.codec_context.sample_rate
    last, end_time = None, None
    for audio in packets:
        beyond = Fraction(0) if end is None else audio.end - end
        if beyond > audio.length / 2 and not matroska:
            return
        if end_time is not None and audio.end < end_time:
            continue  # the clock was set back
        end_time = audio.end
        packet = audio.packet
        begin = max(audio.begin, -_opus_preskip(stream)) if matroska else audio.begin
        packet.time_base = Fraction(1, rate)  # a container's own may be as long as a packet
        packet.pts = round(begin * rate) if last is None else max(round(begin * rate), last + 1)
        packet.dts = last = packet.pts
        packet.duration = max(1, round((audio.length - max(Fraction(0), beyond)) * rate))
        packet.stream = stream
        if beyond > 0:
            _trim_packet_end(packet, round(beyond * rate))
        yield packet


def _trim_packet_end(packet: Packet[AudioStream], count: int) -> None:
    """Mark the last `count` samples of a packet as inaudible (FFmpeg's AV_PKT_DATA_SKIP_SAMPLES)."""
    side_data = cast(Any, PacketSideData)(_SKIP_SAMPLES, 10)
    side_data.update(struct.pack("<IIBB", 0, count, 0, 0))
    packet.set_sidedata(side_data)


def _choose_sample_format(context: AudioCodecContext, codec: str) -> SampleFormat:
    """Return the sample format, layout and rate closest to the track's that the codec supports."""
    form = (av.Codec(codec, "w").audio_formats or [context.format])[0]
    layout = context.layout.name
    if not codec.startswith("pcm_"):
        layout = _LAYOUTS[min(context.layout.nb_channels, len(_LAYOUTS)) - 1]
    return SampleFormat(form.packed.name, layout, choose_sample_rate(codec, context.sample_rate))


def choose_sample_rate(codec: str, rate: int) -> int:
    """Return the least supported rate (Hz) not below `rate`, else the highest supported one."""
    if codec == "libopus":
        return _OPUS_RATE  # what any Opus is decoded at
    supported = av.Codec(codec, "w").audio_rates
    if not supported:
        return rate
    return min((each for each in supported if each >= rate), default=max(supported))


def add_encoder(out: OutputContainer, codec: str, samples: SampleFormat) -> AudioStream:
    """Add a stream to `out` that `encode_samples` encodes for."""
    stream = cast(AudioStream, out.add_stream(cast(Any, codec), rate=samples.rate, layout=samples.layout))
    if not codec.startswith("pcm_"):
        stream.codec_context.bit_rate = 32_000 + 64_000 * stream.codec_context.layout.nb_channels
    return stream


def encode_samples(blocks: Iterator[NDArray[Any]], stream: AudioStream, samples: SampleFormat) -> _Packets:
    """Encode blocks of samples, `[n, channels]` in the type of `samples`, one after the other from 0 on."""
    written = 0
    for block in blocks:
        packed = np.ascontiguousarray(block).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format=samples.format, layout=samples.layout)
        frame.sample_rate, frame.time_base, frame.pts = samples.rate, Fraction(1, samples.rate), written
        written += len(block)
        yield from stream.encode(frame)
    yield from stream.encode(None)
