"""Choice of the video stream of a file."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import av
from av.video.stream import VideoStream

# Packets of one stream after which the streams with only one packet are taken as still images.
_PROBED_PACKETS = 48
# AVI may state this frame count for a single image.
_UNRELIABLE_COUNT = 2


def choose_video_stream(
    path: Path, streams: list[VideoStream], options: dict[str, str]
) -> VideoStream | None:
    """Return the stream that a player would show: the largest default one, else the largest of all.

    A single image beside a video, such as a thumbnail, does not count. Returns None if there is no video
    stream; an undecodable one is returned if there is no other. `options` are those to open `path` with.
    """
    # A cover picture in a music file is a video stream too.
    streams = [s for s in streams if not s.disposition & s.disposition.attached_pic]
    readable = [s for s in streams if s.codec_context and s.codec_context.width] or streams
    if len(readable) > 1:
        readable = _streams_with_frames(path, readable, options) or readable
    return max(readable, key=_rank, default=None)


def _rank(stream: VideoStream) -> tuple[bool, int]:
    context = stream.codec_context
    return (
        bool(stream.disposition & stream.disposition.default),
        context.width * context.height if context else 0,
    )


def _streams_with_frames(
    path: Path, streams: list[VideoStream], options: dict[str, str]
) -> list[VideoStream]:
    """Return the streams with several frames, by the container or else by its first packets."""
    if all(stream.frames == 1 or stream.frames > _UNRELIABLE_COUNT for stream in streams):
        return [stream for stream in streams if stream.frames > 1]
    counts: Counter[int] = Counter()
    # Opened again, since not every container can seek to its start.
    with (
        suppress(av.error.FFmpegError),
        av.open(os.fspath(path.absolute()), options=options, metadata_errors="replace") as container,
    ):
        for packet in container.demux(*container.streams.video):
            counts[packet.stream_index] += bool(packet.size)
            if counts[packet.stream_index] == _PROBED_PACKETS:
                break
    return [stream for stream in streams if counts[stream.index] > 1 or stream.frames > _UNRELIABLE_COUNT]
