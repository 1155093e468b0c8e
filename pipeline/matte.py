"""The matte file: one lossless grey picture for each frame, at the frame's time.

FFV1 (RFC 9043) in Matroska, every frame a keyframe. Matroska counts milliseconds, so a frame's matte is
found by its order and not by its time. The file says what it was made from, so that it is used again only
for the same, and from which frame of the video on it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Self

from pipeline import video
from pipeline.clip import Clip
from pipeline.errors import InputError, VideoError
from pipeline.formats import Format
from pipeline.models import Matte
from pipeline.video import Frame, Writer

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

_KEY, _START = "RECORTE_KEY", "RECORTE_START"


@dataclass(frozen=True)
class Kept:
    """A matte file that was written."""

    path: Path
    key: str
    """What it was made from; empty where the file does not say."""
    start: int
    """The pts of the clip's frame that its first picture belongs to."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises VideoError where `path` is no video at all."""
        tags = video.metadata(path)
        start = tags.get(_START, "0")
        return cls(path, tags.get(_KEY, ""), int(start) if start.isdecimal() else 0)

    @classmethod
    def find(cls, path: Path | None, key: str) -> Self | None:
        """The matte at `path` if it was made from just this."""
        if path is None or not path.exists():
            return None
        try:
            kept = cls.open(path)
        except VideoError:
            return None  # a damaged matte is made again
        return kept if kept.key == key else None

    @cached_property
    def count(self) -> int:
        """For how many frames there is a matte."""
        return len(video.index(self.path).pts)

    def past(self, clip: Clip) -> int | None:
        """The pts of the clip's first frame behind those with a matte; None where they reach its end."""
        left = [p for p in video.index(clip.path).pts if p >= self.start][self.count :]
        return left[0] if left else None

    def pairs(self, clip: Clip) -> Iterator[tuple[Frame, Matte]]:
        """Each frame with its matte; raises InputError where the file was not made from this clip."""
        frames = video.read(clip.path, self.start)
        for matte in video.read(self.path, pixel_format="gray"):
            frame = next(frames, None)
            if frame is None:
                raise InputError(
                    f"{self.path.name}: this matte has {self.count} pictures, more than {clip.name} has "
                    "frames for. Give the one made from it."
                )
            if matte.image.shape != frame.image.shape[:2]:
                raise InputError(
                    f"{self.path.name}: this matte has {matte.image.shape[1]} × {matte.image.shape[0]} "
                    f"pixels and {clip.name} has {clip.width} × {clip.height}. Give the one made from it."
                )
            yield frame, matte.image

    def only(self, clip: Clip, wanted: list[int]) -> Iterator[tuple[Frame, Matte]]:
        """The frames whose pts is in `wanted` (ascending), with their mattes, where the file reaches them."""
        place = self._places(clip)
        reached = [p for p in wanted if p in place]
        frames = video.read(clip.path, only=reached)
        mattes = video.read(self.path, only=[place[p] for p in reached], pixel_format="gray")
        yield from ((frame, kept.image) for frame, kept in zip(frames, mattes, strict=True))

    def reaches(self, clip: Clip, wanted: list[int]) -> bool:
        """Whether there is a matte for each of these frames."""
        return self._places(clip).keys() >= set(wanted)

    def _places(self, clip: Clip) -> dict[int, int]:
        """The pts in this file for each pts of the clip."""
        own = [p for p in video.index(clip.path).pts if p >= self.start]
        return dict(zip(own, video.index(self.path).pts, strict=False))


def writer(
    path: Path, clip: Clip, *, key: str = "", start: int = 0, time_base: Fraction | None = None
) -> Writer:
    """Writes mattes `[H, W]` for the frames of `clip` from pts `start` on."""
    return Writer(
        path,
        FORMAT,
        width=clip.width,
        height=clip.height,
        time_base=time_base or clip.time_base,
        rate=clip.rate,
        start=start,
        metadata={_KEY: key, _START: str(start)},
    )
