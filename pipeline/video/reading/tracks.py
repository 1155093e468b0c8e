"""Which of a file's pictures are its film."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import av
from av.video.stream import VideoStream

# By when a film has shown a second picture: after so many of another track.
_PROBED_PACKETS = 48
# AVI may count so many where there is one.
_UNRELIABLE_COUNT = 2


def choose_video_stream(
    path: Path, streams: list[VideoStream], options: dict[str, str]
) -> VideoStream | None:
    """The track that a player would show: of those marked as default the largest, else the largest of all.

    A single picture beside a film, such as a thumbnail, is none. None where there is no track of pictures;
    one that cannot be decoded is taken where there is no other. `options` are those to open `path` with.
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
    """Those of several pictures, as the container says, or else its first packets."""
    if all(stream.frames == 1 or stream.frames > _UNRELIABLE_COUNT for stream in streams):
        return [stream for stream in streams if stream.frames > 1]
    counts: Counter[int] = Counter()
    # Opened anew, for not every container leads back to its start.
    with (
        suppress(av.error.FFmpegError),
        av.open(os.fspath(path.absolute()), options=options, metadata_errors="replace") as container,
    ):
        for packet in container.demux(*container.streams.video):
            counts[packet.stream_index] += bool(packet.size)
            if counts[packet.stream_index] == _PROBED_PACKETS:
                break
    return [stream for stream in streams if counts[stream.index] > 1 or stream.frames > _UNRELIABLE_COUNT]
