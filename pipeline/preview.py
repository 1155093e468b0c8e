"""A look at single frames before the whole is paid for.

The model is run over a thinned clip: the frames that are asked for, those with marks, and a few between to
carry the mask along. Far from the marks it therefore shows a little worse a cut than the full run makes.
"""

from __future__ import annotations

import bisect
import copy
import math
import tempfile
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

from pipeline import models
from pipeline.clip import Clip
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.matte import Kept
from pipeline.models import Candidate, OffersCandidates, Prediction, PromptedFrame
from pipeline.propagation import proposals, run
from pipeline.propagation.run import Pair, Stretch
from pipeline.propagation.stream_state import State
from pipeline.video.reading.frame_index import load_index
from pipeline.video.reading.frames import Frame, read_frames, read_frames_backward
from pipeline.video.reading.probe import probe_clip
from pipeline.video.reading.scan import Index

STEPS = 24
"""Frames between a marked frame and one that is asked for."""


def spread(clip: Clip, job: Job, count: int) -> list[float]:
    """`count` times in seconds, at the middles of equal parts of what the job keeps."""
    begin, stop = job.bounds(clip)
    return [float((begin + (stop - begin) * (k + 0.5) / count) * clip.time_base) for k in range(count)]


def frames(job: Job, times: Iterable[float], steps: int = STEPS) -> Iterator[Pair]:
    """The frames on screen at `times` (seconds), in order and each once, with what is found on them.

    Raises as `made` does.
    """
    return (pair for pair in made(job, times, steps) if pair is not None)


def made(job: Job, times: Iterable[float], steps: int = STEPS) -> Generator[Pair | None, None, None]:
    """As `frames`; None where the model has done a frame on the way to one of them.

    Takes them from the job's kept matte where that reaches them. Raises InputError as `process` does; writes
    nothing.
    """
    clip = probe_clip(job.source)
    job.check(clip)
    index = load_index(clip.path)
    times = list(times)
    if not all(map(math.isfinite, times)):
        raise InputError("A time is a number of seconds.")
    wanted = sorted({index.at(round(t / clip.time_base)) for t in times})
    kept = Kept.find(job.matte, job.matte_key)
    if kept is not None and kept.reaches(clip, wanted):
        yield from ((frame, Prediction(matte)) for frame, matte in kept.only(clip, wanted))
        return
    plan = [
        [s for s in own if any(s.lo <= p < s.hi for p in wanted)]
        for own in run.plan(proposals.first_scene(job, clip), clip, 0, index.pts[-1] + 1)
    ]
    stream = run.stream(job, thinned=True)
    steps = min(steps, models.card(job.model).preview_frames)
    with tempfile.TemporaryDirectory(prefix="recorte-") as folder:
        thinned = _thinned(list(chain.from_iterable(plan)), wanted, index, steps)
        for step in run.steps(clip, stream, plan, Path(folder), thinned):
            asked = step.pair is not None and step.pair[0].pts in wanted
            yield step.pair if asked else None
            if step.pair is not None and step.pair[0].pts == wanted[-1]:
                return


class Trail:
    """The states of streams at frames that were looked at, so that the next look goes on from there."""

    def __init__(self, most: int = 6) -> None:
        """`most` states are kept: some models' take tens of megabytes."""
        self._most = most
        self._states: OrderedDict[tuple[str, int, int], State] = OrderedDict()

    def find(self, job: Job, stretch: Stretch, pts: int) -> State | None:
        """The state behind frame `pts` of the stream, as the marks up to there make it."""
        key = self._key(job, stretch, pts)
        if key not in self._states:
            return None
        self._states.move_to_end(key)
        return copy.deepcopy(self._states[key])  # whoever goes on from it may change it

    def keep(self, job: Job, stretch: Stretch, pts: int, state: State) -> None:
        self._states[self._key(job, stretch, pts)] = copy.deepcopy(state)
        while len(self._states) > self._most:
            self._states.popitem(last=False)

    def _key(self, job: Job, stretch: Stretch, pts: int) -> tuple[str, int, int]:
        first, last = sorted((stretch.at, pts))
        passed = tuple(prompt for at, prompt in stretch.marks.items() if first <= at <= last)
        return replace(job, prompts=passed, objects=()).matte_key, stretch.at, pts


def corrected(clip: Clip, job: Job, pts: int) -> Stretch | None:
    """The stretch in which marks on this frame correct what a run carries there, of a job about one object.

    None where there are none, where the subject starts on the frame, or the model carries nothing.
    """
    marks = run.marked(job.asked, clip)
    if pts not in marks or models.card(job.model).per_frame:
        return None
    first, past = job.span(clip)
    (plan,) = run.plan(job.asked, clip, min(first, pts), max(past, pts + 1))
    return next((s for s in plan if s.lo <= pts < s.hi and s.at != pts), None)


def carried(job: Job, pts: int, trail: Trail) -> Generator[Pair | None, None, None]:
    """Compute, to the bit, what a run of a job about one object finds on a frame that is `corrected`.

    Yields None for every frame on the way, and then that one. Raises InputError as `process` does.
    """
    clip = probe_clip(job.source)
    job.check(clip)
    stretch = corrected(clip, job, pts)
    if stretch is None:
        return
    order = [p for p in load_index(clip.path).pts if min(stretch.at, pts) <= p <= max(stretch.at, pts)]
    if pts < stretch.at:
        order.reverse()
    known = ((n, trail.find(job, stretch, order[n])) for n in range(len(order) - 2, -1, -1))
    passed, state = next(((n, state) for n, state in known if state is not None), (-1, None))
    if pts < stretch.at:
        frames = read_frames_backward(clip.path, pts, order[passed + 1] + 1)
    else:
        frames = read_frames(clip.path, order[passed + 1], pts + 1)
    for frame, found in run.stream(job)(frames, stretch.marks, state):
        if found.state is not None and frame.pts in order[-2:]:
            trail.keep(job, stretch, frame.pts, found.state())
        yield (frame, found) if frame.pts == pts else None


def candidates(job: Job, pts: int) -> tuple[Frame, list[Candidate]] | None:
    """What the lone click that the job has on this frame may mean, with the frame.

    For a job about one object. None where it has no such click there, or its model but one answer. Raises
    InputError as `process` does.
    """
    clip = probe_clip(job.source)
    job.check(clip)
    prompt = run.marked(job.asked, clip).get(pts)
    if prompt is None or not prompt.lone or not models.card(job.model).candidates:
        return None
    model = models.load(job.model, job.device, job.weights)
    frame = next(read_frames(clip.path, pts, only=[pts]), None)
    if frame is None or not isinstance(model, OffersCandidates):
        return None
    return frame, model.candidates(PromptedFrame(frame.image, prompt))


def _thinned(streams: list[Stretch], wanted: list[int], index: Index, steps: int) -> frozenset[int]:
    """The pts of `wanted`, of the marks on the way to them, and of at most `steps` from each to the next.

    No steps: a model that needs no other frames.
    """
    chosen = set(wanted)
    if not steps:
        return frozenset(chosen)
    for stretch in streams:
        served = [p for p in wanted if stretch.lo <= p < stretch.hi]
        for end in (min(served), max(served)):
            first, last = sorted((stretch.at, end))
            stops = [first, *(p for p in stretch.marks if first < p < last), last]
            for a, b in pairwise(stops):
                chosen.update(_between(index, a, b, steps))
    return frozenset(chosen)


def _between(index: Index, start: int, end: int, steps: int) -> list[int]:
    a, b = sorted((bisect.bisect_left(index.pts, start), bisect.bisect_left(index.pts, end)))
    count = min(b - a, steps)
    return [index.pts[a + round((b - a) * k / count)] for k in range(count + 1)] if count else [start]
