"""Verification of a written file: read it back and compare it with what was to be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.arrays import Pixels
from pipeline.errors import RunError
from pipeline.formats import Format
from pipeline.languages.messages import Message
from pipeline.video.reading.source import codec_name, time_base
from pipeline.video.webp import parse_frames
from pipeline.video.writing.encoder_frames import bit_depth, mean_alpha

# Largest difference of the mean alpha that lossy encoding may cause.
_ALPHA_TOLERANCE = 0.03


@dataclass(frozen=True)
class Content:
    """Content of a file, read or expected."""

    codec: str
    size: tuple[int, int]
    """Width and height, in pixels."""
    depth: int
    """Bits per sample."""
    times: Sequence[Fraction] = field(repr=False)
    """Begin of each frame, in seconds, ascending."""
    duration: Fraction | None
    """Seconds from 0 to the end; None if the file does not state it."""
    mean_alpha: float | None
    """Mean alpha of the first frame, 0 to 1; None without alpha."""
    sound_tracks: int = 0
    """Number of audio tracks."""
    tick: Fraction = Fraction(0)
    """Time resolution of the file, in seconds."""


def verify_content(name: str, expected: Content, actual: Content) -> None:
    """Raise RunError if `actual` differs from `expected`."""
    difference = _find_difference(expected, actual)
    if difference is not None:
        raise RunError("writing.wrong", name=name, wrong=difference)


def _find_difference(expected: Content, actual: Content) -> Message | None:
    if actual.codec != expected.codec:
        return Message("wrong.codec", {"is": actual.codec, "should": expected.codec})
    if actual.size != expected.size:
        return Message(
            "wrong.size", {"is": "{} × {}".format(*actual.size), "should": "{} × {}".format(*expected.size)}
        )
    if len(actual.times) != len(expected.times):
        return Message("wrong.pictures", {"is": len(actual.times), "should": len(expected.times)})
    if actual.depth < expected.depth:
        return Message("wrong.depth", {"is": actual.depth, "should": expected.depth})
    for number, (is_, should) in enumerate(zip(actual.times, expected.times, strict=True)):
        if abs(is_ - should) > actual.tick / 2:
            return Message("wrong.time", {"number": number + 1, "is": float(is_), "should": float(should)})
    if actual.duration is not None and expected.duration is not None:
        # A coarse clock rounds the last frame's duration once more; audio may last longer.
        grace = max(actual.tick, expected.duration - expected.times[-1])
        over = actual.duration - expected.duration
        if over < -grace or (over > grace and not expected.sound_tracks):
            return Message(
                "wrong.duration", {"is": float(actual.duration), "should": float(expected.duration)}
            )
    if expected.mean_alpha is not None:
        if actual.mean_alpha is None:
            return Message("wrong.no_alpha")
        if abs(actual.mean_alpha - expected.mean_alpha) > _ALPHA_TOLERANCE:
            return Message("wrong.alpha", {"is": actual.mean_alpha, "should": expected.mean_alpha})
    if actual.sound_tracks != expected.sound_tracks:
        return Message("wrong.tracks", {"is": actual.sound_tracks, "should": expected.sound_tracks})
    return None


def read_content(path: Path, form: Format) -> Content:
    """Read back a file written in a format; only its first frame is decoded."""
    return _read_webp(path) if form.container == "webp" else _read_video(path)


def _read_video(path: Path) -> Content:
    with av.open(os.fspath(path)) as container:
        stream = container.streams.video[0]
        tick = time_base(stream)
        decoder = _create_decoder(stream)
        first: VideoFrame | None = None
        times: list[Fraction] = []
        audio_indices: set[int] = set()
        for packet in container.demux(stream, *container.streams.audio):
            if packet.stream_index != stream.index:
                audio_indices |= {packet.stream_index} if packet.size else set()
                continue
            if packet.size:
                times.append(cast(int, packet.pts) * tick)
            if first is None:
                first = next(iter(decoder.decode(cast(Any, packet if packet.size else None))), None)
        if first is None:
            raise RunError("writing.no_picture", name=path.name)
        return Content(
            codec=codec_name(stream),
            size=(first.width, first.height),
            depth=bit_depth(first.format.name),
            times=sorted(times),
            duration=None if container.duration is None else Fraction(container.duration, av.time_base),
            mean_alpha=_mean_alpha(first),
            sound_tracks=len(audio_indices),
            tick=tick,
        )


def _create_decoder(stream: VideoStream) -> Any:
    """Return a decoder; FFmpeg's native VP9 decoder ignores alpha, and threads only delay the first frame."""
    if codec_name(stream) == "vp9":
        return CodecContext.create("libvpx-vp9", "r")
    stream.codec_context.thread_count = 1
    return stream.codec_context


def _mean_alpha(frame: VideoFrame) -> float | None:
    if not any(part.is_alpha for part in frame.format.components):
        return None
    return mean_alpha(cast(Any, frame.reformat(format="rgba").to_ndarray()))


def _read_webp(path: Path) -> Content:
    with path.open("rb") as file:
        frames = list(parse_frames(file))
        # A single frame is a still image.
        image = decode_image(frames[0].to_still(file) if frames else path.read_bytes())
    ends = list(accumulate(picture.milliseconds for picture in frames))
    return Content(
        codec="webp",
        size=(image.shape[1], image.shape[0]),
        depth=8 * image.itemsize,
        times=[Fraction(ms, 1000) for ms in [0, *ends[:-1]]],
        duration=Fraction(ends[-1], 1000) if ends else None,
        mean_alpha=mean_alpha(image) if image.shape[2] == 4 else None,
        tick=Fraction(1, 1000),
    )


def decode_image(data: bytes) -> Pixels:
    """Decode an image as `[H, W, 3]` BGR or `[H, W, 4]` BGRA; raises RunError if it is not decodable."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise RunError("writing.first_picture")
    return cast(Pixels, image)
