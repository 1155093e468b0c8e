"""Run a plan: the streams of every object, merged into one matte for each frame, in order.

The objects' streams advance in step, so that what a model has computed for a frame serves all of them; the
matte is their union. Streams that run backward, and all streams whose work is to be resumable, are recorded
in spools.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline import devices
from pipeline.clip import Clip
from pipeline.devices import FrameDevice
from pipeline.models import Prediction
from pipeline.propagation.plan import Direction, Segment, frame_times, spool_name
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.prefetch import prefetch
from pipeline.propagation.spool import Spool
from pipeline.propagation.stream import Stream
from pipeline.video.reading.frames import Frame, FrameReader, read_frames, read_frames_backward

_DECODED_AHEAD = 4
"""Number of frames on a device that may wait for a model, where its memory is large."""


class Step(NamedTuple):
    """Progress of a plan by one frame of the model, or by one final matte."""

    pair: FramePrediction | None
    """A frame whose matte is final; these come in order. None: no further one yet."""
    frames: int
    """Number of frames that the model has processed: 0 where the matte was only waiting."""
    resumed: int = 0
    """Number of those that an earlier run has processed."""


def run_plan(
    clip: Clip,
    stream: Stream,
    plan: Collection[list[Segment]],
    folder: Path,
    only: Collection[int] | None = None,
    high_bit_depth: bool = False,
    lasting: bool = False,
    read: FrameReader = read_frames,
    device: FrameDevice | None = None,
    apart: bool = False,
) -> Iterator[Step]:
    """Run the streams of every object and yield all frames in order, with the union of their mattes.

    With `only`, the clip is thinned to the frames of those pts. `high_bit_depth`, as in `read_frames`,
    applies to the frames yielded. Predictions that have to wait are stored in `folder`; with `lasting`, all
    are stored there and remain, and the next run of the same plan continues from them. `read` reads the
    frames of forward streams, unless these and those that are yielded stay on a `device`. With `apart`, the
    predictions have the matte of each object, too.
    """
    runs = (
        (_ObjectRun(clip, stream, folder, number, only, high_bit_depth, lasting, read, device), segments)
        for number, segments in enumerate(plan)
    )
    return _merge_objects([_run_object(own, segments) for own, segments in runs], apart)


def _merge_objects(objects: list[Generator[Step, None, None]], apart: bool) -> Iterator[Step]:
    """Merge the steps of several objects; none runs ahead of the others by a frame that is ready."""
    running: dict[int, Iterator[Step]] = dict(enumerate(objects))
    ready: dict[int, FramePrediction] = {}
    with ExitStack() as stack:
        for steps in objects:
            stack.enter_context(closing(steps))
        while running or ready:
            frames = resumed = 0
            for number in [n for n in running if n not in ready]:
                step = next(running[number], None)
                if step is None:
                    del running[number]
                    continue
                frames += step.frames
                resumed += step.resumed
                if step.pair is not None:
                    ready[number] = step.pair
            pair = None
            if ready and running.keys() <= ready.keys():
                # A frame of a damaged clip may be missing from one of them.
                first = min(frame.pts for frame, _ in ready.values())
                there = {n: ready.pop(n) for n in list(ready) if ready[n][0].pts == first}
                pair = _union(list(there.values()))
                if apart:
                    pair = _with_objects(pair, [there.get(n) for n in range(len(objects))])
            if frames or pair is not None:
                yield Step(pair, frames, resumed)


def _union(pairs: list[FramePrediction]) -> FramePrediction:
    """Return the union of several objects' mattes on one frame, with the lowest confidence."""
    predictions = [prediction for _, prediction in pairs]
    if not predictions[1:]:
        return pairs[0]
    # An object that is prompted in other scenes only does not lower the confidence in this one.
    counted = [prediction for prediction in predictions if prediction.prompted] or predictions
    matte = np.maximum.reduce([prediction.matte for prediction in predictions])
    return pairs[0][0], Prediction(matte, min(prediction.confidence for prediction in counted))


def _with_objects(union: FramePrediction, pairs: list[FramePrediction | None]) -> FramePrediction:
    """Return a frame's prediction with the mattes of its objects; an object that lacks the frame is empty."""
    frame, prediction = union
    mattes = (np.zeros_like(prediction.matte) if pair is None else pair[1].matte for pair in pairs)
    return frame, prediction._replace(objects=tuple(mattes))


@dataclass(frozen=True)
class _ObjectRun:
    """Settings that all streams of one object share."""

    clip: Clip
    stream: Stream
    folder: Path
    number: int
    """The object's place in the plan."""
    only: Collection[int] | None
    high_bit_depth: bool
    lasting: bool
    read: FrameReader
    device: FrameDevice | None = None

    def frames(
        self,
        start: int = 0,
        end: int | None = None,
        only: Collection[int] | None = None,
        read: FrameReader | None = None,
    ) -> Iterator[Frame]:
        """Read frames in order; those that stay on a device are decoded ahead by another thread."""
        path, depth = self.clip.path, self.high_bit_depth
        if self.device is None:
            return (read or read_frames)(path, start, end, only, high_bit_depth=depth)
        on_device = read_frames(path, start, end, only, high_bit_depth=depth, device=self.device)
        each = self.clip.width * self.clip.height * (6 if depth else 3)
        ahead = devices.queue_depth(self.device, each, _DECODED_AHEAD)
        return prefetch(on_device, ahead, devices.own_stream(self.device))

    def spool(self, segment: Segment, direction: Direction) -> Spool:
        return Spool(
            self.folder / spool_name(self.number, segment, direction), self.clip, lasting=self.lasting
        )


def _run_object(run: _ObjectRun, segments: list[Segment]) -> Generator[Step, None, None]:
    """Run the streams of one object, segment by segment."""
    times = frame_times(run.clip, run.only)
    for segment in segments:
        forward = segment.forward(times)
        if segment.backward(times):
            yield from _run_backward(run, segment, shared=forward[:1])
        if forward:
            yield from _run_forward_spooled(run, segment) if run.lasting else _run_forward(run, segment)


def _run_forward(run: _ObjectRun, segment: Segment) -> Iterator[Step]:
    frames = run.frames(segment.initial_pts, segment.end_pts, run.only, run.read)
    for pair in run.stream(frames, segment.prompts, None):
        yield Step(pair if segment.begin_pts <= pair[0].pts else None, 1)


def _run_forward_spooled(run: _ObjectRun, segment: Segment) -> Iterator[Step]:
    """Do as `_run_forward`, recording in a spool and continuing from what is in it."""
    frames = run.frames(segment.initial_pts, segment.end_pts, run.only)
    with run.spool(segment, "forward") as spool:
        stored_pts, stored = frozenset(spool.pts), spool.read_forward()
        last = max(stored_pts, default=-1)
        for frame in frames:
            if frame.pts > last:
                frames = itertools.chain([frame], frames)
                break
            # The frames that a damaged clip yields may differ from one reading to the next.
            if frame.pts in stored_pts:
                pair = frame, next(prediction for pts, prediction in stored if pts == frame.pts)
                yield Step(pair if segment.begin_pts <= frame.pts else None, 1, 1)
        rest = iter(()) if spool.ended else run.stream(frames, segment.prompts, spool.state)
        with closing(spool.record(rest)) as recorded:
            for frame, prediction in recorded:
                yield Step((frame, prediction) if segment.begin_pts <= frame.pts else None, 1)


def _run_backward(run: _ObjectRun, segment: Segment, shared: Collection[int]) -> Iterator[Step]:
    """Run backward into a spool, then yield its frames forward.

    `shared` holds the pts of frames that are counted with the forward stream.
    """
    with run.spool(segment, "backward") as spool:
        yield from _fill_backward(run, segment, shared, spool)
        # The initial frame, and frames behind the segment, were only passed through.
        yielded = frozenset(p for p in spool.pts if segment.serves("backward", p))
        stored = spool.read_backward()
        for frame in run.frames(only=yielded):
            # A frame of a damaged clip that the backward reading could not decode is passed over.
            yield Step((frame, next(prediction for pts, prediction in stored if pts == frame.pts)), 0)
    if not run.lasting:
        spool.remove()


def _fill_backward(
    run: _ObjectRun, segment: Segment, shared: Collection[int], spool: Spool
) -> Iterator[Step]:
    """Run backward from where the spool ends, recording in it."""
    known = [pts for pts in spool.pts if segment.begin_pts <= pts]
    if known:
        done = sum(pts not in shared for pts in known)
        yield Step(None, done, done)
    upper = min(known, default=segment.initial_pts + 1)
    if spool.ended or upper <= segment.begin_pts:
        return
    frames = read_frames_backward(run.clip.path, segment.begin_pts, upper, run.only)
    with closing(spool.record(run.stream(frames, segment.prompts, spool.state))) as recorded:
        for frame, _ in recorded:
            yield Step(None, int(frame.pts not in shared))


# ---------------------------------------------------------------------- ahead of a run


def run_ahead(
    clip: Clip,
    stream: Stream,
    plan: Collection[list[Segment]],
    folder: Path,
    near: int,
    high_bit_depth: bool = False,
    device: FrameDevice | None = None,
    streams: Container[str] | None = None,
) -> Generator[Step, None, None]:
    """Run the streams of every object into their spools only, those around the frame of pts `near` first.

    `streams` are the names of those to run; None: all. Steps have no mattes: `partial` reads them. The next
    `run_plan` with the same folder yields all of them.
    """
    running = [
        _fill_object(
            _ObjectRun(clip, stream, folder, number, None, high_bit_depth, True, read_frames, device),
            segments,
            near,
            streams,
        )
        for number, segments in enumerate(plan)
    ]
    with ExitStack() as stack:
        for steps in running:
            stack.enter_context(closing(steps))
        while running:
            # In step, so that what a model has computed for a frame serves all objects.
            for steps in list(running):
                step = next(steps, None)
                if step is None:
                    running.remove(steps)
                else:
                    yield step


def _fill_object(
    run: _ObjectRun, segments: list[Segment], near: int, streams: Container[str] | None
) -> Generator[Step, None, None]:
    times = frame_times(run.clip, None)
    for segment in sorted(segments, key=lambda s: max(s.begin_pts - near, near - s.end_pts + 1, 0)):
        forward = segment.forward(times)
        for direction in segment.directions if near < segment.initial_pts else segment.directions[::-1]:
            if streams is not None and spool_name(run.number, segment, direction) not in streams:
                continue
            if direction == "forward" and forward:
                with run.spool(segment, "forward") as spool:
                    yield from _fill_forward(run, segment, spool)
            elif direction == "backward" and segment.backward(times):
                with run.spool(segment, "backward") as spool:
                    yield from _fill_backward(run, segment, forward[:1], spool)


def _fill_forward(run: _ObjectRun, segment: Segment, spool: Spool) -> Iterator[Step]:
    """Run forward from where the spool ends, recording in it."""
    known = [pts for pts in spool.pts if pts < segment.end_pts]
    if known:
        yield Step(None, len(known), len(known))
    lower = max(known, default=segment.initial_pts - 1) + 1
    if spool.ended or lower >= segment.end_pts:
        return
    frames = run.frames(lower, segment.end_pts)
    with closing(spool.record(run.stream(frames, segment.prompts, spool.state))) as recorded:
        for _ in recorded:
            yield Step(None, 1)
