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
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline import matte, models, prompts, steady, video
from pipeline.clip import Clip
from pipeline.cuts import Scenes
from pipeline.errors import RunError
from pipeline.job import Job
from pipeline.models import Found, Model, Still
from pipeline.prompts import Prompt
from pipeline.video import Frame

Pair = tuple[Frame, Found]

Marks = Mapping[int, Prompt]
"""One object's prompts by the pts of their frames."""

Stream = Callable[[Iterator[Frame], Marks], Iterator[Pair]]
"""Runs a model over frames of which the first is where it starts."""


class Step(NamedTuple):
    """What the model's next frame brought."""

    pair: Pair | None
    """A frame whose matte is final; they come in order. None: not yet another."""
    work: int
    """How many frames the model has done for it: one, or none where the matte was only waiting."""


# A spool's pictures have an order and no times of their own; a whole number of Matroska's milliseconds.
_SPOOL_TICK = Fraction(1, 25)


@dataclass(frozen=True)
class Stretch:
    """The frame that streams start from and those that get their mattes by them, in pts: lo <= p < hi."""

    at: int
    lo: int
    hi: int
    marks: Marks

    def forward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream forward is given."""
        return [p for p in times if self.at <= p < self.hi]

    def backward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream backward is given; none where no matte would come of it."""
        given = [p for p in times if self.lo <= p <= self.at]
        return given if given and given[0] < min(self.at, self.hi) else []


def plan(
    asked: Iterable[Prompt], clip: Clip, lo: int, hi: int, cuts: Collection[int] = ()
) -> list[list[Stretch]]:
    """For each object the stretches that together cover lo <= pts < hi, in order.

    `cuts` are the pts of the frames that begin a scene, ascending, as far as they are known and matter.
    """
    objects = prompts.by_object(asked).values() or [()]
    return [_plan(own, clip, lo, hi, cuts) for own in objects]


def _plan(own: Iterable[Prompt], clip: Clip, lo: int, hi: int, cuts: Collection[int]) -> list[Stretch]:
    marks = marked(own, clip)
    scenes: dict[int, list[int]] = {}
    for at in marks:
        scenes.setdefault(sum(cut <= at for cut in cuts), []).append(at)
    starts = [at for scene in scenes.values() for at in _starts(scene, marks)] or [lo]
    middles = [next((c for c in cuts if a < c <= b), (a + b) // 2 + 1) for a, b in pairwise(starts)]
    spans = zip(starts, [lo, *middles], [*middles, hi], strict=True)
    stretches = [Stretch(at, max(begin, lo), min(end, hi), marks) for at, begin, end in spans]
    return [s for s in stretches if s.lo < s.hi]


def _starts(scene: list[int], marks: Marks) -> list[int]:
    """Which of one scene's marked frames streams start from: those with a box, else the first that can."""
    boxed = [at for at in scene if marks[at].box is not None]
    return boxed or [at for at in scene if marks[at].starts][:1]


def marked(own: Iterable[Prompt], clip: Clip) -> Marks:
    """One object's prompts on the frames that are shown at their times, ascending."""
    times = video.index(clip.path)
    marks: dict[int, Prompt] = {}
    for prompt in own:  # two times may fall on one frame
        at = times.at(round(prompt.time / clip.time_base))
        marks[at] = marks[at].joined(prompt) if at in marks else prompt
    return dict(sorted(marks.items()))


def work(plans: Collection[Collection[Stretch]], clip: Clip, only: Collection[int] | None = None) -> int:
    """How many frames the model will be given."""
    times = _times(clip, only)
    return sum(len(s.forward(times)) + len(s.backward(times)) for s in itertools.chain.from_iterable(plans))


def _times(clip: Clip, only: Collection[int] | None) -> list[int]:
    return [p for p in video.index(clip.path).pts if only is None or p in only]


def steps(
    clip: Clip,
    stream: Stream,
    plans: Collection[list[Stretch]],
    folder: Path,
    only: Collection[int] | None = None,
    deep: bool = False,
) -> Iterator[Step]:
    """Run the streams of every object; the steps hold every frame in order, with the union of its mattes.

    Temporary files are made in `folder`. With `only`, the clip is thinned to those frames. `deep`, as in
    `video.read`, is about the frames that are given out.
    """
    return _united(
        [
            _stretched(clip, stream, stretches, folder / f"{number}", only, deep)
            for number, stretches in enumerate(plans)
        ]
    )


def _united(objects: list[Generator[Step, None, None]]) -> Iterator[Step]:
    """The steps of several objects as one's; none runs ahead of the others by a frame that is ready."""
    going: dict[int, Iterator[Step]] = dict(enumerate(objects))
    ready: dict[int, Pair] = {}
    with ExitStack() as stack:
        for steps in objects:
            stack.enter_context(closing(steps))
        while going or ready:
            work = 0
            for number in [n for n in going if n not in ready]:
                step = next(going[number], None)
                if step is None:
                    del going[number]
                    continue
                work += step.work
                if step.pair is not None:
                    ready[number] = step.pair
            pair = None
            if ready and going.keys() <= ready.keys():
                # A frame of a damaged clip may be missing from one of them.
                first = min(frame.pts for frame, _ in ready.values())
                pair = _union([ready.pop(n) for n in list(ready) if ready[n][0].pts == first])
            if work or pair is not None:
                yield Step(pair, work)


def _union(pairs: list[Pair]) -> Pair:
    found = [found for _, found in pairs]
    if not found[1:]:
        return pairs[0]
    # An object that is told of in other scenes says nothing of how sure the others are in this one.
    telling = [one for one in found if one.told] or found
    matte = np.maximum.reduce([one.matte for one in found])
    return pairs[0][0], Found(matte, min(one.confidence for one in telling))


def _stretched(
    clip: Clip,
    stream: Stream,
    stretches: list[Stretch],
    folder: Path,
    only: Collection[int] | None,
    deep: bool,
) -> Generator[Step, None, None]:
    """One object's steps."""
    times = _times(clip, only)
    for stretch in stretches:
        if stretch.backward(times):
            folder.mkdir(exist_ok=True)
            yield from _backward(clip, stream, stretch, folder / f"{stretch.at}.mkv", only, deep)
        if stretch.forward(times):
            frames = video.read(clip.path, stretch.at, stretch.hi, only, deep=deep)
            for pair in stream(frames, stretch.marks):
                yield Step(pair if stretch.lo <= pair[0].pts else None, 1)


def _backward(
    clip: Clip, stream: Stream, stretch: Stretch, path: Path, only: Collection[int] | None, deep: bool
) -> Iterator[Step]:
    upper = min(stretch.at, stretch.hi)
    frames = video.read_backward(clip.path, stretch.lo, stretch.at + 1, only)
    spooled: dict[int, tuple[float, bool]] = {}
    """What `Found` has beside the matte, by the pts of each frame whose matte is on the disk, descending."""
    with matte.writer(path, clip, time_base=_SPOOL_TICK) as spool:
        for frame, found in stream(frames, stretch.marks):
            yield Step(None, 1)
            if frame.pts < upper:
                spool.write(found.matte, len(spooled))
                spooled[frame.pts] = found[1:]
    mattes = video.read_backward(path, 0, video.index(path).pts[-1] + 1, pixel_format="gray")
    kept = zip(reversed(spooled), mattes, strict=True)
    for frame in video.read(clip.path, only=frozenset(spooled), deep=deep):
        # A frame of a damaged clip that this pass could not decode is passed over.
        image = next(result.image for pts, result in kept if pts == frame.pts)
        yield Step((frame, Found(image, *spooled[frame.pts])), 0)
    path.unlink()


def stream(job: Job, *, thinned: bool = False) -> Stream:
    """The job's model, ready to be run; loads it. Raises WeightsError and InputError as `models.loaded`.

    In a thinned clip neighbours are far apart: neither a cut nor flicker can be told from movement there.
    """
    card = models.card(job.model)
    model = models.loaded(job.model, job.device, job.weights)
    calm = card.flickers and job.stable and not thinned
    return partial(pairs, model, remembers=card.remembers or thinned, calm=calm)


def pairs(
    model: Model, frames: Iterator[Frame], marks: Marks, *, remembers: bool = False, calm: bool = False
) -> Iterator[Pair]:
    """Each frame with what the model finds on it; raises RunError where it breaks one for one.

    A model that `remembers` runs through scene cuts. `calm` steadies the mattes of one that flickers.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    frames = itertools.chain([first], frames)
    told = first.pts in marks and marks[first.pts].starts
    scenes = [(0, frames)] if remembers else itertools.groupby(frames, Scenes())
    for number, scene in scenes:
        if number and told:
            for frame in scene:
                if frame.pts in marks and marks[frame.pts].starts:
                    scene = itertools.chain([frame], scene)
                    break
                yield frame, Found(np.zeros(frame.image.shape[:2], np.uint8), 0, told=False)
            else:
                continue
        found = _found(model, scene, marks)
        yield from steady.steadied(found) if calm else found


def _found(model: Model, frames: Iterator[Frame], marks: Marks) -> Iterator[Pair]:
    waiting: deque[Frame] = deque()

    def stills() -> Iterator[Still]:
        for frame in frames:
            waiting.append(frame)
            yield Still(frame.image, marks.get(frame.pts))

    for found in model.mattes(stills()):
        result = found.matte
        if not waiting or result.dtype != np.uint8 or result.shape != waiting[0].image.shape[:2]:
            raise RunError("The model returned a matte that belongs to no frame.")
        yield waiting.popleft(), found
    if waiting or next(frames, None) is not None:
        raise RunError("The model returned fewer mattes than there are frames.")
