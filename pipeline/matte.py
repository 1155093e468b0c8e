"""Matte files: one lossless grey picture for each frame, at the frame's time.

FFV1 (RFC 9043) in Matroska, every frame a keyframe. Matroska counts milliseconds, so a frame's matte is the
nearest in time: a missing frame does not shift the mattes behind it. Tags hold the key of what the matte was
made from, so that it is reused only for the same, and the pts range of the video that it covers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.errors import InputError, VideoError
from pipeline.files import file_state
from pipeline.formats import Format
from pipeline.video.reading.index_cache import load_index

if TYPE_CHECKING:  # FFmpeg is loaded only where a matte is read or written
    from pipeline.devices import FrameDevice
    from pipeline.video.reading.frames import Frame, FrameReader
    from pipeline.video.writing.writer import Writer

FORMAT = Format(
    key="matte",
    label="Matte",
    suffix=".mkv",
    mime="video/x-matroska",
    container="matroska",
    codec="ffv1",
    pixel_format="gray",
    options={"g": "1", "level": "3", "slicecrc": "1"},
)

_KEY, _START, _PAST = "RECORTE_KEY", "RECORTE_START", "RECORTE_PAST"


@dataclass(frozen=True)
class MatteFile:
    """Matte file on disk."""

    path: Path
    key: str
    """Matte key of the job it was made for; empty where the file has no such tag."""
    start: int
    """Pts of the clip's frame that its first picture belongs to."""
    end: int = 0
    """Pts that all frames it was made for lie before; 0 where the file has no such tag."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the tags of a matte file; raises VideoError where `path` is no video at all."""
        from pipeline.video.reading.source import read_metadata

        tags = read_metadata(path)
        start, end = (int(tags[name]) if tags.get(name, "").isdecimal() else 0 for name in (_START, _PAST))
        return cls(path, tags.get(_KEY, ""), start, end)

    @staticmethod
    def load(path: Path) -> MatteFile | None:
        """Return the matte file at `path`; None if there is none, or one that cannot be read.

        It is opened once for each state of the file; the last 16 files are cached.
        """
        state = file_state(path)
        return None if state is None else _open_state(path, state)

    @staticmethod
    def find(path: Path | None, key: str) -> MatteFile | None:
        """Return the matte file at `path` if it was made for this matte key, else None."""
        matte_file = None if path is None else MatteFile.load(path)
        return matte_file if matte_file is not None and matte_file.key == key else None

    def covers(self, first: int, past: int) -> bool:
        """Return True if it was made for all of the frames with first <= pts < past."""
        return self.start <= first and past <= self.end

    @cached_property
    def frame_count(self) -> int:
        """Number of mattes in the file."""
        return len(load_index(self.path).pts)

    def pts_range(self, clip: Clip) -> tuple[int, int]:
        """Return the pts range [first, past the last) of the clip's frames that have a matte.

        Raises InputError where the file was not made from this clip.
        """
        times = load_index(clip.path).pts
        if self.frame_count > sum(p >= self.start for p in times):
            raise InputError(
                "writing.matte_too_long", name=self.path.name, count=self.frame_count, clip=clip.name
            )
        matte_times = self.matte_times(clip)
        if not matte_times:
            raise InputError("writing.matte_of_another", name=self.path.name, clip=clip.name)
        last = max(matte_times)
        return min(matte_times), next((p for p in times if p > last), last + 1)

    def read(
        self,
        clip: Clip,
        span: tuple[int, int] | None = None,
        *,
        high_bit_depth: bool = False,
        device: FrameDevice | None = None,
    ) -> Iterator[tuple[Frame, Matte]]:
        """Yield each frame of a pts range that has a matte, with it; by default the matte's own range.

        `high_bit_depth` and `device` as in `read_frames`; a matte is `[H, W]` uint8.

        Raises InputError where the file was not made from this clip.
        """
        from pipeline.video.reading.frames import read_frames

        first, past = span or self.pts_range(clip)
        matte_times = self.matte_times(clip)
        begin = next((matte_pts for pts, matte_pts in matte_times.items() if pts >= first), 0)
        mattes = read_frames(self.path, begin, pixel_format="gray")
        frames = read_frames(clip.path, first, past, high_bit_depth=high_bit_depth, device=device)
        yield from self._join(clip, matte_times, frames, mattes)

    def read_mattes(self, clip: Clip, span: tuple[int, int]) -> Generator[tuple[int, Matte], None, None]:
        """Yield the mattes alone, `[H, W]` uint8, with the pts of their frames in the clip.

        `span` is the pts range of those frames. Raises InputError where the file was not made from this clip.
        """
        from pipeline.video.reading.frames import read_frames

        frames = {mine: pts for pts, mine in self.matte_times(clip).items() if span[0] <= pts < span[1]}
        if not frames:
            return
        for matte in read_frames(self.path, min(frames), max(frames) + 1, pixel_format="gray"):
            if matte.pts in frames:
                self._check_size(matte.image, clip)
                yield frames[matte.pts], matte.image

    def read_at(
        self, clip: Clip, wanted: list[int], read: FrameReader | None = None
    ) -> Iterator[tuple[Frame, Matte]]:
        """Yield the frames whose pts is in `wanted` (ascending) and that have a matte, with it.

        `read` reads the clip's frames; by default `read_frames`.
        """
        from pipeline.video.reading.frames import read_frames

        matte_times = self.matte_times(clip)
        available = [p for p in wanted if p in matte_times]
        mattes = read_frames(self.path, only=[matte_times[p] for p in available], pixel_format="gray")
        yield from self._join(clip, matte_times, (read or read_frames)(clip.path, only=available), mattes)

    def covers_frames(self, clip: Clip, wanted: list[int]) -> bool:
        """Return True if there is a matte for each of these frames, given by pts."""
        return self.matte_times(clip).keys() >= set(wanted)

    def _join(
        self, clip: Clip, matte_times: Mapping[int, int], frames: Iterator[Frame], mattes: Iterator[Frame]
    ) -> Iterator[tuple[Frame, Matte]]:
        """Join frames with their mattes; either may lack some of its pictures."""
        matte = next(mattes, None)
        for frame in frames:
            matte_pts = matte_times.get(frame.pts)
            while matte is not None and matte_pts is not None and matte.pts < matte_pts:
                matte = next(mattes, None)
            if matte is None:
                return
            if matte.pts != matte_pts:
                continue
            self._check_size(matte.image, clip)
            yield frame, matte.image

    def _check_size(self, matte: Matte, clip: Clip) -> None:
        if matte.shape != (clip.height, clip.width):
            raise InputError(
                "writing.matte_size",
                name=self.path.name,
                width=matte.shape[1],
                height=matte.shape[0],
                clip=clip.name,
                wide=clip.width,
                high=clip.height,
            )

    def matte_times(self, clip: Clip) -> dict[int, int]:
        """Return the pts in this file by the pts of each of the clip's frames that has a matte, ascending."""
        index = load_index(self.path)
        own = [p for p in load_index(clip.path).pts if p >= self.start]
        if not self.key and len(own) == len(index.pts):
            return dict(zip(own, index.pts, strict=True))  # one for each, if at a rate of its own
        if not own or not index.pts:
            return {}
        # What Recorte wrote counts from `start`, be its first picture missing; others from their first.
        origin = index.origin if self.key else 0
        frames = (np.asarray(own) - self.start) * float(clip.time_base)
        mattes = (np.asarray(index.pts) + origin) * float(index.tick)
        nearest, back = _nearest(frames, mattes), _nearest(mattes, frames)
        # Each is the other's nearest, by less than half a frame.
        mutual = back[nearest] == np.arange(len(own))
        close = np.abs(mattes[nearest] - frames) < 0.5 / float(clip.rate)
        return {own[n]: index.pts[nearest[n]] for n in np.flatnonzero(mutual & close)}


@lru_cache(maxsize=16)
def _open_state(path: Path, _state: tuple[int, int]) -> MatteFile | None:
    """Open a matte file in this state; None for a damaged one, which is made again."""
    try:
        return MatteFile.open(path)
    except VideoError:
        return None


def _nearest(times: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each of `times` the index of the nearest one in `among`, which ascends."""
    right = np.searchsorted(among, times).clip(max=len(among) - 1)
    left = (right - 1).clip(min=0)
    return np.where(times - among[left] < among[right] - times, left, right)


def create_writer(
    path: Path,
    clip: Clip,
    *,
    key: str = "",
    start: int = 0,
    past: int = 0,
    time_base: Fraction | None = None,
) -> Writer:
    """Create a writer of mattes, `[H, W]` uint8, for the frames of `clip` with start <= pts < past."""
    from pipeline.video.writing.timing import StreamSpec
    from pipeline.video.writing.writer import Writer

    return Writer(
        path,
        FORMAT,
        StreamSpec(clip.width, clip.height, time_base or clip.time_base, clip.rate, start),
        metadata={_KEY: key, _START: str(start), _PAST: str(past)},
    )
