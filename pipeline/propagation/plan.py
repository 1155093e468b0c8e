"""Plan of the propagation: which frames of a clip are given to a model in which streams.

A model propagates a mask from the first frame of its stream to the last. The clip is therefore cut into
streams from every frame whose prompts initialise an object: forward from it and backward from it, meeting
half-way where there are several such frames. A box or a mask initialises an object on any frame; without
either, the first points to keep do; without these, the first strokes to keep, by points along them. All other
prompts are corrections: they lie within a stream and apply from their frame on, in the direction of the
stream.

Each object has streams of its own. Where scene cuts are known beforehand, each scene has initial frames of
its own, and streams meet at a cut rather than half-way.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from pipeline import prompts
from pipeline.clip import Clip
from pipeline.errors import PromptError
from pipeline.imaging import strokes
from pipeline.prompts import Prompt
from pipeline.video.reading.index_cache import load_index

PromptsByFrame = Mapping[int, Prompt]
"""The prompts of one object by the pts of their frames."""

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Segment:
    """Part of a clip that gets its mattes by streams from one initial frame."""

    initial_pts: int
    """The pts of the frame that the streams start from; it may lie outside the segment."""
    begin_pts: int
    end_pts: int
    """The segment holds the frames with begin_pts <= pts < end_pts."""
    prompts: PromptsByFrame

    def forward(self, times: Iterable[int]) -> list[int]:
        """Return those of `times` (pts) that the forward stream is given."""
        return [p for p in times if self.initial_pts <= p < self.end_pts]

    def backward(self, times: Iterable[int]) -> list[int]:
        """Return those of `times` (pts) that the backward stream is given; none if it yields no matte."""
        given = [p for p in times if self.begin_pts <= p <= self.initial_pts]
        return given if given and given[0] < min(self.initial_pts, self.end_pts) else []

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Directions of the streams that yield mattes of this segment, the backward one first."""
        backward: tuple[Direction, ...] = (
            ("backward",) if self.begin_pts < min(self.initial_pts, self.end_pts) else ()
        )
        return (*backward, "forward") if self.initial_pts < self.end_pts else backward

    def serves(self, direction: Direction, pts: int) -> bool:
        """Return True if the matte of this frame is taken from the stream in that direction."""
        if not self.begin_pts <= pts < self.end_pts:
            return False
        return pts >= self.initial_pts if direction == "forward" else pts < self.initial_pts

    def stream_prompts(self, direction: Direction) -> PromptsByFrame:
        """Return the prompts that lie on a stream's way, by pts, ascending."""
        if direction == "forward":
            return {p: prompt for p, prompt in self.prompts.items() if self.initial_pts <= p < self.end_pts}
        return {p: prompt for p, prompt in self.prompts.items() if self.begin_pts <= p <= self.initial_pts}


def plan_segments(
    active: Iterable[Prompt],
    clip: Clip,
    begin: int,
    end: int,
    cuts: Collection[int] = (),
    *,
    automatic: bool = False,
) -> list[list[Segment]]:
    """Return for each object the segments that together cover begin <= pts < end, in order.

    `cuts` are the pts of the frames that begin a scene, ascending, as far as they are known and matter.
    `automatic`: the model finds a subject that no point or box initialises, so that strokes only correct it.
    """
    objects = prompts.group_by_object(active).values() or [()]
    initialised = any(prompt.initialises for own in objects for prompt in own)
    painted = not automatic or initialised or len(objects) > 1
    return [_plan_object(own, clip, begin, end, cuts, painted) for own in objects]


class PlanInputs(NamedTuple):
    """Inputs of a plan that take long to find: scene cuts and proposed prompts."""

    scenes: Collection[int]
    """The pts of frames that begin a scene, as far as they matter."""
    prompts: tuple[Prompt, ...]
    """The job's active prompts and those that were proposed."""
    automatic: bool = False
    """As in `plan_segments`."""
    scanned: tuple[int, int] | None = None
    """The pts of the first and the last frame between which scene cuts were looked for; None: nowhere."""
    proposed: tuple[Prompt, ...] | None = None
    """Prompts that were proposed; None: none were asked for."""

    def plan(self, clip: Clip, frames: tuple[int, int]) -> list[list[Segment]]:
        """Return the segments of each object in a pts range, as `plan_segments`."""
        return plan_segments(self.prompts, clip, *frames, self.scenes, automatic=self.automatic)

    def with_masks(self, active: Iterable[Prompt]) -> PlanInputs:
        """Return the inputs with the mask files of a job's active prompts: each machine has its own."""
        masks = {(prompt.time, prompt.object): prompt.mask for prompt in active if prompt.mask is not None}
        return self._replace(
            prompts=tuple(
                replace(prompt, mask=masks.get((prompt.time, prompt.object), prompt.mask))
                for prompt in self.prompts
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return the inputs as JSON."""
        return {
            "scenes": list(self.scenes),
            "prompts": prompts.to_json(self.prompts),
            "automatic": self.automatic,
            "scanned": self.scanned and list(self.scanned),
            "proposed": None if self.proposed is None else prompts.to_json(self.proposed),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PlanInputs | None:
        """Read the inputs from JSON; None where `data` is not what `to_json` writes."""
        try:
            scanned, proposed = data.get("scanned"), data.get("proposed")
            return cls(
                [int(pts) for pts in data["scenes"]],
                prompts.from_json(data["prompts"]),
                bool(data.get("automatic", False)),
                None if scanned is None else (int(scanned[0]), int(scanned[1])),
                None if proposed is None else prompts.from_json(proposed),
            )
        except (LookupError, TypeError, ValueError, PromptError):
            return None


class PlannedStream(NamedTuple):
    """Stream of a plan: the frames of one object from an initial one in one direction."""

    number: int
    """The object's place in the plan."""
    segment: Segment
    direction: Direction

    @property
    def name(self) -> str:
        """Name of its folder."""
        return spool_name(self.number, self.segment, self.direction)

    def count(self, times: Sequence[int]) -> int:
        """Count its frames among `times` (pts); an initial frame counts in the forward stream alone."""
        forward = self.segment.forward(times)
        if self.direction == "forward":
            return len(forward)
        return len({*self.segment.backward(times)}.difference(forward))


def list_streams(plan: Iterable[Iterable[Segment]]) -> list[PlannedStream]:
    """Return the streams of a plan."""
    return [
        PlannedStream(number, segment, direction)
        for number, segments in enumerate(plan)
        for segment in segments
        for direction in segment.directions
    ]


def spool_name(number: int, segment: Segment, direction: Direction) -> str:
    """Return the name of a stream's folder; `number` is the object's place in the plan."""
    return f"{number}-{segment.initial_pts}-{direction}"


def _plan_object(
    own: Iterable[Prompt], clip: Clip, begin: int, end: int, cuts: Collection[int], painted: bool
) -> list[Segment]:
    """Plan the streams of one object; `painted`: its strokes may initialise it."""
    by_frame = prompts_by_frame(own, clip)
    scenes: dict[int, list[int]] = {}
    for pts in by_frame:
        scenes.setdefault(sum(cut <= pts for cut in cuts), []).append(pts)
    initial = [pts for scene in scenes.values() for pts in _initial_frames(scene, by_frame, painted)]
    for pts in initial:
        if not by_frame[pts].initialises:
            by_frame[pts] = strokes.with_points(by_frame[pts], clip.height, clip.width)
    initial = initial or [begin]
    middles = [next((c for c in cuts if a < c <= b), (a + b) // 2 + 1) for a, b in pairwise(initial)]
    bounds = zip(initial, [begin, *middles], [*middles, end], strict=True)
    segments = [Segment(pts, max(low, begin), min(high, end), by_frame) for pts, low, high in bounds]
    return [segment for segment in segments if segment.begin_pts < segment.end_pts]


def _initial_frames(scene: list[int], by_frame: PromptsByFrame, painted: bool) -> list[int]:
    """Return the prompted frames of a scene that streams start from.

    Those are the frames with a box or a mask; if there is none, the first whose points initialise the object;
    and if there is none of those either, with `painted`, the first whose strokes do.
    """
    return (
        [pts for pts in scene if by_frame[pts].initialises_anew]
        or [pts for pts in scene if by_frame[pts].initialises][:1]
        or [pts for pts in scene if painted and by_frame[pts].paints][:1]
    )


def prompts_by_frame(own: Iterable[Prompt], clip: Clip) -> dict[int, Prompt]:
    """Return one object's prompts by the pts of the frames that are shown at their times, ascending."""
    times = load_index(clip.path)
    by_frame: dict[int, Prompt] = {}
    for prompt in own:  # two times may fall on one frame
        pts = times.frame_at(round(prompt.time / clip.time_base))
        by_frame[pts] = by_frame[pts].merge(prompt) if pts in by_frame else prompt
    return dict(sorted(by_frame.items()))


def count_frames(
    plan: Collection[Collection[Segment]], clip: Clip, only: Collection[int] | None = None
) -> int:
    """Count the frames that the model will be given.

    An initial frame from which it runs both ways counts once. With `only`, count only frames of those pts.
    """
    times = frame_times(clip, only)
    segments = itertools.chain.from_iterable(plan)
    return sum(len({*segment.forward(times), *segment.backward(times)}) for segment in segments)


def frame_times(clip: Clip, only: Collection[int] | None) -> list[int]:
    """Return the pts of the clip's frames, ascending; with `only`, those that are in it."""
    return [p for p in load_index(clip.path).pts if only is None or p in only]
