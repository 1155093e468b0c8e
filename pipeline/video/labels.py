"""Labels of a video in its container: title, time of creation, timecode and chapters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from av.container import OutputContainer

from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.source import Source

_MUXERS = frozenset({"mp4", "mov", "matroska", "webm"})
"""Muxers that support these labels."""

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")
_TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Chapter:
    """A chapter from `start` to `end`, in seconds from the first frame."""

    start: Fraction
    end: Fraction
    title: str


@dataclass(frozen=True)
class Timecode:
    """Timecode of a frame (SMPTE ST 12-1), as a number of frames since midnight."""

    frames: int
    rate: int
    """Nominal frames per second of the count."""
    drop: bool
    """True for drop-frame timecode: numbers are skipped in nine of ten minutes (29.97 frames per second)."""

    @classmethod
    def parse(cls, text: str, rate: Fraction) -> Self | None:
        """Parse a timecode at `rate` frames per second; return None if `text` is not one."""
        match = _TIMECODE.fullmatch(text.strip())
        nominal = round(rate)
        if match is None or nominal < 1 or int(match[5]) >= nominal:
            return None
        hours, minutes, seconds, number = (int(match[n]) for n in (1, 2, 3, 5))
        drop = match[4] != ":" and nominal % 30 == 0
        minutes += 60 * hours
        frames = (60 * minutes + seconds) * nominal + number
        if drop:
            frames -= nominal // 15 * (minutes - minutes // 10)
        return cls(frames, nominal, drop)

    def later(self, seconds: Fraction, rate: Fraction) -> Self:
        """Return the timecode `seconds` later at `rate` frames per second."""
        return replace(self, frames=self.frames + round(seconds * rate))

    def at_rate(self, rate: Fraction) -> Self:
        """Return the same time of day counted at another frame rate."""
        nominal = round(rate)
        if nominal == self.rate:
            return self
        plain = replace(self, drop=False)
        hour, minute, second, number = (int(part) for part in re.split(r"[:;]", str(self)))
        frames = ((60 * hour + minute) * 60 + second) * nominal + number * nominal // self.rate
        return replace(plain, frames=frames, rate=nominal)

    def __str__(self) -> str:
        frames = self.frames
        if self.drop:
            left_out = self.rate // 15
            tens, rest = divmod(frames, 600 * self.rate - 9 * left_out)
            frames += 9 * left_out * tens
            frames += left_out * max(0, (rest - left_out) // (60 * self.rate - left_out))
        seconds, number = divmod(frames, self.rate)
        minutes, seconds = divmod(seconds, 60)
        hours = minutes // 60 % 24
        return f"{hours:02}:{minutes % 60:02}:{seconds:02}{';' if self.drop else ':'}{number:02}"


@dataclass(frozen=True)
class Labels:
    """Labels of a video; times count from its first frame."""

    title: str = ""
    created: str = ""
    timecode: Timecode | None = None
    """Timecode of the first frame."""
    chapters: tuple[Chapter, ...] = ()

    @classmethod
    def read(cls, path: Path, rate: Fraction) -> Self:
        """Read the labels of a video at `rate` frames per second; raises VideoError if unreadable."""
        times = load_index(path)
        zero = times.origin * times.tick
        with Source(path) as source:
            metadata = {key.lower(): value for key, value in source.container.metadata.items()}
            texts = [(metadata.get("timecode", ""), rate)]
            for stream in source.container.streams:  # a timecode track has a rate of its own
                own = getattr(stream, "average_rate", None) if stream.type == "data" else None
                texts.insert(0 if own else 1, (stream.metadata.get("timecode", ""), own or rate))
            codes = (Timecode.parse(*text) for text in texts)
            return cls(
                title=metadata.get("title", "").strip(),
                created=_creation_time(metadata.get("creation_time", "")),
                timecode=next((code for code in codes if code is not None), None),
                chapters=tuple(_read_chapters(source.container.chapters(), zero)),
            )

    def cut(self, start: Fraction, end: Fraction | None, rate: Fraction) -> Self:
        """Return the labels of the part from `start` to `end` (seconds), at `rate` frames per second."""
        within = (
            Chapter(max(c.start, start) - start, (c.end if end is None else min(c.end, end)) - start, c.title)
            for c in self.chapters
        )
        return replace(
            self,
            timecode=self.timecode and self.timecode.later(start, rate),
            chapters=tuple(chapter for chapter in within if 0 < chapter.end > chapter.start),
        )

    def write_to(self, out: OutputContainer, rate: Fraction) -> None:
        """Add the labels that the container supports; call before its header is written."""
        if out.format.name not in _MUXERS:
            return
        metadata = {
            "title": self.title,
            "creation_time": self.created,
            "timecode": "" if self.timecode is None else str(self.timecode.at_rate(rate)),
        }
        out.metadata.update({key: value for key, value in metadata.items() if value})
        if self.chapters:
            out.set_chapters(
                [_chapter_entry(number, chapter) for number, chapter in enumerate(self.chapters, 1)]
            )


def _read_chapters(entries: list[Any], zero: Fraction) -> Iterator[Chapter]:
    for entry in entries:
        start, end = (Fraction(entry[key] * entry["time_base"]) - zero for key in ("start", "end"))
        if end > start:
            yield Chapter(start, end, entry["metadata"].get("title", ""))


def _chapter_entry(number: int, chapter: Chapter) -> Any:
    return {
        "id": number,
        "start": math.floor(chapter.start / _TICK),
        "end": math.ceil(chapter.end / _TICK),
        "time_base": _TICK,
        "metadata": {"title": chapter.title},
    }


def _creation_time(text: str) -> str:
    """Return a valid creation time, else "": some cameras write 1904, others an unreadable text."""
    try:
        return text if datetime.fromisoformat(text).year > 1970 else ""
    except ValueError:
        return ""
