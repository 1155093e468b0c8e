"""Mattes of another tool: which of its pictures belongs to a frame, checks, and reading.

A matte that Recorte wrote names its video's times itself. Of another one with as many pictures as the clip
has frames, each belongs to a frame, at whatever rate. Otherwise a video's pictures are taken by their times:
a frame has the picture that is shown while the frame begins. Pictures without times need one for each frame.
"""

from __future__ import annotations

import bisect
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from pipeline.arrays import Matte, as_floats
from pipeline.clip import Clip
from pipeline.errors import InputError
from pipeline.imaging import mask_files
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.matte import MatteFile
from pipeline.models import Prediction
from pipeline.models.matte_in import BorrowedMatte
from pipeline.propagation.predictions import FramePrediction
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.picture_sequence import GreyPicture, PictureSequence
from pipeline.video.reading.probe import load_clip, probe_clip

_NEAR = 32
"""So many pictures ahead are decoded on the way rather than looked for anew."""


@dataclass(frozen=True)
class BorrowedMattes:
    """The mattes of a job's clip, checked."""

    borrowed: BorrowedMatte
    size: tuple[int, int]
    """Width and height of the clip, in pixels."""
    pictures: Mapping[int, int]
    """By the pts of the clip's frames: the number of the picture, or its pts in the video."""
    alpha: bool
    """The pictures' alpha is the matte, and not their brightness."""

    def read_first(self) -> Matte:
        """Return the matte of the first frame that has one. Raises InputError where it cannot be decoded."""
        with closing(_open(self)) as cursor:
            return _to_matte(cursor.read(next(iter(self.pictures.values()))), self)

    def predict(self, frames: Iterator[Frame]) -> Iterator[FramePrediction]:
        """Yield each frame with its matte; a stream continues behind any of them."""
        with closing(_open(self)) as cursor:
            for frame in frames:
                picture = self.pictures.get(frame.pts)
                if picture is None:  # outside of the part that is kept
                    empty = np.zeros(frame.image.shape[:2], np.uint8)
                    yield frame, Prediction(empty, 0, prompted=False, state=dict)
                else:
                    yield frame, Prediction(_to_matte(cursor.read(picture), self), state=dict)


def find_mattes(job: Job) -> BorrowedMattes:
    """Return the mattes for a job's clip, after checks of size, number and length.

    Raises InputError for a matte that is missing, unreadable or does not fit the clip.
    """
    clip, borrowed = load_clip(job.source, job.source_rate), job.matte_in
    if borrowed is None:
        raise InputError("matte_in.needed")
    return check(borrowed, clip, pts_range(job, clip))


def check(borrowed: BorrowedMatte, clip: Clip, frames: tuple[int, int]) -> BorrowedMattes:
    """Return the mattes for the frames of a clip in a pts range. Raises InputError as `find_mattes`."""
    path = borrowed.path
    if not path.exists():
        raise InputError("matte_in.not_found", name=path.name)
    count = None
    if PictureSequence.is_sequence(path):
        with PictureSequence(path) as sequence:
            first, count = sequence.read(0), len(sequence.names)
        height, width = first.grey.shape
        alpha = first.alpha is not None
    else:
        video = probe_clip(path)
        width, height, alpha = video.width, video.height, video.alpha
    # Another size of the same shape is one of the tool's, such as half of the video's.
    if abs(width * clip.height - height * clip.width) > max(clip.width, clip.height):
        raise InputError(
            "matte_in.size",
            name=path.name,
            width=width,
            height=height,
            clip=clip.name,
            wide=clip.width,
            high=clip.height,
        )
    pictures = (
        _time_pictures(borrowed, clip, frames) if count is None else _number_pictures(borrowed, count, clip)
    )
    return BorrowedMattes(borrowed, (clip.width, clip.height), pictures, alpha)


def _number_pictures(borrowed: BorrowedMatte, count: int, clip: Clip) -> dict[int, int]:
    times = load_index(clip.path).pts
    if count != len(times):
        raise InputError(
            "matte_in.count", name=borrowed.path.name, count=count, clip=clip.name, frames=len(times)
        )
    return {pts: number for number, pts in enumerate(times)}


def _time_pictures(borrowed: BorrowedMatte, clip: Clip, frames: tuple[int, int]) -> dict[int, int]:
    """Return the pts of the matte's picture by the pts of each of the clip's frames that has one."""
    file, own, index = MatteFile.open(borrowed.path), load_index(clip.path), load_index(borrowed.path)
    if file.key:
        times = file.matte_times(clip)
        missing = [pts for pts in own.between(*frames) if pts not in times]
        if missing:
            raise InputError("writing.matte_lacks_part", name=borrowed.path.name, clip=clip.name)
        return times
    if len(index.pts) == len(own.pts):
        return dict(zip(own.pts, index.pts, strict=True))
    # Clocks round, either by half a tick; and the last picture may end a frame early.
    slack = (own.tick + index.tick) / 2
    end = float(index.end * index.tick) + 1 / float(clip.rate)
    last = own.last_before(frames[1])
    if float(last * own.tick) >= end:
        raise InputError(
            "matte_in.too_short",
            name=borrowed.path.name,
            end=float(index.end * index.tick),
            clip=clip.name,
            until=float(last * own.tick),
        )
    shown = {pts: index.frame_at(int((pts * own.tick + slack) / index.tick)) for pts in own.pts}
    return {pts: picture for pts, picture in shown.items() if float(pts * own.tick) < end}


class _Cursor(Protocol):
    """Reader of a matte's pictures, fast in order and able to jump."""

    def read(self, picture: int) -> GreyPicture: ...
    def close(self) -> None: ...


def _open(mattes: BorrowedMattes) -> _Cursor:
    path = mattes.borrowed.path
    return PictureSequence(path) if PictureSequence.is_sequence(path) else _VideoCursor(path, mattes.alpha)


class _VideoCursor:
    def __init__(self, path: Path, alpha: bool) -> None:
        self._path = path
        self._alpha = alpha
        self._order = load_index(path).pts
        self._frames: Generator[Frame, None, None] | None = None
        self._shown: Frame | None = None
        self._ahead: Frame | None = None

    def read(self, picture: int) -> GreyPicture:
        """Return the picture at this pts; where it cannot be decoded, the last before it that can.

        Raises InputError where there is none.
        """
        if self._shown is None or not 0 <= self._distance(self._shown.pts, picture) <= _NEAR:
            self.close()
            pixel_format: Literal["rgb24", "gray"] = "rgb24" if self._alpha else "gray"
            self._frames = _read(self._path, picture, pixel_format)
            self._shown, self._ahead = None, next(self._frames, None)
        while self._frames is not None and self._ahead is not None and self._ahead.pts <= picture:
            self._shown, self._ahead = self._ahead, next(self._frames, None)
        if self._shown is None:
            raise InputError("matte_in.damaged", name=self._path.name)
        return _planes(self._shown)

    def close(self) -> None:
        if self._frames is not None:
            self._frames.close()

    def _distance(self, before: int, after: int) -> int:
        """Return the number of pictures from one to another; negative backward."""
        return bisect.bisect_left(self._order, after) - bisect.bisect_left(self._order, before)


def _read(path: Path, start: int, pixel_format: Literal["rgb24", "gray"]) -> Generator[Frame, None, None]:
    yield from read_frames(path, start, pixel_format=pixel_format)


def _planes(frame: Frame) -> GreyPicture:
    image = frame.image
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    alpha = None if frame.alpha is None else as_floats(frame.alpha) / np.float32(255)
    return GreyPicture(as_floats(image) / np.float32(255), alpha)


def _to_matte(picture: GreyPicture, mattes: BorrowedMattes) -> Matte:
    """Return the matte of a picture, `[H, W]` uint8, in the clip's size."""
    borrowed, (grey, alpha) = mattes.borrowed, picture
    values = grey
    if borrowed.unpremultiply and alpha is not None:
        values = as_floats(np.divide(grey, alpha, out=np.zeros_like(grey), where=alpha > 0))
    elif mattes.alpha and not borrowed.unpremultiply:
        values = np.ones_like(grey) if alpha is None else alpha
    matte = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    if borrowed.invert:
        matte = 255 - matte
    return mask_files.fit(matte, mattes.size)
