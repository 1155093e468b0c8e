"""process(job): a video is turned into a matte and the matte is rendered, both in one pass.

Decoding with the model, compositing, and encoding run in threads of their own, joined by bounded queues;
OpenCV and FFmpeg work outside Python's lock, so the whole takes about as long as its slowest part. Closing
the generator cancels: every thread ends, every file is closed, nothing half-written stays.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pipeline import devices, formats, matte, models
from pipeline.arrays import Pixels
from pipeline.clip import Clip
from pipeline.compositing.background import Footage, Picture, Transparent
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import adjust_edges
from pipeline.compositing.images import multiply_alpha
from pipeline.errors import InputError, VideoError, no_frames_sentence
from pipeline.files import remove_stale_parts, scratch_folder
from pipeline.imaging import scene_cuts
from pipeline.job import Job, Progress
from pipeline.jobs import preflight, speeds
from pipeline.keys import matte_key, pts_range, result_bounds
from pipeline.matte import MatteFile
from pipeline.models import LOW_CONFIDENCE, Prediction
from pipeline.prompts import Prompt
from pipeline.propagation import proposals, resume, run
from pipeline.propagation.plan import count_frames, plan_segments, prompts_by_frame
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.prefetch import prefetch
from pipeline.propagation.run import Step
from pipeline.propagation.stream import create_stream
from pipeline.video.audio.audio_read import AudioRange
from pipeline.video.labels import Labels
from pipeline.video.reading.frame_index import load_index
from pipeline.video.reading.frames import Frame
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.constant_rate import ConstantRate, LimitedRate
from pipeline.video.writing.output import Output, create_output
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer

_QUEUED_BYTES = 64 * 2**20
_PACE_SECONDS = 5.0
_TELLING_FRAMES = 24
_ONE_DOUBT_SECONDS = 0.4
"""Doubted frames that are no further apart are one place to look at."""


def process(job: Job) -> Generator[Progress, None, None]:
    """Make `job.output`, and `job.matte` where it is kept; a kept matte that serves the job is used again.

    Where the matte is kept, a run that ended on the way left what it had found (`propagation.resume`), and
    this one goes on with it: the matte and the result are those of a run that was not disturbed.

    Yields after every frame. Raises InputError where the job cannot be done, before anything is written,
    and RunError where the machine fails; both leave the files of before as they were.
    """
    clip = probe_clip(job.source)
    job.check(clip)
    span = pts_range(job, clip)
    kept = MatteFile.find(job.matte, matte_key(job))
    if kept is not None and kept.covers(*span):
        resume.clear(kept)  # the run that made it may have been killed just then
        yield from render(job, kept)
        return
    _ready(job, [job.output] if job.matte is None else [job.output, job.matte])
    preflight.check(job, clip, len(_times(clip, span)))
    stream = create_stream(job)
    scenes, asked = yield from find_scenes(job, clip, span)
    with ExitStack() as stack:
        timing = _Timing.of(job, clip, span)
        out = stack.enter_context(_output(job, clip, timing))
        keep = None
        if job.matte is None:
            folder = stack.enter_context(scratch_folder(job.output))
        else:
            first, past = span
            keep = matte.create_writer(job.matte, clip, key=matte_key(job), start=first, past=past)
            stack.enter_context(keep)
            folder = stack.enter_context(resume.open_folder(job, job.matte, clip))
        plan = plan_segments(asked, clip, *span, scenes)
        lasting = job.matte is not None
        steps = run.run_plan(clip, stream, plan, folder, deep=job.high_bit_depth(clip), lasting=lasting)
        pace = ProgressMeter("matte", count_frames(plan, clip))
        yield from _written(job, clip, timing, steps, pace, out, keep)
    if job.matte is not None:
        resume.clear(MatteFile.open(job.matte))
    _remember_speed(job, clip, pace)


def render(job: Job, kept: MatteFile) -> Generator[Progress, None, None]:
    """The cheap half alone: the source over a background by a matte file. Raises as `process` does."""
    clip = probe_clip(job.source)
    job.check(clip)
    (first, past), (begin, end) = pts_range(job, clip), kept.pts_range(clip)
    span = max(first, begin), min(past, end)
    if span[0] >= span[1]:
        raise InputError(
            f"{kept.path.name}: this matte has no picture for the part of {clip.name} asked for."
        )
    _ready(job, [job.output], kept.path)
    times = _times(clip, span)
    preflight.check(job, clip, len(times))
    pairs = kept.read(clip, span, deep=job.high_bit_depth(clip))
    steps = (Step((frame, Prediction(alpha)), 1) for frame, alpha in pairs)
    pace = ProgressMeter("render", len(times))
    timing = _Timing.of(job, clip, span)
    with _output(job, clip, timing) as out:
        yield from _written(job, clip, timing, steps, pace, out)


def _written(
    job: Job,
    clip: Clip,
    timing: _Timing,
    steps: Iterator[Step],
    pace: ProgressMeter,
    out: Output,
    keep: Writer | None = None,
) -> Generator[Progress, None, None]:
    """Render what `steps` bring to `out`: the model's work, the compositing and the encoding overlap."""
    checks = ReviewPoints(clip)
    frames = 0
    with (
        Renderer(job, clip, timing) as look,
        closing(prefetch(steps, _depth(job, clip))) as made,
        closing(prefetch(look.rendered(made, keep), _depth(job, clip))) as rendered,
    ):
        for one in rendered:
            if isinstance(one, _Picture):
                out.write(one.pixels, one.pts)
                frames += 1
                continue
            pace.step(one.frames, one.resumed)
            if one.pair is not None:
                checks.add(*one.pair)
            yield pace.progress(frames, checks.times, out.notes + look.notes)
    if not frames:
        raise VideoError(no_frames_sentence(clip.name))
    yield pace.progress(frames, checks.times, out.notes + look.notes)


def _times(clip: Clip, span: tuple[int, int]) -> list[int]:
    return [p for p in load_index(clip.path).pts if span[0] <= p < span[1]]


def find_scenes(
    job: Job, clip: Clip, span: tuple[int, int]
) -> Generator[Progress, None, tuple[list[int], tuple[Prompt, ...]]]:
    """Find the frames that begin a scene, as far as streams could start on both sides, and the marks to use.

    Where nothing says what the subject is, the model proposes marks for each scene, if it can.
    """
    pace = ProgressMeter("matte", len(_times(clip, span)))
    proposed = proposals.needs_proposals(job)
    if proposed:
        first, last = span[0], span[1] - 1
    else:
        told = prompts_by_frame((prompt for prompt in job.active_prompts if prompt.initialises), clip)
        if len(told) < 2 or models.card(job.model).has_memory:
            return [], job.active_prompts
        first, last = min(told), max(told)
    scenes: list[int] = []
    with closing(scene_cuts.scanned(clip.path, first, last)) as scan:
        for at in scan:
            if at is not None:
                scenes.append(at)
            yield pace.progress(0)
    if not proposed:
        return scenes, job.active_prompts
    marks: list[tuple[Prompt, ...]] = []
    for own in proposals.propose_each_scene(job, clip, span, scenes):
        marks.append(own)
        yield pace.progress(0)
    return scenes, proposals.merge(job, marks)


def _remember_speed(job: Job, clip: Clip, pace: ProgressMeter) -> None:
    """Keep how fast this went, for whoever chooses a model; a short run says little."""
    if pace.made < _TELLING_FRAMES:
        return
    # A model without weights, or one that did without torch, has the processor alone.
    networked = models.card(job.model).weights is not None and "torch" in sys.modules
    device = devices.pick(job.device).type if networked else "cpu"
    speeds.record(job.model, device, (clip.width, clip.height), pace.whole)


class _Timing(NamedTuple):
    """Times in the result of what is taken from the clip, in ticks of the result's own."""

    begin: int
    """The clip's pts at its second 0."""
    stop: int
    """The clip's pts at which it ends."""
    tick: Fraction
    rate: Fraction | None = None
    """Frames a second, where it is even."""
    most: Fraction | None = None
    """Frames a second that it may have, where the clip has more."""

    @classmethod
    def of(cls, job: Job, clip: Clip, span: tuple[int, int]) -> _Timing:
        begin, stop = result_bounds(job, clip, span)
        most = formats.by_key(job.format).max_rate
        if job.rate is not None:
            rate = job.rate if most is None else min(most, job.rate)
            return cls(begin, stop, 1 / rate, rate=rate)
        if most is not None and _quickest(clip) > most:
            return cls(begin, stop, _common(clip.time_base, 1 / most), most=most)
        return cls(begin, stop, clip.time_base)


def _common(a: Fraction, b: Fraction) -> Fraction:
    """The largest tick of which both are whole numbers; `a` where no container holds one so small."""
    denominator = math.lcm(a.denominator, b.denominator)
    common = Fraction(math.gcd(*(int(each * denominator) for each in (a, b))), denominator)
    return common if common.denominator < 2**31 else a


def _quickest(clip: Clip) -> Fraction:
    """Frames a second where they follow each other most quickly."""
    gaps = (b - a for a, b in pairwise(load_index(clip.path).pts))
    return 1 / (clip.time_base * min(gaps, default=round(1 / clip.rate / clip.time_base)))


def _output(job: Job, clip: Clip, timing: _Timing) -> Output:
    length = (timing.stop - timing.begin) * clip.time_base
    if timing.rate is not None:
        shape = StreamSpec(clip.width, clip.height, timing.tick, timing.rate)
    elif timing.most is not None:
        end, least = (round(seconds / timing.tick) for seconds in (length, 1 / timing.most))
        rate = min(clip.rate, timing.most)
        shape = StreamSpec(clip.width, clip.height, timing.tick, rate, end=end, min_last_duration=least)
    else:
        shape = StreamSpec(clip.width, clip.height, timing.tick, clip.rate, timing.begin, timing.stop)
    return create_output(
        job.output,
        formats.by_key(job.format),
        shape,
        alpha=isinstance(job.background, Transparent),
        high_bit_depth=job.high_bit_depth(clip),
        sound=_heard(job, clip, timing),
        quality=job.quality,
        hardware=job.hardware,
        labels=_labels(job, clip, timing),
    )


def _labels(job: Job, clip: Clip, timing: _Timing) -> Labels:
    """Title, timecode and chapters of the result."""
    begin, stop = timing.begin * clip.time_base, timing.stop * clip.time_base
    return Labels.read(job.source, clip.rate).cut(begin, None if stop == clip.length else stop, clip.rate)


def _heard(job: Job, clip: Clip, timing: _Timing) -> AudioRange | None:
    """The sound of the result, on the clip's time from its first picture on."""
    begin, stop = timing.begin * clip.time_base, timing.stop * clip.time_base
    if job.sound == "behind" and isinstance(job.background, Footage):
        behind = probe_clip(job.background.path)
        repeat = None if job.background.hold_last else behind.length
        return AudioRange(behind.path, begin, stop, repeat)
    if job.sound == "own":
        # Sound that is longer than the picture is left whole where nothing was cut.
        whole = stop == clip.length and job.end is None
        return AudioRange(job.source, begin, None if whole else stop)
    return None


class _Picture(NamedTuple):
    """One picture of the result."""

    pts: int
    pixels: Pixels


class Renderer:
    """Lays frames over the job's background by their mattes, at the times that the result shows them."""

    def __init__(self, job: Job, clip: Clip, timing: _Timing) -> None:
        self._clip = clip
        self._timing = timing
        self._first = True
        self._form = formats.by_key(job.format)
        self._slower = timing.rate != job.rate
        self._alone = self._form.content == "matte"
        self._edges = job.edges
        apart = self._form.content == "pair"
        behind = Transparent() if apart else job.background
        self._compose = open_composer(behind, clip.width, clip.height, job.edges)
        length = (timing.stop - timing.begin) * clip.time_base
        self._timed: ConstantRate[FramePrediction] | LimitedRate[FramePrediction] | None = None
        if timing.rate is not None:
            self._timed = ConstantRate(timing.rate, length)
        elif timing.most is not None:
            self._timed = LimitedRate(timing.most, length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._compose.close()

    @property
    def notes(self) -> tuple[str, ...]:
        most, timed = self._form.max_rate, self._timed
        left_out = timed.dropped > 0 if isinstance(timed, LimitedRate) else timed is not None and self._slower
        if most is None or not left_out:
            return self._compose.notes
        note = f"{self._form.label} takes {most} frames a second at most: what came closer was left out."
        return (note, *self._compose.notes)

    def rendered(self, steps: Iterator[Step], keep: Writer | None) -> Iterator[_Picture | Step]:
        """The pictures that each step brings, and then the step; mattes are kept in `keep` on the way."""
        for step in steps:
            if step.pair is not None:
                frame, found = step.pair
                if keep is not None:
                    keep.write(found.matte, frame.pts)
                yield from self._shown(step.pair)
            yield step
        if self._timed is not None:
            yield from (self._picture(pair, self._ticks(at)) for at, pair in self._timed.flush())

    def _shown(self, pair: FramePrediction) -> Iterator[_Picture]:
        # Before the first picture stands the first picture: not every format can begin with none.
        pts = self._timing.begin if self._first else pair[0].pts
        self._first = False
        if self._timed is None:
            yield self._picture(pair, pts)
            return
        seconds = (pts - self._timing.begin) * self._clip.time_base
        yield from (self._picture(shown, self._ticks(at)) for at, shown in self._timed.add(seconds, pair))

    def _ticks(self, at: int | Fraction) -> int:
        """The result's pts of a number at an even rate, or of a time in seconds."""
        return at if isinstance(at, int) else round(at / self._timing.tick)

    def _picture(self, pair: FramePrediction, pts: int) -> _Picture:
        """`pts` is the result's."""
        frame, found = pair
        if self._alone:
            return _Picture(pts, multiply_alpha(adjust_edges(found.matte, self._edges), frame.alpha))
        image = frame.image if frame.image16 is None else frame.image16
        # What is behind the subject goes on by the result's times, also while a frame is repeated.
        seconds = pts * self._timing.tick
        if self._timed is not None:
            seconds += self._timing.begin * self._clip.time_base
        return _Picture(pts, self._compose(image, found.matte, float(seconds), frame.alpha))


def _ready(job: Job, written: list[Path], *read: Path) -> None:
    """Clear away what killed runs left of what is to be written.

    Raises InputError where a file would take the place of one that is read, or of the other.
    """
    read += (job.source,)
    if isinstance(job.background, Picture | Footage):
        read += (job.background.path,)
    for path in written:
        if any(path.exists() and other.exists() and path.samefile(other) for other in read):
            raise InputError(f"{path.name}: the result would overwrite a file that it is made from.")
    if len({path.resolve() for path in written}) < len(written):
        raise InputError(f"{job.output.name}: the result and the matte cannot be the same file.")
    for path in written:
        remove_stale_parts(path)


def _depth(job: Job, clip: Clip) -> int:
    """How many frames with their mattes may wait between two threads."""
    each = clip.width * clip.height * (10 if job.high_bit_depth(clip) else 4)
    return max(2, min(32, _QUEUED_BYTES // each))


class ReviewPoints:
    """Times at which to look at the cut: the first frame of each run of doubted ones."""

    def __init__(self, clip: Clip) -> None:
        self._tick = clip.time_base
        self._doubted = -math.inf
        """Time of the last doubted frame, in seconds."""
        self.times: tuple[float, ...] = ()

    def add(self, frame: Frame, found: Prediction) -> None:
        if found.confidence >= LOW_CONFIDENCE:
            return
        now = float(frame.pts * self._tick)
        if now - self._doubted > _ONE_DOUBT_SECONDS:
            self.times += (now,)
        self._doubted = now


class ProgressMeter:
    """Counts frames, and tells the rate of the last seconds and what is left at it.

    Frames that a run before had kept go by fast and say nothing of the rate, nor does the time they take.
    """

    def __init__(self, stage: Literal["matte", "render"], total: int) -> None:
        self.stage = stage
        self.total = total
        self.done = 0
        self.made = 0
        """Those that were not kept."""
        self._worked = 0.0
        """Seconds that those took."""
        self._last = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    @property
    def whole(self) -> float:
        """Frames per second from the start on."""
        return self.made / max(self._worked, 1e-6)

    def step(self, frames: int = 1, kept: int = 0) -> None:
        now = time.monotonic()
        self.done += frames
        self.made += frames - kept
        if not kept:
            self._worked += now - self._last
        self._last = now
        self._marks.append((self._worked, self.made))
        while self._marks[-1][0] - self._marks[0][0] > _PACE_SECONDS and len(self._marks) > 2:
            self._marks.popleft()

    def progress(self, written: int, checks: tuple[float, ...] = (), notes: tuple[str, ...] = ()) -> Progress:
        (then, before), (now, made) = self._marks[0], self._marks[-1]
        rate = (made - before) / (now - then) if now > then else 0.0
        total = max(self.total, self.done)
        left = 0.0 if self.done == total else (total - self.done) / rate if rate else None
        return Progress(self.stage, self.done, total, rate, left, written, checks, notes)
