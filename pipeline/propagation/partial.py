"""Mattes of an unfinished run: those that a run, or the cut ahead of one, has stored so far, frame by frame.

Read from the resume data on disk, also while a run writes there, in this process or another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from pipeline import prompts
from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.propagation import resume
from pipeline.propagation.plan import Direction, PlanInputs, Segment, spool_name
from pipeline.propagation.scenes import known_plan_inputs
from pipeline.propagation.spool import StoredMatte, find_stored_matte, stored_mattes
from pipeline.video.reading.index_cache import load_index


@dataclass(frozen=True)
class PartialMatte:
    """Stored mattes of a job, by object and frame, as they were when it was opened."""

    clip: Clip
    objects: Mapping[int, Mapping[int, StoredMatte]]
    """By object number and pts."""

    @classmethod
    def find(cls, job: Job, clip: Clip) -> Self | None:
        """Return what is stored for this very job; None if nothing is."""
        inputs = resume.read_plan_inputs(job, clip)
        if inputs is None or job.matte is None:
            return None
        folder = resume.resume_folder(job.matte)
        stored = {
            number: _stored_of_object(folder, place, segments)
            for place, (number, segments) in enumerate(_segments_by_object(inputs, job, clip).items())
        }
        # Data of other prompts may have been put in its place meanwhile.
        return cls(clip, stored) if resume.is_of(job, clip) else None

    @classmethod
    def find_kept(cls, job: Job, clip: Clip) -> Self | None:
        """Return what the next run of a job will keep of the data of another, such as one with fewer prompts.

        None if there is nothing, or if that cannot be known without a search in the clip.
        """
        inputs = known_plan_inputs(job, clip)
        kept = None if inputs is None else resume.find_kept(job, clip, inputs)
        if inputs is None or kept is None:
            return None
        stored = {
            number: {
                pts: found
                for name, segment, direction in _streams(place, segments)
                if (stream := kept.streams.get(name))
                for pts, found in stored_mattes(stream.folder).items()
                if segment.serves(direction, pts) and stream.keeps(pts)
            }
            for place, (number, segments) in enumerate(_segments_by_object(inputs, job, clip).items())
        }
        return cls(clip, stored) if kept.are_there() else None

    @classmethod
    def read(cls, folder: Path, plan: Iterable[list[Segment]], clip: Clip) -> Self:
        """Read what a plan's streams have stored in `folder`; objects are numbered by their place."""
        return cls(
            clip,
            {place: _stored_of_object(folder, place, segments) for place, segments in enumerate(plan)},
        )

    def unions(self) -> Generator[tuple[int, Matte], None, None]:
        """Yield the pts of each frame that has a matte, ascending, with the union of its objects' mattes.

        Raises OSError, ValueError or zlib.error where a run has replaced them meanwhile.
        """
        for pts in sorted(set[int]().union(*self.objects.values())):
            yield pts, self.union(pts)

    def union(self, pts: int) -> Matte:
        """Return the union of the objects' mattes on a frame that has any. Raises as `unions` does."""
        mattes = [stored[pts].read(self.clip) for stored in self.objects.values() if pts in stored]
        union: Matte = np.maximum.reduce(mattes)
        return union

    def ready(self) -> set[int]:
        """Return the pts of the frames that have the mattes of all objects."""
        first, *others = (set(stored) for stored in self.objects.values())
        return first.intersection(*others)

    def confidences(self, ready: Iterable[int]) -> dict[int, float]:
        """Return the lowest confidence of any object on each of these frames, by pts."""
        return {pts: min(stored[pts].confidence for stored in self.objects.values()) for pts in ready}


def find_mattes(job: Job, clip: Clip, pts: int) -> dict[int, Matte] | None:
    """Return the stored matte of each object on a frame, by number; None unless all are there."""
    inputs = resume.read_plan_inputs(job, clip)
    if inputs is None or job.matte is None:
        return None
    folder = resume.resume_folder(job.matte)
    mattes = _read_frame(inputs, job, clip, pts, lambda name: folder / name)
    # Data of other prompts may have been put in its place meanwhile.
    return mattes if resume.is_of(job, clip) else None


def find_kept_mattes(job: Job, clip: Clip, pts: int) -> dict[int, Matte] | None:
    """Do as `find_mattes`, with what `PartialMatte.find_kept` returns."""
    inputs = known_plan_inputs(job, clip)
    kept = None if inputs is None else resume.find_kept(job, clip, inputs)
    if inputs is None or kept is None:
        return None

    def folder(name: str) -> Path | None:
        stream = kept.streams.get(name)
        return stream.folder if stream and stream.keeps(pts) else None

    mattes = _read_frame(inputs, job, clip, pts, folder)
    return mattes if kept.are_there() else None


def _read_frame(
    inputs: PlanInputs, job: Job, clip: Clip, pts: int, folder: Callable[[str], Path | None]
) -> dict[int, Matte] | None:
    """Read the matte of each object on a frame; `folder` returns that of a stream, None: not to be read."""
    mattes = {}
    for place, (number, segments) in enumerate(_segments_by_object(inputs, job, clip).items()):
        folders = (
            path
            for name, segment, direction in _streams(place, segments)
            if segment.serves(direction, pts) and (path := folder(name))
        )
        stored = next((found for path in folders if (found := find_stored_matte(path, pts))), None)
        if stored is None:
            return None
        try:
            mattes[number] = stored.read(clip)
        except (OSError, ValueError, zlib.error):  # replaced since
            return None
    return mattes


def ready_ranges(job: Job, clip: Clip, ready: Iterable[int]) -> list[tuple[int, int]]:
    """Return the ready frames in the job's range as ranges [first, past) of frame numbers, ascending."""
    known = frozenset(ready)
    first, past = pts_range(job, clip)
    ranges: list[tuple[int, int]] = []
    for number, pts in enumerate(load_index(clip.path).pts):
        if pts not in known or not first <= pts < past:
            continue
        if ranges and ranges[-1][1] == number:
            ranges[-1] = ranges[-1][0], number + 1
        else:
            ranges.append((number, number + 1))
    return ranges


def _segments_by_object(inputs: PlanInputs, job: Job, clip: Clip) -> dict[int, list[Segment]]:
    """Return the segments of each object's streams by its number; their order is their place in the plan."""
    numbers = list(prompts.group_by_object(inputs.prompts)) or [1]
    return dict(zip(numbers, inputs.plan(clip, pts_range(job, clip)), strict=True))


def _streams(place: int, segments: Iterable[Segment]) -> Iterator[tuple[str, Segment, Direction]]:
    """Yield each stream of one object: the name of its folder, its segment and its direction."""
    for segment in segments:
        for direction in segment.directions:
            yield spool_name(place, segment, direction), segment, direction


def _stored_of_object(folder: Path, place: int, segments: Iterable[Segment]) -> dict[int, StoredMatte]:
    return {
        pts: stored
        for name, segment, direction in _streams(place, segments)
        for pts, stored in stored_mattes(folder / name).items()
        if segment.serves(direction, pts)
    }
