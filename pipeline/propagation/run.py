"""The order in which a clip is given to a model.

A model carries a mask from the first frame of its stream to the last, so the clip is cut into streams, from
each frame whose marks say what the object is: forward from it, and backward from it, meeting half-way where
there are several such frames. A box says so anywhere; where there is none, the first points to keep do. All
other marks are corrections: they lie in a stream, and hold from their frame on, the way the stream runs.

Several objects are carried by streams of their own, in step, so that what a model knows of a frame serves
them all; the matte is their union. A scene cut ends the carrying of what was marked before it: the frames
behind it are empty until marks start again. Where the cuts are known beforehand, each scene has starts of its
own, and streams meet at a cut rather than half-way.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline import models, prompts
from pipeline.clip import Clip
from pipeline.errors import RunError
from pipeline.imaging import scene_cuts
from pipeline.imaging.scene_cuts import Scenes
from pipeline.job import Job
from pipeline.models import Model, Prediction, PromptedFrame
from pipeline.prompts import Prompt
from pipeline.propagation import deflicker
from pipeline.propagation.review import Review
from pipeline.propagation.spool import Spool
from pipeline.propagation.stream_state import State
from pipeline.video.reading.frame_index import load_index
from pipeline.video.reading.frames import Frame, read_frames, read_frames_backward

FramePrediction = tuple[Frame, Prediction]

PromptsByFrame = Mapping[int, Prompt]
"""One object's prompts by the pts of their frames."""

Stream = Callable[[Iterator[Frame], PromptsByFrame, State | None], Iterator[FramePrediction]]
"""Runs a model over frames of which the first is where it starts; with the state of one of its pairs, over
those behind that one."""


class Step(NamedTuple):
    """What the model's next frame brought."""

    pair: FramePrediction | None
    """A frame whose matte is final; they come in order. None: not yet another."""
    frames: int
    """How many frames the model has done for it: one, or none where the matte was only waiting."""
    resumed: int = 0
    """How many of them a run before this one has done."""


@dataclass(frozen=True)
class Segment:
    """The frame that streams start from and those that get their mattes by them, in pts: lo <= p < hi."""

    initial_pts: int
    begin_pts: int
    end_pts: int
    prompts: PromptsByFrame

    def forward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream forward is given."""
        return [p for p in times if self.initial_pts <= p < self.end_pts]

    def backward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream backward is given; none where no matte would come of it."""
        given = [p for p in times if self.begin_pts <= p <= self.initial_pts]
        return given if given and given[0] < min(self.initial_pts, self.end_pts) else []


def plan_segments(
    asked: Iterable[Prompt], clip: Clip, lo: int, hi: int, cuts: Collection[int] = ()
) -> list[list[Segment]]:
    """For each object the stretches that together cover lo <= pts < hi, in order.

    `cuts` are the pts of the frames that begin a scene, ascending, as far as they are known and matter.
    """
    objects = prompts.group_by_object(asked).values() or [()]
    return [_plan(own, clip, lo, hi, cuts) for own in objects]


def _plan(own: Iterable[Prompt], clip: Clip, lo: int, hi: int, cuts: Collection[int]) -> list[Segment]:
    marks = prompts_by_frame(own, clip)
    scenes: dict[int, list[int]] = {}
    for at in marks:
        scenes.setdefault(sum(cut <= at for cut in cuts), []).append(at)
    starts = [at for scene in scenes.values() for at in _starts(scene, marks)] or [lo]
    middles = [next((c for c in cuts if a < c <= b), (a + b) // 2 + 1) for a, b in pairwise(starts)]
    spans = zip(starts, [lo, *middles], [*middles, hi], strict=True)
    stretches = [Segment(at, max(begin, lo), min(end, hi), marks) for at, begin, end in spans]
    return [s for s in stretches if s.begin_pts < s.end_pts]


def _starts(scene: list[int], marks: PromptsByFrame) -> list[int]:
    """Which of one scene's marked frames streams start from: those with a box, else the first that can."""
    boxed = [at for at in scene if marks[at].box is not None]
    return boxed or [at for at in scene if marks[at].initialises][:1]


def prompts_by_frame(own: Iterable[Prompt], clip: Clip) -> PromptsByFrame:
    """One object's prompts on the frames that are shown at their times, ascending."""
    times = load_index(clip.path)
    marks: dict[int, Prompt] = {}
    for prompt in own:  # two times may fall on one frame
        at = times.at(round(prompt.time / clip.time_base))
        marks[at] = marks[at].merge(prompt) if at in marks else prompt
    return dict(sorted(marks.items()))


def count_frames(
    plans: Collection[Collection[Segment]], clip: Clip, only: Collection[int] | None = None
) -> int:
    """Number of frames the model will be given, that from which it runs both ways counted once."""
    times = _times(clip, only)
    stretches = itertools.chain.from_iterable(plans)
    return sum(len({*s.forward(times), *s.backward(times)}) for s in stretches)


def _times(clip: Clip, only: Collection[int] | None) -> list[int]:
    return [p for p in load_index(clip.path).pts if only is None or p in only]


def run_plan(
    clip: Clip,
    stream: Stream,
    plans: Collection[list[Segment]],
    folder: Path,
    only: Collection[int] | None = None,
    deep: bool = False,
    lasting: bool = False,
) -> Iterator[Step]:
    """Run the streams of every object; the steps hold every frame in order, with the union of its mattes.

    With `only`, the clip is thinned to those frames. `deep`, as in `read_frames`, is about the frames given
    out. What has to wait is put by in `folder`. `lasting`: all that is found is, stays there, and is
    gone on with when the same is run again.
    """
    return _united(
        [
            _stretched(_Run(clip, stream, folder, number, only, deep, lasting), stretches)
            for number, stretches in enumerate(plans)
        ]
    )


def _united(objects: list[Generator[Step, None, None]]) -> Iterator[Step]:
    """The steps of several objects as one's; none runs ahead of the others by a frame that is ready."""
    going: dict[int, Iterator[Step]] = dict(enumerate(objects))
    ready: dict[int, FramePrediction] = {}
    with ExitStack() as stack:
        for steps in objects:
            stack.enter_context(closing(steps))
        while going or ready:
            work = kept = 0
            for number in [n for n in going if n not in ready]:
                step = next(going[number], None)
                if step is None:
                    del going[number]
                    continue
                work += step.frames
                kept += step.resumed
                if step.pair is not None:
                    ready[number] = step.pair
            pair = None
            if ready and going.keys() <= ready.keys():
                # A frame of a damaged clip may be missing from one of them.
                first = min(frame.pts for frame, _ in ready.values())
                pair = _union([ready.pop(n) for n in list(ready) if ready[n][0].pts == first])
            if work or pair is not None:
                yield Step(pair, work, kept)


def _union(pairs: list[FramePrediction]) -> FramePrediction:
    found = [found for _, found in pairs]
    if not found[1:]:
        return pairs[0]
    # An object that is told of in other scenes says nothing of how sure the others are in this one.
    telling = [one for one in found if one.prompted] or found
    matte = np.maximum.reduce([one.matte for one in found])
    return pairs[0][0], Prediction(matte, min(one.confidence for one in telling))


@dataclass(frozen=True)
class _Run:
    """One object's streams: what they have in common."""

    clip: Clip
    stream: Stream
    folder: Path
    number: int
    """The object's."""
    only: Collection[int] | None
    deep: bool
    lasting: bool

    def spool(self, stretch: Segment, direction: str) -> Spool:
        folder = self.folder / f"{self.number}-{stretch.initial_pts}-{direction}"
        return Spool(folder, self.clip, lasting=self.lasting)


def _stretched(run: _Run, stretches: list[Segment]) -> Generator[Step, None, None]:
    """One object's steps."""
    times = _times(run.clip, run.only)
    for stretch in stretches:
        forward = stretch.forward(times)
        if stretch.backward(times):
            yield from _backward(run, stretch, shared=forward[:1])
        if forward:
            yield from _put_by(run, stretch) if run.lasting else _forward(run, stretch)


def _forward(run: _Run, stretch: Segment) -> Iterator[Step]:
    frames = read_frames(run.clip.path, stretch.initial_pts, stretch.end_pts, run.only, deep=run.deep)
    for pair in run.stream(frames, stretch.prompts, None):
        yield Step(pair if stretch.begin_pts <= pair[0].pts else None, 1)


def _put_by(run: _Run, stretch: Segment) -> Iterator[Step]:
    """As `_forward`, by way of a spool."""
    frames = read_frames(run.clip.path, stretch.initial_pts, stretch.end_pts, run.only, deep=run.deep)
    with run.spool(stretch, "forward") as spool:
        known, kept = frozenset(spool.pts), spool.read_forward()
        last = max(known, default=-1)
        for frame in frames:
            if frame.pts > last:
                frames = itertools.chain([frame], frames)
                break
            # A damaged clip's frames need not be the same ones each time that it is read.
            if frame.pts in known:
                pair = frame, next(found for pts, found in kept if pts == frame.pts)
                yield Step(pair if stretch.begin_pts <= frame.pts else None, 1, 1)
        rest = iter(()) if spool.ended else run.stream(frames, stretch.prompts, spool.state)
        with closing(spool.record(rest)) as put_by:
            for frame, found in put_by:
                yield Step((frame, found) if stretch.begin_pts <= frame.pts else None, 1)


def _backward(run: _Run, stretch: Segment, shared: Collection[int]) -> Iterator[Step]:
    """`shared`: frames that count as the other direction's work."""
    with run.spool(stretch, "backward") as spool:
        known = spool.pts
        if known:
            done = sum(pts not in shared for pts in known)
            yield Step(None, done, done)
        upper = min(known, default=stretch.initial_pts + 1)
        frames = read_frames_backward(run.clip.path, stretch.begin_pts, upper, run.only)
        rest = iter(()) if spool.ended else run.stream(frames, stretch.prompts, spool.state)
        with closing(spool.record(rest)) as put_by:
            for frame, _ in put_by:
                yield Step(None, int(frame.pts not in shared))
        # The frame that it starts from, and what lies behind the stretch, were only on the way.
        served = frozenset(p for p in spool.pts if p < min(stretch.initial_pts, stretch.end_pts))
        kept = spool.read_backward()
        for frame in read_frames(run.clip.path, only=served, deep=run.deep):
            # A frame of a damaged clip that this pass could not decode is passed over.
            yield Step((frame, next(found for pts, found in kept if pts == frame.pts)), 0)
    if not run.lasting:
        spool.remove()


def create_stream(job: Job, *, thinned: bool = False) -> Stream:
    """The job's model, ready to be run; loads it. Raises WeightsError and InputError as `models.load`.

    In a thinned clip neighbours are far apart: neither a cut nor flicker nor a leap can be told from movement
    there.
    """
    card = models.card(job.model)
    model = models.load(job.model, job.device, job.weights)
    calm = card.per_frame and job.deflicker and not thinned
    remembers = card.has_memory or thinned
    return partial(run_model, model, remembers=remembers, calm=calm, reviewed=not thinned)


def run_model(
    model: Model,
    frames: Iterator[Frame],
    marks: PromptsByFrame,
    state: State | None = None,
    *,
    remembers: bool = False,
    calm: bool = False,
    reviewed: bool = False,
) -> Iterator[FramePrediction]:
    """Each frame with what the model finds on it; raises RunError where it breaks one for one.

    With `state`, that of an earlier pair of the same stream, the frames are those behind it. A model that
    `remembers` runs through scene cuts. `calm` steadies the mattes of one that flickers. `reviewed`: what
    cannot be right is doubted, see `pipeline.propagation.review`.
    """
    frames = iter(frames)
    if state is None:
        first = next(frames, None)
        if first is None:
            return
        frames = itertools.chain([first], frames)
        state = {"scene": 0, "told": first.pts in marks and marks[first.pts].initialises, "small": None}
    begun = "found" in state
    told = state["told"]
    # A run of before there were reviews has left none.
    review = Review.from_state(state["review"]) if state.get("review") else Review()
    scenes = itertools.groupby(frames, Scenes(state["scene"], state["small"]))
    for number, scene in [(0, frames)] if remembers else scenes:
        # In the scene that the state is of, the model is gone on with, if it was asked there at all.
        model_state = state["found"] if begun and number == state["scene"] else None
        if number and told and model_state is None:
            for frame in scene:
                if frame.pts in marks and marks[frame.pts].initialises:
                    scene = itertools.chain([frame], scene)
                    break
                behind = partial(_state, frame, number, told, review, None)
                yield (
                    frame,
                    Prediction(np.zeros(frame.image.shape[:2], np.uint8), 0, prompted=False, state=behind),
                )
            else:
                continue
        if calm:
            inner = model_state and model_state["found"]
            found = deflicker.deflicker(_found(model, scene, marks, inner), model_state)
        else:
            found = _found(model, scene, marks, model_state)
        if model_state is None:
            review.begin_scene()
        for frame, result in found:
            if reviewed:
                result = review(frame.image, result, frame.pts in marks)
            goes_on = result.state and partial(_state, frame, number, told, review, result.state)
            yield frame, result._replace(state=goes_on)


def _state(frame: Frame, scene: int, told: bool, review: Review, found: Callable[[], State] | None) -> State:
    """A stream's state behind a frame; `found` is the model's, None where it was not asked."""
    return {
        "scene": scene,
        "told": told,
        "small": scene_cuts.small(frame),
        "review": review.state(),
        "found": found and found(),
    }


def _found(
    model: Model, frames: Iterator[Frame], marks: PromptsByFrame, state: State | None
) -> Iterator[FramePrediction]:
    waiting: deque[Frame] = deque()

    def stills() -> Iterator[PromptedFrame]:
        for frame in frames:
            waiting.append(frame)
            yield PromptedFrame(frame.image, marks.get(frame.pts))

    # A model that gives no state is never asked to go on from one, and need not know how.
    going = model.predict(stills()) if state is None else model.predict(stills(), state)
    for found in going:
        result = found.matte
        if not waiting or result.dtype != np.uint8 or result.shape != waiting[0].image.shape[:2]:
            raise RunError("The model returned a matte that belongs to no frame.")
        yield waiting.popleft(), found
    if waiting or next(frames, None) is not None:
        raise RunError("The model returned fewer mattes than there are frames.")
