"""Deinterlacing by FFmpeg's bwdif, one frame out for each frame in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

import av
from av.filter import Graph

_MIN_SIDE = 16
"""Least width and height to deinterlace, in pixels: the filter needs a few lines and columns."""


def deinterlace(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield each frame at its own time, deinterlaced.

    bwdif keeps one field of an interlaced frame and interpolates the lines of the other from the frames
    before and after; so each frame is delayed by one. Progressive frames are passed on unchanged.
    """
    bwdif: _Bwdif | None = None
    before: av.VideoFrame | None = None
    for frame in frames:
        if bwdif is not None and not bwdif.accepts(frame):
            yield from bwdif.flush()
            bwdif = before = None
        if bwdif is None and frame.interlaced_frame and min(frame.width, frame.height) >= _MIN_SIDE:
            bwdif = _Bwdif(frame)
            if before is not None and bwdif.accepts(before):
                bwdif.prime(before)
        if bwdif is None:
            before = frame
            yield frame
        else:
            yield from bwdif.push(frame)
    if bwdif is not None:
        yield from bwdif.flush()


class _Bwdif:
    """FFmpeg's bwdif filter with the times of the frames in it, since the filter changes the time base."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._shape = _shape(frame)
        self._times: deque[tuple[int | None, int | None] | None] = deque()
        self._tick = frame.time_base
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        bwdif = self._graph.add("bwdif", mode="send_frame", deint="interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def accepts(self, frame: av.VideoFrame) -> bool:
        """Return True if the frame has the size and pixel format that the filter was built for."""
        return _shape(frame) == self._shape

    def prime(self, frame: av.VideoFrame) -> None:
        """Feed a frame as reference only; it was already yielded."""
        self._times.append(None)
        self._graph.push(frame)

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Feed a frame; yield the frames that are ready."""
        self._times.append((frame.pts, frame.dts))
        self._graph.push(frame)
        yield from self._pull_ready()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield the remaining frames."""
        self._graph.push(None)
        yield from self._pull_ready()

    def _pull_ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = cast(av.VideoFrame, self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            times = self._times.popleft()
            if times is not None:
                frame.pts, frame.dts = times
                frame.time_base = self._tick
                yield frame


def _shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
