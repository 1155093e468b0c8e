"""Audio of a video as a file of its own, for players: AAC in MP4, which starts with the first frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.files import replacing
from pipeline.video.audio.audio_mux import add_encoder, choose_sample_rate, encode_samples
from pipeline.video.audio.audio_read import AudioRange, SampleFormat, audio_streams, read_samples
from pipeline.video.reading.source import Source

_CODEC = "aac"
_MAX_RATE = 48_000


def write_audio(source: Path, target: Path, length: Fraction) -> None:
    """Write the first decodable audio track of a video as an MP4 file of `length` seconds.

    Its second 0 is the first frame of the video: what is heard before is cut, and a track that starts later
    is preceded by silence, for players drop the offset of a file that holds nothing but audio. Silence also
    fills up the end. More than two channels are mixed down to stereo.

    Raises VideoError where no track can be decoded, RunError where the file cannot be written.
    """
    with Source(source) as opened:
        name = opened.name
        tracks = [
            _player_format(track.codec_context.sample_rate, track.codec_context.layout.nb_channels)
            if track.codec_context
            else None
            for track in audio_streams(opened)
        ]
    for number, samples in enumerate(tracks):
        if samples is None:
            continue
        blocks = read_samples(AudioRange(source, end=length), number, samples)
        if (first := next(blocks, None)) is not None:
            _write(target, chain([first], blocks), samples, round(length * samples.rate))
            return
    raise VideoError("choices.sound_unreadable", name=name)


def _player_format(rate: int, channels: int) -> SampleFormat | None:
    """Return the format to encode a track of this rate (Hz) and number of channels in; None without any."""
    if not rate or not channels:
        return None
    layout = "mono" if channels == 1 else "stereo"
    return SampleFormat("flt", layout, choose_sample_rate(_CODEC, min(rate, _MAX_RATE)))


def _write(target: Path, blocks: Iterator[NDArray[Any]], samples: SampleFormat, length: int) -> None:
    with (
        replacing(target) as part,
        av.open(part, "w", format="mp4", options={"movflags": "+faststart"}) as out,
    ):
        stream = add_encoder(out, _CODEC, samples)
        for packet in encode_samples(_fill_up(blocks, samples, length), stream, samples):
            out.mux(packet)


def _fill_up(blocks: Iterator[NDArray[Any]], samples: SampleFormat, length: int) -> Iterator[NDArray[Any]]:
    """Yield the blocks (`[n, channels]`), then silence up to `length` samples in all."""
    written = 0
    for block in blocks:
        written += len(block)
        yield block
    yield from samples.silence(length - written)
