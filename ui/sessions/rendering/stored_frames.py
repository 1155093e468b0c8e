"""Frames of clips and of their stored mattes, read one after another from files that are kept open."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.errors import VideoError
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.video.reading.frame_readers import FrameReaders
from pipeline.video.reading.frames import Frame
from ui.sessions.rendering.protocol import RenderRequest

_MAX_PIXELS = 8192 * 4320
"""Most pixels of the frames of all open files: one of 8K, or four of 4K."""


class StoredFrames:
    """Frames and stored mattes of sessions, by pts. Thread-safe."""

    def __init__(self) -> None:
        self._readers = FrameReaders(_MAX_PIXELS)

    def frame(self, clip: Clip, pts: int) -> Frame | None:
        """Return a clip's frame; None if it cannot be decoded."""
        return self._readers.read(clip.path, pts)

    def matte(self, stored: MatteFile, clip: Clip, pts: int) -> Matte | None:
        """Return the matte of a clip's frame, `[H, W]` uint8; None if there is none."""
        place = _matte_times(stored, clip).get(pts)
        frame = None if place is None else self._readers.read(stored.path, place, "gray")
        return None if frame is None else frame.image


def find_matte(request: RenderRequest) -> MatteFile | None:
    """Return the matte file if it was made from just this job and covers the range it keeps."""
    path = request.job.matte
    matte = None if path is None else _open_matte(path)
    if matte is None or matte.key != matte_key(request.effective_job):
        return None
    return matte if matte.covers(*pts_range(request.job, request.clip)) else None


def shrink(frame: Frame, width: int) -> Frame:
    """Return the frame no wider than `width` pixels, in the same aspect ratio."""
    image = shrink_image(frame.image, width)
    alpha = None if frame.alpha is None else shrink_image(frame.alpha, width)
    return frame if image is frame.image else Frame(frame.pts, image, alpha=alpha)


def shrink_image(image: Matte, width: int) -> Matte:
    """Return an image or a matte (`[H, W, 3]` or `[H, W]` uint8) no wider than `width` pixels."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    # Down to half its size every pixel has a share in this, too, at a fifth of the time.
    near = image.shape[1] <= 2 * width
    way = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _open_matte(path: Path) -> MatteFile | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return _read_matte(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _read_matte(path: Path, _mtime_ns: int, _size: int) -> MatteFile | None:
    try:
        return MatteFile.open(path)
    except VideoError:
        return None  # a damaged matte is made again


def _matte_times(stored: MatteFile, clip: Clip) -> Mapping[int, int]:
    stat = stored.path.stat()
    return _read_matte_times(stored, clip, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _read_matte_times(stored: MatteFile, clip: Clip, _mtime_ns: int, _size: int) -> Mapping[int, int]:
    return stored.matte_times(clip)
