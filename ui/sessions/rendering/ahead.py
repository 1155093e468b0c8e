"""Cuts computed ahead of a session's run, in the worker process, and the state of what is stored of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing

from pipeline import models
from pipeline.clip import Clip
from pipeline.job import Job, Progress
from pipeline.jobs import preflight, speeds
from pipeline.keys import pts_range
from pipeline.progress import ReviewPoints
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import PartialMatte, ready_ranges
from pipeline.video.reading.index_cache import load_index
from ui.sessions.rendering.protocol import CutState, MarksChanged, RenderRequest
from ui.sessions.rendering.turns import MatteWriters, ModelTurns

_MEASURED_FRAMES = 24
"""Number of frames from which on a model's rate counts."""


def compute_cut(
    request: RenderRequest,
    near: int,
    turns: ModelTurns,
    writers: MatteWriters,
    is_current: Callable[[], bool],
) -> Generator[Progress, None, None]:
    """Compute the mattes of a session's job, those around the frame of pts `near` first.

    Waits for its turn at the model before every frame, and ends when a run of the session begins. Raises
    MarksChanged once the request is no longer current, and as `compute_ahead`.
    """
    job = request.effective_job
    frames = load_index(request.clip.path).between(*pts_range(job, request.clip))
    preflight.check(job, request.clip, len(frames))
    models.load(job.model, job.device, job.weights)  # slow, so before a turn is taken
    done = computed = 0
    seconds = 0.0
    try:
        with writers.ahead(str(job.matte)), closing(compute_ahead(job, near)) as steps:
            while not writers.wanted(str(job.matte)):
                with turns.background():
                    if not is_current():
                        raise MarksChanged
                    began = time.monotonic()  # in the turn: waiting for it says nothing about the model
                    progress = next(steps, None)
                    if progress is not None and progress.done == done + 1:  # not several that are stored
                        computed, seconds = computed + 1, seconds + time.monotonic() - began
                if progress is None:
                    return
                done = progress.done
                yield progress
    finally:
        if computed >= _MEASURED_FRAMES:
            _correct_speed(job, request.clip, computed / max(seconds, 1e-6))


def _correct_speed(job: Job, clip: Clip, rate: float) -> None:
    """Record the model's rate, in frames a second, where a slower one is recorded: of a busy machine."""
    seconds = speeds.expected_seconds(job.model, (clip.width, clip.height), 1)
    if seconds is not None and rate * seconds > 1:
        speeds.record_model(job, clip, rate)


def read_cut(request: RenderRequest) -> CutState:
    """Read which frames of a session's unfinished cut are stored, and which of them should be reviewed."""
    job, clip = request.effective_job, request.clip
    total = len(load_index(clip.path).between(*pts_range(job, clip)))
    partial = PartialMatte.find(job, clip) or PartialMatte.find_kept(job, clip)
    if partial is None:
        return CutState([], [], total)
    ready = partial.ready()
    review = ReviewPoints(clip)
    for pts, confidence in sorted(partial.confidences(ready).items()):
        review.add(pts, confidence)
    return CutState(ready_ranges(job, clip, ready), list(review.times), total)
