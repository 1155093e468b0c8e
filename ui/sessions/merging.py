"""Three-way merge of edits of one session from several windows.

An edit comes with what its window had before it. Its changes are applied to what the session has now, and
changes of other windows stay. Prompts are identified by object and frame, points one by one. Where both have
changed the same thing the edit wins, and a conflict is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from pipeline.job import Job
from pipeline.prompts import Object, Point, Prompt, normalise

Value = TypeVar("Value")


@dataclass(frozen=True)
class Marks:
    """Marks, objects and kept part of the video, as they are edited on the stage."""

    prompts: tuple[Prompt, ...]
    objects: tuple[Object, ...]
    start: float
    end: float | None

    @classmethod
    def of(cls, job: Job) -> Marks:
        return cls(job.prompts, job.objects, job.start, job.end)


class Conflict(NamedTuple):
    """Something that two windows have changed differently."""

    object: int | None
    """None: the part of the video that is kept."""
    time: float | None
    """Seconds; None: the object itself."""


def merge(base: Marks, mine: Marks, theirs: Marks) -> tuple[Marks, list[Conflict]]:
    """Apply the change from `base` to `mine` to `theirs`; returns the marks and the conflicts."""
    clashes: list[Conflict] = []
    prompts = []
    befores, edited, now = ({(p.object, p.time): p for p in m.prompts} for m in (base, mine, theirs))
    for key in sorted(befores.keys() | edited.keys() | now.keys()):
        nothing = Prompt(key[1], object=key[0])
        prompt, clash = _prompt(*(marks.get(key, nothing) for marks in (befores, edited, now)))
        prompts.append(prompt)
        if clash:
            clashes.append(Conflict(*key))
    things = []
    before, edits, current = ({thing.number: thing for thing in m.objects} for m in (base, mine, theirs))
    for number in sorted(before.keys() | edits.keys() | current.keys()):
        thing, clash = _pick(before.get(number), edits.get(number), current.get(number))
        if thing is not None:
            things.append(thing)
        if clash:
            clashes.append(Conflict(number, None))
    (start, end), clash = _pick(*((m.start, m.end) for m in (base, mine, theirs)))
    if clash:
        clashes.append(Conflict(None, None))
    return Marks(normalise(prompts), tuple(things), start, end), clashes


def _prompt(base: Prompt, mine: Prompt, theirs: Prompt) -> tuple[Prompt, bool]:
    """Merge one object's prompt on one frame; True on a conflict."""
    points, moved = _points(base.points, mine.points, theirs.points)
    box, drawn = _pick(base.box, mine.box, theirs.box)
    candidate, chosen = _pick(base.candidate, mine.candidate, theirs.candidate)
    made = replace(theirs, points=points, box=box, candidate=candidate)
    return (made if made.is_single_click else replace(made, candidate=None)), moved or drawn or (
        chosen and made.is_single_click
    )


def _points(
    base: Iterable[Point], mine: Iterable[Point], theirs: Iterable[Point]
) -> tuple[tuple[Point, ...], bool]:
    base, mine, theirs = list(base), list(mine), list(theirs)
    gone = [point for point in base if point not in mine]
    new = [point for point in mine if point not in base]
    kept = [point for point in theirs if point not in gone]
    added = [point for point in new if point not in theirs]
    # A moved point is gone and new; moved in both windows, it is in two places.
    moved = bool(new) and any(point not in theirs for point in gone) and added != []
    return tuple(kept + added), moved


def _pick(base: Value, mine: Value, theirs: Value) -> tuple[Value, bool]:
    """Return the value changed on one side only; if both changed it differently, `mine` and True."""
    if mine == base:
        return theirs, False
    return mine, theirs not in (base, mine)
