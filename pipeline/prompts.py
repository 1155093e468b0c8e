"""Prompts: points to keep or remove, boxes, brush strokes and masks, placed on frames by the user.

Coordinates are pixels of the displayed (upright) frame, origin at the top left; times are seconds
from the first frame of the video.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import PromptError
from pipeline.files import clean_name, identify

CANDIDATES = 3
"""Number of candidate masks for a single click, from a part to the whole."""


_MOST_OBJECTS = 99
"""Each object is propagated by streams of its own."""

_HIGHEST_NUMBER = 9999

MOST_STROKES = 200
"""Most strokes of one object on one frame."""

MOST_VERTICES = 500
"""Most vertices of a stroke."""


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    keep: bool = True
    whole: bool = False
    """True: stands for all of the thing that it lies on, where the model can tell that from others."""

    def to_json(self) -> dict[str, Any]:
        whole = {"whole": True} if self.whole else {}
        return {"x": self.x, "y": self.y, "keep": self.keep, **whole}


@dataclass(frozen=True)
class Box:
    """Corners in XYXY order; x0 < x1 and y0 < y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def between(cls, x0: float, y0: float, x1: float, y1: float) -> Box:
        """Return the box with these two opposite corners, given in any order."""
        return cls(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


@dataclass(frozen=True)
class Stroke:
    """Brush stroke: a polyline with round joints and ends, in pixels of the frame.

    What it covers is opaque in the matte of its frame, or transparent; of strokes that overlap the later one
    counts. Vertices may lie beside the frame, where nothing is painted.
    """

    path: tuple[tuple[float, float], ...]
    """Vertices, x before y."""
    width: float
    """The brush's diameter."""
    keep: bool = True

    def check(self, width: int, height: int) -> None:
        """Raise PromptError where the stroke does not fit a `width` x `height` frame."""
        largest = max(width, height)
        if not 1 <= len(self.path) <= MOST_VERTICES:
            raise PromptError("marks.stroke_points", most=MOST_VERTICES)
        if not 1 <= self.width <= largest:
            raise PromptError("marks.stroke_width", most=largest)
        for x, y in self.path:
            if not (-largest <= x <= width + largest and -largest <= y <= height + largest):
                raise PromptError("marks.stroke_outside", place=f"{x:g},{y:g}", width=width, height=height)

    def to_json(self) -> dict[str, Any]:
        return {"path": [list(vertex) for vertex in self.path], "width": self.width, "keep": self.keep}

    @classmethod
    def from_json(cls, data: Any) -> Stroke:
        """Read from JSON; raises a built-in error where `data` is not what `to_json` writes."""
        path = tuple((float(x), float(y)) for x, y in data["path"])
        return cls(path, float(data["width"]), bool(data.get("keep", True)))


@dataclass(frozen=True)
class MaskFile:
    """Mask of an object on a frame that another tool made; `pipeline.imaging.mask_files` reads it."""

    path: Path
    invert: bool = False
    """White is the background."""

    def identify(self) -> list[Any]:
        """Return what the mask depends on, as JSON."""
        return [identify(self.path), self.invert]

    def to_json(self, folder: Path | None = None) -> dict[str, Any]:
        """Return it as JSON; a path below `folder` is relative to that."""
        inside = folder is not None and self.path.is_relative_to(folder)
        path = self.path.relative_to(folder) if folder is not None and inside else self.path
        return {"file": str(path), **({"invert": True} if self.invert else {})}

    @classmethod
    def from_json(cls, data: Any, folder: Path | None = None) -> MaskFile:
        """Read from JSON; raises a built-in error where `data` is not what `to_json` writes."""
        file, invert = data["file"], data.get("invert", False)
        if not isinstance(file, str) or not file or "\0" in file or not isinstance(invert, bool):
            raise TypeError("mask")
        return cls(Path(file) if folder is None else folder / file, invert)


@dataclass(frozen=True)
class Prompt:
    """Prompts of one object on one frame.

    A box or a mask initialises the object anew; points without either correct the mask propagated to their
    frame, and initialise the object only where it has no box and no mask at all. Strokes correct the mask,
    too, and initialise the object where nothing else does.
    """

    time: float = 0.0
    points: tuple[Point, ...] = field(default=())
    box: Box | None = None
    object: int = 1
    """Number of the object."""
    candidate: int | None = None
    """Index of the chosen candidate mask of a single click; None: the best one."""
    strokes: tuple[Stroke, ...] = field(default=())
    """In the order in which they were painted."""
    mask: MaskFile | None = None
    """The object's mask on the frame, which points and strokes correct; a box beside it has no effect."""

    @property
    def initialises(self) -> bool:
        """True if the prompt can initialise an object: it has a box, a mask, or a point to keep."""
        return self.initialises_anew or any(point.keep for point in self.points)

    @property
    def initialises_anew(self) -> bool:
        """True if it initialises the object whatever was propagated to its frame: it has a box or a mask."""
        return self.box is not None or self.mask is not None

    @property
    def paints(self) -> bool:
        """True if it has a stroke to keep, which initialises an object where nothing else does."""
        return any(stroke.keep for stroke in self.strokes)

    @property
    def is_single_click(self) -> bool:
        """True for a single point to keep, which may mean a part of an object or all of it.

        Strokes beside it correct the mask that it stands for.
        """
        return not self.initialises_anew and len(self.points) == 1 and self.points[0].keep

    def __bool__(self) -> bool:
        return bool(self.points) or self.initialises_anew or bool(self.strokes)

    def merge(self, other: Prompt) -> Prompt:
        """Merge with `other`, the later one, whose box and mask win where both have one."""
        both = replace(
            self,
            points=self.points + other.points,
            box=other.box or self.box,
            strokes=self.strokes + other.strokes,
            mask=other.mask or self.mask,
        )
        chosen = self.candidate if other.candidate is None else other.candidate
        return replace(both, candidate=chosen if both.is_single_click else None)

    def check(self, width: int, height: int, duration: float) -> None:
        """Raise PromptError where a mark lies outside a `width` x `height` frame or the video's duration."""
        if not math.isfinite(self.time) or not 0 <= self.time <= duration:
            raise PromptError("marks.after_end", time=self.time, length=duration)
        _check_number(self.object)
        if self.candidate is not None and not (self.is_single_click and 0 <= self.candidate < CANDIDATES):
            raise PromptError("marks.candidate_number", most=CANDIDATES)
        corners = [(p.x, p.y) for p in self.points]
        if self.box is not None:
            corners += [(self.box.x0, self.box.y0), (self.box.x1, self.box.y1)]
            if self.box.x1 - self.box.x0 < 1 or self.box.y1 - self.box.y0 < 1:
                raise PromptError("marks.thin_box")
        for x, y in corners:
            if not (0 <= x <= width and 0 <= y <= height):
                raise PromptError("marks.outside", place=f"{x:g},{y:g}", width=width, height=height)
        _check_count(self.strokes)
        for stroke in self.strokes:
            stroke.check(width, height)

    def to_json(self, folder: Path | None = None) -> dict[str, Any]:
        """Return it as JSON; the path of a mask below `folder` is relative to that."""
        out: dict[str, Any] = {"time": self.time}
        if self.points:
            out["points"] = [p.to_json() for p in self.points]
        if self.box is not None:
            out["box"] = [self.box.x0, self.box.y0, self.box.x1, self.box.y1]
        if self.object != 1:
            out["object"] = self.object
        if self.candidate is not None:
            out["candidate"] = self.candidate
        if self.strokes:
            out["strokes"] = [stroke.to_json() for stroke in self.strokes]
        if self.mask is not None:
            out["mask"] = self.mask.to_json(folder)
        return out

    def identify(self) -> dict[str, Any]:
        """Return what a matte depends on of it, as JSON: a mask by its file's fingerprint."""
        data = self.to_json()
        return data if self.mask is None else data | {"mask": self.mask.identify()}

    @classmethod
    def from_json(cls, data: Any, folder: Path | None = None) -> Prompt:
        """Read from JSON, with the path of a mask relative to `folder`.

        Raises PromptError where `data` is not what `to_json` writes.
        """
        try:
            points = tuple(
                Point(float(p["x"]), float(p["y"]), bool(p.get("keep", True)), bool(p.get("whole", False)))
                for p in data.get("points", ())
            )
            box = Box.between(*(float(v) for v in data["box"])) if data.get("box") else None
            chosen = data.get("candidate")
            made = cls(
                float(data.get("time", 0.0)),
                points,
                box,
                _whole(data.get("object", 1)),
                None if chosen is None else _whole(chosen),
                tuple(map(Stroke.from_json, data.get("strokes", ()))),
                MaskFile.from_json(data["mask"], folder) if data.get("mask") else None,
            )
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise PromptError(
                "marks.malformed",
                form='{"time": 0.0, "points": [{"x": 1, "y": 2, "keep": true}], "box": [x0, y0, x1, y1]}',
                data=f"{data!r:.120}",
            ) from error
        _check_number(made.object)
        _check_count(made.strokes)
        return made


@dataclass(frozen=True)
class Object:
    """Object to keep; its prompts carry its number."""

    number: int
    name: str = ""
    """Name given by the user; empty: none."""
    on: bool = True
    """False leaves it out of the result."""

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Any) -> Object:
        """Read from JSON; raises PromptError where `data` is not what `to_json` writes."""
        try:
            made = cls(
                _whole(data["number"]),
                clean_name(str(data.get("name", "")))[:60],
                bool(data.get("on", True)),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise PromptError("marks.malformed_object", data=f"{data!r:.120}") from error
        _check_number(made.number)
        return made


def normalise(prompts: Iterable[Prompt]) -> tuple[Prompt, ...]:
    """Sort by time and object, drop empty prompts, and merge those of one object at one time."""
    merged: dict[tuple[float, int], Prompt] = {}
    for p in prompts:
        key = p.time, p.object
        merged[key] = merged[key].merge(p) if key in merged else p
    return tuple(sorted((p for p in merged.values() if p), key=lambda p: (p.time, p.object)))


def group_by_object(prompts: Iterable[Prompt]) -> dict[int, tuple[Prompt, ...]]:
    """Return the prompts of each object, by number, ascending.

    Objects that no prompt initialises are left out, unless that is true of all.
    """
    groups: dict[int, tuple[Prompt, ...]] = {}
    for p in sorted(prompts, key=lambda p: p.object):
        groups[p.object] = (*groups.get(p.object, ()), p)
    initialised = {
        number: own
        for number, own in groups.items()
        if any(prompt.initialises or prompt.paints for prompt in own)
    }
    return initialised or groups


def from_json(data: Any, folder: Path | None = None) -> tuple[Prompt, ...]:
    """Read a JSON list of prompts and normalise it; `folder` as in `Prompt.from_json`. Raises PromptError."""
    if not isinstance(data, list):
        raise PromptError("marks.not_a_list")
    prompts = normalise(Prompt.from_json(entry, folder) for entry in data)
    if len({prompt.object for prompt in prompts}) > _MOST_OBJECTS:
        raise PromptError("marks.too_many_objects", most=_MOST_OBJECTS)
    return prompts


def objects_from_json(data: Any) -> tuple[Object, ...]:
    """Read a JSON list of objects, sorted by number; raises PromptError."""
    if not isinstance(data, list) or len(data) > _MOST_OBJECTS:
        raise PromptError("marks.objects_not_a_list")
    by_number = {item.number: item for item in map(Object.from_json, data)}
    return tuple(by_number[number] for number in sorted(by_number))


def _check_count(strokes: Sequence[Stroke]) -> None:
    if len(strokes) > MOST_STROKES:
        raise PromptError("marks.too_many_strokes", most=MOST_STROKES)


def _check_number(number: int) -> None:
    if not 1 <= number <= _HIGHEST_NUMBER:
        raise PromptError("marks.object_number", most=_HIGHEST_NUMBER)


def _whole(value: Any) -> int:
    """Return `value`; raises ValueError where it is no whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")
    return value


def to_json(prompts: Sequence[Prompt], folder: Path | None = None) -> list[dict[str, Any]]:
    return [p.to_json(folder) for p in prompts]
