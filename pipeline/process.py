"""process(job): a video is turned into a matte and the matte is rendered, both in one pass.

Decoding with the model, and composite with encoding, run in threads of their own, joined by a bounded queue;
OpenCV and FFmpeg work outside Python's lock, so the whole takes about as long as its slowest part. Closing
the generator cancels: every thread ends, every file is closed, nothing half-written stays.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

from pipeline import cuts, devices, formats, matte, models, speeds, stretches, video
from pipeline.ahead import ahead
from pipeline.background import Footage, Picture, Transparent
from pipeline.clip import Clip
from pipeline.composite import composer
from pipeline.errors import InputError, VideoError
from pipeline.job import Job, Progress
from pipeline.matte import Kept
from pipeline.models import DOUBT, Found, Matte
from pipeline.video import Frame, Heard, Writer

_QUEUED_BYTES = 64 * 2**20
_PACE_SECONDS = 5.0
_TELLING_FRAMES = 24


def process(job: Job) -> Generator[Progress, None, None]:
    """Make `job.output`, and `job.matte` where it is kept; a kept matte of the same job is used again.

    Yields after every frame. Raises InputError where the job cannot be done, before anything is written,
    and RunError where the machine fails; both leave the files of before as they were.
    """
    clip = video.probe(job.source)
    job.check(clip)
    kept = Kept.find(job.matte, job.matte_key)
    if kept is not None:
        yield from render(job, kept)
        return
    first, past = job.span(clip)
    _check_outputs(job, [job.output] if job.matte is None else [job.output, job.matte])
    stream = stretches.stream(job)
    scenes = yield from _cuts(job, clip)
    with ExitStack() as stack:
        writer = stack.enter_context(_writer(job, clip, first, _sound_end(job, clip, past)))
        result = _Result(job, clip, writer)
        keep = None
        if job.matte is not None:
            keep = stack.enter_context(matte.writer(job.matte, clip, key=job.matte_key, start=first))
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=".recorte-", dir=job.output.parent, ignore_cleanup_errors=True)
        )
        plan = stretches.plan(job.asked, clip, first, past, scenes)
        steps = stretches.steps(clip, stream, plan, Path(folder))
        pace = _Pace("matte", stretches.work(plan, clip))
        checks = _Checks(clip)
        for step in stack.enter_context(closing(ahead(steps, _depth(clip)))):
            pace.step(step.work)
            if step.pair is not None:
                frame, found = step.pair
                checks.add(frame, found)
                if keep is not None:
                    keep.write(found.matte, frame.pts)
                result.add(frame, found.matte)
            yield pace.progress(result.frames, checks.times)
        result.check()
    _remember_speed(job, clip, pace)


def render(job: Job, kept: Kept) -> Generator[Progress, None, None]:
    """The cheap half alone: the source over a background by a matte file. Raises as `process` does."""
    clip = video.probe(job.source)
    job.check(clip)
    _check_outputs(job, [job.output], kept.path)
    pace = _Pace("render", kept.count)
    past = kept.span(clip)[1]
    with (
        _writer(job, clip, kept.start, _sound_end(job, clip, past)) as writer,
        closing(ahead(kept.pairs(clip), _depth(clip))) as pairs,
    ):
        result = _Result(job, clip, writer)
        for frame, alpha in pairs:
            result.add(frame, alpha)
            pace.step()
            yield pace.progress(result.frames)
        result.check()


def _cuts(job: Job, clip: Clip) -> Generator[Progress, None, list[int]]:
    """Where scenes begin between the first and the last frame that a stream could start from."""
    told = stretches.marked((prompt for prompt in job.asked if prompt.starts), clip)
    if len(told) < 2 or models.card(job.model).remembers:
        return []
    found: list[int] = []
    pace = _Pace("matte", clip.frames)
    with closing(cuts.scanned(clip.path, min(told), max(told))) as scan:
        for at in scan:
            if at is not None:
                found.append(at)
            yield pace.progress(0)
    return found


def _remember_speed(job: Job, clip: Clip, pace: _Pace) -> None:
    """Keep how fast this went, for whoever chooses a model; a short run says little."""
    if pace.done < _TELLING_FRAMES:
        return
    # A model without weights, or one that did without torch, has the processor alone.
    networked = models.card(job.model).weights is not None and "torch" in sys.modules
    device = devices.pick(job.device).type if networked else "cpu"
    speeds.record(job.model, device, (clip.width, clip.height), pace.whole)


def _sound_end(job: Job, clip: Clip, past: int) -> int | None:
    """Where the sound ends for a picture that ends before `past`; None: with the source's."""
    if past <= video.index(clip.path).pts[-1]:
        return past
    return None if job.end is None else round(clip.duration / clip.time_base)


def _writer(job: Job, clip: Clip, first: int, end: int | None) -> Writer:
    return Writer(
        job.output,
        formats.by_key(job.format),
        width=clip.width,
        height=clip.height,
        time_base=clip.time_base,
        rate=clip.rate,
        start=first,
        alpha=isinstance(job.background, Transparent),
        sound=_heard(job, clip, first, end),
    )


def _heard(job: Job, clip: Clip, first: int, end: int | None) -> Heard | None:
    if job.sound != "own":
        return None
    tick = clip.time_base
    return Heard(job.source, first * tick, None if end is None else end * tick)


class _Result:
    """Composite and encode: lays frames over the job's background by their mattes and writes them."""

    def __init__(self, job: Job, clip: Clip, writer: Writer) -> None:
        self._clip = clip
        self._compose = composer(job.background, clip.width, clip.height)
        self._writer = writer
        self.frames = 0

    def add(self, frame: Frame, alpha: Matte) -> None:
        seconds = float(frame.pts * self._clip.time_base)
        self._writer.write(self._compose(frame.image, alpha, seconds), frame.pts)
        self.frames += 1

    def check(self) -> None:
        """Raise VideoError where there was nothing to add."""
        if not self.frames:
            raise VideoError(f"{self._clip.name}: not one picture of this video could be decoded.")


def _check_outputs(job: Job, written: list[Path], *read: Path) -> None:
    """Raise InputError where a file would take the place of one that is read, or of the other."""
    read += (job.source,)
    if isinstance(job.background, Picture | Footage):
        read += (job.background.path,)
    for path in written:
        if any(path.exists() and other.exists() and path.samefile(other) for other in read):
            raise InputError(f"{path.name}: the result would overwrite a file that it is made from.")
    if len({path.resolve() for path in written}) < len(written):
        raise InputError(f"{job.output.name}: the result and the matte cannot be the same file.")


def _depth(clip: Clip) -> int:
    """How many frames with their mattes may wait between two threads."""
    return max(2, min(32, _QUEUED_BYTES // (clip.width * clip.height * 4)))


class _Checks:
    """Where the cut should be looked at: the first frame of each run of them that the model doubts."""

    def __init__(self, clip: Clip) -> None:
        self._tick = clip.time_base
        self._doubted = False
        self.times: tuple[float, ...] = ()

    def add(self, frame: Frame, found: Found) -> None:
        doubted = found.confidence < DOUBT
        if doubted and not self._doubted:
            self.times += (float(frame.pts * self._tick),)
        self._doubted = doubted


class _Pace:
    """Counts frames, and tells the rate of the last seconds and what is left at it."""

    def __init__(self, stage: Literal["matte", "render"], total: int) -> None:
        self.stage = stage
        self.total = total
        self.done = 0
        self._began = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    @property
    def whole(self) -> float:
        """Frames per second from the start on."""
        return self.done / max(time.monotonic() - self._began, 1e-6)

    def step(self, frames: int = 1) -> None:
        self.done += frames
        self._marks.append((time.monotonic(), self.done))
        while self._marks[-1][0] - self._marks[0][0] > _PACE_SECONDS and len(self._marks) > 2:
            self._marks.popleft()

    def progress(self, written: int, checks: tuple[float, ...] = ()) -> Progress:
        (then, before), (now, done) = self._marks[0], self._marks[-1]
        rate = (done - before) / (now - then) if now > then else 0.0
        left = max(0, self.total - done) / rate if rate else None
        return Progress(self.stage, done, max(self.total, done), rate, left, written, checks)
