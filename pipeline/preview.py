"""Previews: mattes of single frames, before the whole clip is run.

The model is run over a thinned clip: the frames wanted, those with prompts, and a few between to propagate
the mask. Far from the prompts the cut is therefore a little worse than in the full run.
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
from pipeline.arrays import ClassMap, Matte
from pipeline.clip import Clip
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.models import Candidate, FindsThings, MapsClasses, OffersCandidates, Prediction, PromptedFrame
from pipeline.prompts import Point
from pipeline.propagation import proposals, run
from pipeline.propagation.plan import Segment, prompts_by_frame
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.stream import create_stream
from pipeline.stream_state import State
from pipeline.video.reading.frame_index import FrameIndex
from pipeline.video.reading.frames import Frame, FrameReader, read_frames, read_frames_backward
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import load_clip

STEPS = 24
"""Most frames between a prompted frame and one that is wanted."""


def predict_frames(job: Job, times: Iterable[float], steps: int = STEPS) -> Iterator[FramePrediction]:
    """Yield the frames shown at `times` (seconds), in order and each once, with their predictions.

    Raises as `predict_steps` does.
    """
    return (pair for pair in predict_steps(job, times, steps) if pair is not None)


def predict_steps(
    job: Job, times: Iterable[float], steps: int = STEPS, read: FrameReader = read_frames
) -> Generator[FramePrediction | None, None, None]:
    """Do as `predict_frames`, yielding None for every other frame that the model has processed.

    Uses the job's matte file where it covers the frames. `read` reads the video's frames, such as from a
    cache. Raises InputError as `process` does; writes nothing.
    """
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    index = load_index(clip.path)
    times = list(times)
    if not all(map(math.isfinite, times)):
        raise InputError("marks.not_a_time")
    wanted = sorted({index.frame_at(round(t / clip.time_base)) for t in times})
    matte_file = MatteFile.find(job.matte, matte_key(job))
    if matte_file is not None and matte_file.covers_frames(clip, wanted):
        yield from ((frame, Prediction(matte)) for frame, matte in matte_file.read_at(clip, wanted, read))
        return
    plan = [
        [s for s in own if any(s.begin_pts <= p < s.end_pts for p in wanted)]
        for own in proposals.inputs_for_preview(job, clip).plan(clip, (0, index.pts[-1] + 1))
    ]
    stream = create_stream(job, thinned=True)
    steps = 0 if job.is_per_frame else min(steps, models.card(job.model).preview_frames)
    with tempfile.TemporaryDirectory(prefix="recorte-") as folder:
        thinned = _thin(list(chain.from_iterable(plan)), wanted, index, steps)
        for step in run.run_plan(clip, stream, plan, Path(folder), thinned, read=read):
            is_wanted = step.pair is not None and step.pair[0].pts in wanted
            yield step.pair if is_wanted else None
            if step.pair is not None and step.pair[0].pts == wanted[-1]:
                return


class StateCache:
    """Cache of stream states at previewed frames, so that the next preview continues from there."""

    def __init__(self, most: int = 6) -> None:
        """Keep `most` states: those of some models take tens of megabytes."""
        self._most = most
        self._states: OrderedDict[tuple[str, int, int], State] = OrderedDict()

    def get(self, job: Job, segment: Segment, pts: int) -> State | None:
        """Return the state behind frame `pts` for the prompts up to there; None if not cached."""
        key = self._key(job, segment, pts)
        if key not in self._states:
            return None
        self._states.move_to_end(key)
        return copy.deepcopy(self._states[key])  # the stream that continues from it may change it

    def put(self, job: Job, segment: Segment, pts: int, state: State) -> None:
        self._states[self._key(job, segment, pts)] = copy.deepcopy(state)
        while len(self._states) > self._most:
            self._states.popitem(last=False)

    def _key(self, job: Job, segment: Segment, pts: int) -> tuple[str, int, int]:
        first, last = sorted((segment.initial_pts, pts))
        prompts = tuple(prompt for at, prompt in segment.prompts.items() if first <= at <= last)
        return matte_key(replace(job, prompts=prompts, objects=())), segment.initial_pts, pts


def find_corrected_segment(clip: Clip, job: Job, pts: int) -> Segment | None:
    """Return the segment in which prompts on this frame correct a propagated mask.

    For a job about one object. None where the frame has no prompts, where it is the initial one, or where the
    model works frame by frame.
    """
    marks = prompts_by_frame(job.active_prompts, clip)
    if pts not in marks or job.is_per_frame:
        return None
    first, past = pts_range(job, clip)
    inputs = proposals.inputs_for_preview(job, clip)
    (plan,) = inputs.plan(clip, (min(first, pts), max(past, pts + 1)))
    return next((s for s in plan if s.begin_pts <= pts < s.end_pts and s.initial_pts != pts), None)


def predict_corrected(
    job: Job, pts: int, states: StateCache
) -> Generator[FramePrediction | None, None, None]:
    """Compute, to the bit, what a run of a job about one object predicts on a corrected frame.

    Yields None for every frame on the way, and then that one. Raises InputError as `process` does.
    """
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    segment = find_corrected_segment(clip, job, pts)
    if segment is None:
        return
    first, last = sorted((segment.initial_pts, pts))
    order = list(load_index(clip.path).between(first, last + 1))
    if pts < segment.initial_pts:
        order.reverse()
    cached = ((n, states.get(job, segment, order[n])) for n in range(len(order) - 2, -1, -1))
    resumed, state = next(((n, state) for n, state in cached if state is not None), (-1, None))
    if pts < segment.initial_pts:
        frames = read_frames_backward(clip.path, pts, order[resumed + 1] + 1)
    else:
        frames = read_frames(clip.path, order[resumed + 1], pts + 1)
    for frame, prediction in create_stream(job)(frames, segment.prompts, state):
        if prediction.state is not None and frame.pts in order[-2:]:
            states.put(job, segment, frame.pts, prediction.state())
        yield (frame, prediction) if frame.pts == pts else None


def predict_candidates(
    job: Job, pts: int, read: FrameReader = read_frames
) -> tuple[Frame, list[Candidate]] | None:
    """Predict the candidate masks of the job's single click on this frame, and return them with the frame.

    For a job about one object. None where it has no such click there, or its model has no candidates. `read`
    reads the frame. Raises InputError as `process` does.
    """
    clip = load_clip(job.source, job.source_rate)
    job.check(clip)
    prompt = prompts_by_frame(job.active_prompts, clip).get(pts)
    if prompt is None or not prompt.is_single_click or not models.card(job.model).candidates:
        return None
    model = models.load(job.model, job.device, job.weights)
    frame = next(read(clip.path, pts, only=[pts]), None)
    if frame is None or not isinstance(model, OffersCandidates):
        return None
    return frame, model.candidates(PromptedFrame(frame.image, prompt))


def find_classes(job: Job, pts: int, read: FrameReader = read_frames) -> tuple[Frame, ClassMap] | None:
    """Find the class of each pixel of this frame, and return the map with the frame.

    None where the job's model knows no classes, or the frame cannot be decoded. `read` reads the frame.
    Raises InputError and WeightsError as `models.load` does.
    """
    clip = load_clip(job.source, job.source_rate)
    model = models.load(job.model, job.device, job.weights)
    frame = next(read(clip.path, pts, only=[pts]), None)
    if frame is None or not isinstance(model, MapsClasses):
        return None
    return frame, model.find_map(frame.image)


def find_thing(
    job: Job, pts: int, point: Point, read: FrameReader = read_frames
) -> Generator[None, None, Matte | None]:
    """Find the thing on this frame that a click at a point would take, `[H, W]` uint8, in short steps.

    The first step reads the frame and does not use the model.
    None where the point is on no clear thing, or the model does not tell things from each other. `read` reads
    the frame. Raises InputError as `process` does.
    """
    clip = load_clip(job.source, job.source_rate)
    model = models.load(job.model, job.device, job.weights)
    frame = next(read(clip.path, pts, only=[pts]), None)
    if frame is None or not isinstance(model, FindsThings):
        return None
    yield
    return (yield from model.find_thing(frame.image, point))


def _thin(streams: list[Segment], wanted: list[int], index: FrameIndex, steps: int) -> frozenset[int]:
    """Return the pts of `wanted`, of the prompts on the way, and of at most `steps` frames between two.

    `steps` is 0 for a model that needs no other frames.
    """
    chosen = set(wanted)
    if not steps:
        return frozenset(chosen)
    for segment in streams:
        covered = [p for p in wanted if segment.begin_pts <= p < segment.end_pts]
        for end in (min(covered), max(covered)):
            first, last = sorted((segment.initial_pts, end))
            stops = [first, *(p for p in segment.prompts if first < p < last), last]
            for a, b in pairwise(stops):
                chosen.update(_spread(index, a, b, steps))
    return frozenset(chosen)


def _spread(index: FrameIndex, start: int, end: int, steps: int) -> list[int]:
    a, b = sorted((bisect.bisect_left(index.pts, start), bisect.bisect_left(index.pts, end)))
    count = min(b - a, steps)
    return [index.pts[a + round((b - a) * k / count)] for k in range(count + 1)] if count else [start]
