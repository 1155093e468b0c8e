"""Frames by number, as a player or a hand on a slider asks for them: from decoders that are kept open.

Opening a video and decoding from the keyframe before takes as long as decoding a hundred frames in a row. A
reader stays where it is, so that the next frame costs one frame, and keeps the last ones that it decoded, so
that a step back or a request out of order costs nothing.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from pipeline.errors import VideoError
from pipeline.video.av_errors import read_errors
from pipeline.video.reading.frames import Frame, convert_frame, decode_wanted, keyframe_between
from pipeline.video.reading.idle_timer import IdleTimer
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.source import Source

PixelFormat = Literal["rgb24", "gray"]

_MAX_READERS = 8
_READERS_OF_A_FILE = 2
"""One for who plays, one for who looks elsewhere meanwhile."""
_RECENT_FRAMES, _RECENT_BYTES = 32, 32 * 2**20
"""Most decoded frames that a reader keeps, and their bytes."""
_MOST_SKIPPED = 12
"""Frames that are decoded on the way to a wanted one, rather than seeking to a keyframe close before it."""


@dataclass(frozen=True)
class _Key:
    """A file in its present state, and what its frames are converted to."""

    path: Path
    mtime_ns: int
    size: int
    pixel_format: PixelFormat


class FrameReaders:
    """Readers of videos that stay open between requests, and are closed when nobody asks. Thread-safe."""

    def __init__(self, max_pixels: int, idle_seconds: float = 10.0) -> None:
        """Keep readers of videos of at most `max_pixels` pixels a frame in all."""
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._readers: list[_Reader] = []
        self._timer = IdleTimer(self._lock, idle_seconds, self._close_idle)

    def read(self, path: Path, pts: int, pixel_format: PixelFormat = "rgb24") -> Frame | None:
        """Return the frame at `pts`, converted as `read_frames` does; None if it cannot be decoded.

        Raises VideoError if the video cannot be read.
        """
        stat = path.stat()
        reader = self._take(_Key(path, stat.st_mtime_ns, stat.st_size, pixel_format), pts)
        try:
            with reader.lock:
                return reader.read(pts)
        finally:
            self._give_back(reader)

    @property
    def count(self) -> int:
        """Number of readers that are open."""
        with self._lock:
            return len(self._readers)

    def close(self) -> None:
        """Close the readers that nobody uses at the moment."""
        with self._lock:
            self._drop([reader for reader in self._readers if not reader.users])

    def _take(self, key: _Key, pts: int) -> _Reader:
        with self._lock:
            reader = self._choose(key, pts)
            reader.users += 1
            return reader

    def _choose(self, key: _Key, pts: int) -> _Reader:
        """Return a reader that has the frame or will come by it soon, else one to be moved there."""
        own = [reader for reader in self._readers if reader.key == key]
        if near := next((reader for reader in own if reader.is_near(pts)), None):
            return near
        if len(own) >= _READERS_OF_A_FILE:
            return min(own, key=lambda reader: (reader.users, reader.used))
        reader = _Reader(key)
        self._readers.append(reader)
        spare = sorted((r for r in self._readers if not r.users and r is not reader), key=lambda r: r.used)
        while spare and (
            len(self._readers) > _MAX_READERS or sum(r.pixels for r in self._readers) > self._max_pixels
        ):
            self._drop([spare.pop(0)])
        return reader

    def _give_back(self, reader: _Reader) -> None:
        with self._lock:
            reader.users -= 1
            reader.used = time.monotonic()
            if self._readers:
                self._timer.start()

    def _close_idle(self, past: float) -> bool:
        self._drop([reader for reader in self._readers if not reader.users and reader.used <= past])
        return bool(self._readers)

    def _drop(self, readers: list[_Reader]) -> None:
        for reader in readers:
            self._readers.remove(reader)
            reader.close()


class _Reader:
    """Decoder of one video at one place of it; to be used by one thread at a time (`lock`)."""

    def __init__(self, key: _Key) -> None:
        self.key = key
        self.lock = threading.Lock()
        self.users = 0
        self.used = time.monotonic()
        self.pixels = 0
        self._source: Source | None = None
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._here = -1
        """The pts that was decoded last, or that decoding is about to start before."""
        self._recent: OrderedDict[int, av.VideoFrame] = OrderedDict()
        """By pts, oldest first."""
        self._bytes = 0

    def is_near(self, pts: int) -> bool:
        """Return True if the frame is decoded, or next in line."""
        return pts in self._recent or (self._source is not None and self._is_ahead(pts))

    def read(self, pts: int) -> Frame | None:
        """Return the frame at `pts`; None if it cannot be decoded."""
        try:
            frame = self._recent.get(pts)
            if frame is None:
                frame = self._decode(pts)
            if frame is None or self._source is None:
                return None
            with read_errors(self._source.name):
                return convert_frame(self._source, frame, pts, self.key.pixel_format, False)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the video and forget the frames; `read` opens it again."""
        source, self._source = self._source, None
        self._frames, self._here = iter(()), -1
        self._recent.clear()
        self._bytes = 0
        if source is not None:
            with suppress(VideoError):
                source.close()

    def _decode(self, pts: int) -> av.VideoFrame | None:
        if self._source is None or not self._is_ahead(pts):
            self._open(pts)
        for here, frame in self._frames:
            self._here = here
            self._keep(here, frame)
            if here >= pts:
                return frame if here == pts else None
        self._here = pts  # what is left of the video cannot be decoded
        return None

    def _is_ahead(self, pts: int) -> bool:
        """Return True if decoding on is the quickest way to the frame."""
        if pts <= self._here:
            return False
        index = load_index(self.key.path)
        skipped = bisect.bisect_left(index.pts, pts) - bisect.bisect_right(index.pts, self._here)
        return skipped <= _MOST_SKIPPED or not keyframe_between(index, pts, self._here)

    def _open(self, pts: int) -> None:
        """Open the video before a frame; where it lies behind, so that those before it are kept, too."""
        index = load_index(self.key.path)
        start = pts
        if pts <= self._here:
            place = bisect.bisect_left(index.pts, pts)
            start = max(index.pts[max(0, place - _RECENT_FRAMES + 1)], min(index.keyframe_before(pts), pts))
        self.close()
        self._source = source = Source(self.key.path)
        if index.size is not None:
            source.resize(index.size)
        self.pixels = source.size[0] * source.size[1]
        self._here = start - 1
        self._frames = decode_wanted(source, index, start, None, None)

    def _keep(self, pts: int, frame: av.VideoFrame) -> None:
        self._recent[pts] = frame
        self._bytes += _bytes_of(frame)
        while len(self._recent) > 1 and (len(self._recent) > _RECENT_FRAMES or self._bytes > _RECENT_BYTES):
            _, old = self._recent.popitem(last=False)
            self._bytes -= _bytes_of(old)


def _bytes_of(frame: av.VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)
