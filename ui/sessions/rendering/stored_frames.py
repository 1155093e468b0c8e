"""Frames of clips and of their stored mattes, read one after another from files that are kept open."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.compositing.light import FrameLight
from pipeline.errors import InputError
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.video.reading.frame_readers import FrameReaders
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.index_cache import load_index
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

    def read(
        self,
        path: Path,
        start: int = 0,
        end: int | None = None,
        only: Collection[int] | None = None,
        pixel_format: Literal["rgb24", "gray"] = "rgb24",
        high_bit_depth: bool = False,
    ) -> Iterator[Frame]:
        """Yield the frames of `read_frames`; a single one comes from a file that is kept open."""
        inside = [p for p in only or () if p >= start and (end is None or p < end)]
        if len(inside) != 1 or high_bit_depth:
            yield from read_frames(path, start, end, only, pixel_format, high_bit_depth)
        elif (frame := self._readers.read(path, inside[0], pixel_format)) is not None:
            yield frame

    def matte(self, stored: MatteFile, clip: Clip, pts: int) -> Matte | None:
        """Return the matte of a clip's frame, `[H, W]` uint8; None if there is none."""
        place = _matte_times(stored, clip).get(pts)
        frame = None if place is None else self._readers.read(stored.path, place, "gray")
        return None if frame is None else frame.image


def frame_pts(request: RenderRequest, index: int) -> int:
    """Return the pts of frame number `index`; raises InputError for a number out of range."""
    order = load_index(request.clip.path).pts
    if not 0 <= index < len(order):
        raise InputError("video.no_such_frame", name=request.clip.name, index=index)
    return order[index]


def find_matte(request: RenderRequest) -> MatteFile | None:
    """Return the matte file if it was made from just this job and covers the range it keeps."""
    matte = MatteFile.find(request.job.matte, matte_key(request.effective_job))
    return matte if matte is not None and matte.covers(*pts_range(request.job, request.clip)) else None


def shrink(frame: Frame, width: int) -> Frame:
    """Return the frame no wider than `width` pixels, in the same aspect ratio."""
    image = shrink_image(frame.image, width)
    alpha = None if frame.alpha is None else shrink_image(frame.alpha, width)
    return frame if image is frame.image else Frame(frame.pts, image, alpha=alpha)


def shrink_light(light: FrameLight, width: int) -> FrameLight:
    """Return the light of a frame that is no wider than `width` pixels."""
    return light if light.shade is None else light._replace(shade=shrink_image(light.shade, width))


def shrink_image(image: Matte, width: int) -> Matte:
    """Return an image or a matte (`[H, W, 3]` or `[H, W]` uint8) no wider than `width` pixels."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    # Down to half its size every pixel has a share in this, too, at a fifth of the time.
    near = image.shape[1] <= 2 * width
    way = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _matte_times(stored: MatteFile, clip: Clip) -> Mapping[int, int]:
    stat = stored.path.stat()
    return _read_matte_times(stored, clip, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _read_matte_times(stored: MatteFile, clip: Clip, _mtime_ns: int, _size: int) -> Mapping[int, int]:
    return stored.matte_times(clip)
