"""What a person says about a frame: points to keep or remove, and a box.

Coordinates are pixels of the displayed (upright) frame, origin at the top left; times are seconds
from the first frame of the video.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import PromptError


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    keep: bool = True


@dataclass(frozen=True)
class Box:
    """Corners in XYXY order; x0 < x1 and y0 < y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def between(cls, x0: float, y0: float, x1: float, y1: float) -> Box:
        """The box with these two opposite corners, given in any order."""
        return cls(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


@dataclass(frozen=True)
class Prompt:
    """The marks on one frame.

    A box says what the subject is, and so starts afresh; points without a box correct the mask that was
    carried to their frame, and only start where there is no box at all.
    """

    time: float = 0.0
    points: tuple[Point, ...] = field(default=())
    box: Box | None = None

    @property
    def starts(self) -> bool:
        """Whether these marks alone can say what the subject is: a box, or a point to keep."""
        return self.box is not None or any(point.keep for point in self.points)

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None

    def joined(self, other: Prompt) -> Prompt:
        """These marks and those of `other`, which is the later one: its box stands where both have one."""
        return Prompt(self.time, self.points + other.points, other.box or self.box)

    def check(self, width: int, height: int, duration: float) -> None:
        """Raise PromptError where a mark lies outside a `width` x `height` frame or the video's length."""
        if not math.isfinite(self.time) or not 0 <= self.time <= duration:
            raise PromptError(
                f"A mark sits at {self.time:g} s, but the video is {duration:.2f} s long. "
                "Give a time within the video."
            )
        corners = [(p.x, p.y) for p in self.points]
        if self.box is not None:
            corners += [(self.box.x0, self.box.y0), (self.box.x1, self.box.y1)]
            if self.box.x1 - self.box.x0 < 1 or self.box.y1 - self.box.y0 < 1:
                raise PromptError("A box is less than one pixel wide or high. Draw it around the subject.")
        for x, y in corners:
            if not (0 <= x <= width and 0 <= y <= height):
                raise PromptError(
                    f"A mark at {x:g},{y:g} lies outside the picture, which is {width} × {height} pixels."
                )

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"time": self.time}
        if self.points:
            out["points"] = [{"x": p.x, "y": p.y, "keep": p.keep} for p in self.points]
        if self.box is not None:
            out["box"] = [self.box.x0, self.box.y0, self.box.x1, self.box.y1]
        return out

    @classmethod
    def from_json(cls, data: Any) -> Prompt:
        """Raises PromptError where `data` is not what `to_json` writes."""
        try:
            points = tuple(
                Point(float(p["x"]), float(p["y"]), bool(p.get("keep", True))) for p in data.get("points", ())
            )
            box = Box.between(*(float(v) for v in data["box"])) if data.get("box") else None
            return cls(float(data.get("time", 0.0)), points, box)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PromptError(
                'Marks are read as {"time": 0.0, "points": [{"x": 1, "y": 2, "keep": true}], '
                f'"box": [x0, y0, x1, y1]}}, and this is none: {data!r:.120}'
            ) from error


def ordered(prompts: Iterable[Prompt]) -> tuple[Prompt, ...]:
    """By time, marks at one time joined (the last box stands), empty ones dropped."""
    joined: dict[float, Prompt] = {}
    for p in prompts:
        joined[p.time] = joined.get(p.time, Prompt(p.time)).joined(p)
    return tuple(sorted((p for p in joined.values() if p), key=lambda p: p.time))


def from_json(data: Any) -> tuple[Prompt, ...]:
    """A JSON list of prompts, ordered; raises PromptError."""
    if not isinstance(data, list):
        raise PromptError("Prompts are a JSON list, one entry for each marked frame.")
    return ordered(Prompt.from_json(entry) for entry in data)


def to_json(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    return [p.to_json() for p in prompts]
