"""Three-way merge of edits of one session from several windows.

An edit comes with what its window had before it. Its changes are applied to what the session has now, and
changes of other windows stay. Prompts are identified by object and frame, points and strokes one by one.
Where both have changed the same thing the edit wins, and a conflict is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from pipeline.job import Job
from pipeline.prompts import Object, Prompt, normalise

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
    prompts_by_key = [{(p.object, p.time): p for p in m.prompts} for m in (base, mine, theirs)]
    for key in sorted({key for by_key in prompts_by_key for key in by_key}):
        empty = Prompt(key[1], object=key[0])
        prompt, clash = _prompt(*(by_key.get(key, empty) for by_key in prompts_by_key))
        prompts.append(prompt)
        if clash:
            clashes.append(Conflict(*key))
    objects = []
    base_objects, my_objects, their_objects = ({o.number: o for o in m.objects} for m in (base, mine, theirs))
    for number in sorted(base_objects.keys() | my_objects.keys() | their_objects.keys()):
        merged, clash = _pick(base_objects.get(number), my_objects.get(number), their_objects.get(number))
        if merged is not None:
            objects.append(merged)
        if clash:
            clashes.append(Conflict(number, None))
    (start, end), clash = _pick(*((m.start, m.end) for m in (base, mine, theirs)))
    if clash:
        clashes.append(Conflict(None, None))
    return Marks(normalise(prompts), tuple(objects), start, end), clashes


def _prompt(base: Prompt, mine: Prompt, theirs: Prompt) -> tuple[Prompt, bool]:
    """Merge one object's prompt on one frame; True on a conflict."""
    points, points_clash = _marks(base.points, mine.points, theirs.points)
    strokes, strokes_clash = _marks(base.strokes, mine.strokes, theirs.strokes)
    box, box_clash = _pick(base.box, mine.box, theirs.box)
    mask, mask_clash = _pick(base.mask, mine.mask, theirs.mask)
    candidate, candidate_clash = _pick(base.candidate, mine.candidate, theirs.candidate)
    merged = replace(theirs, points=points, box=box, candidate=candidate, strokes=strokes, mask=mask)
    clash = points_clash or box_clash or strokes_clash or mask_clash
    if not merged.is_single_click:
        return replace(merged, candidate=None), clash
    return merged, clash or candidate_clash


def _marks(
    base: Iterable[Value], mine: Iterable[Value], theirs: Iterable[Value]
) -> tuple[tuple[Value, ...], bool]:
    base, mine, theirs = list(base), list(mine), list(theirs)
    removed = [point for point in base if point not in mine]
    new = [point for point in mine if point not in base]
    remaining = [point for point in theirs if point not in removed]
    added = [point for point in new if point not in theirs]
    # A moved point is removed and new; moved in both windows, it is in two places.
    moved = bool(new) and any(point not in theirs for point in removed) and added != []
    return tuple(remaining + added), moved


def _pick(base: Value, mine: Value, theirs: Value) -> tuple[Value, bool]:
    """Return the value changed on one side only; if both changed it differently, `mine` and True."""
    if mine == base:
        return theirs, False
    return mine, theirs not in (base, mine)
