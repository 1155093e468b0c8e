"""The matte file: one lossless grey picture for each frame, at the frame's time.

FFV1 (RFC 9043) in Matroska, every frame a keyframe. Matroska counts milliseconds, so a frame's matte is
found by its order and not by its time. The file says what it was made from, so that it is used again only
for the same, and from which frame of the video on it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
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

    def pairs(self, clip: Clip, end: int | None = None) -> Iterator[tuple[Frame, Matte]]:
        """Each frame with its matte; raises InputError where they are of different size or number."""
        frames = video.read(clip.path, self.start, end)
        mattes = video.read(self.path, pixel_format="gray")
        for frame in frames:
            matte = next(mattes, None)
            if matte is None:
                return
            if matte.image.shape != frame.image.shape[:2]:
                raise InputError(
                    f"{self.path.name}: this matte has {matte.image.shape[1]} × {matte.image.shape[0]} "
                    f"pixels and {clip.name} has {clip.width} × {clip.height}. Give the one made from it."
                )
            yield frame, matte.image

    def only(self, clip: Clip, wanted: list[int]) -> Iterator[tuple[Frame, Matte]]:
        """The frames whose pts is in `wanted` (ascending), with their mattes, where the file reaches them."""
        own = [p for p in video.index(clip.path).pts if p >= self.start]
        place = dict(zip(own, video.index(self.path).pts, strict=False))
        reached = [p for p in wanted if p in place]
        frames = video.read(clip.path, only=reached)
        mattes = video.read(self.path, only=[place[p] for p in reached], pixel_format="gray")
        yield from ((frame, kept.image) for frame, kept in zip(frames, mattes, strict=True))


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
        metadata={_KEY: key, _START: str(start)},
    )
