"""Cuts computed ahead of a session's run, in the worker process, and the state of what is stored of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from pipeline import models
from pipeline.job import Progress
from pipeline.jobs import preflight
from pipeline.keys import pts_range
from pipeline.progress import ReviewPoints
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import PartialMatte, ready_ranges
from pipeline.video.reading.index_cache import load_index
from ui.sessions.rendering.protocol import CutState, MarksChanged, RenderRequest
from ui.sessions.rendering.turns import MatteWriters, ModelTurns


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
    with writers.ahead(str(job.matte)), closing(compute_ahead(job, near)) as steps:
        while not writers.wanted(str(job.matte)):
            with turns.background():
                if not is_current():
                    raise MarksChanged
                progress = next(steps, None)
            if progress is None:
                return
            yield progress


def read_cut(request: RenderRequest) -> CutState:
    """Read which frames of a session's unfinished cut are stored, and which of them should be reviewed."""
    job, clip = request.effective_job, request.clip
    total = len(load_index(clip.path).between(*pts_range(job, clip)))
    partial = PartialMatte.find(job, clip)
    if partial is None:
        return CutState([], [], total)
    ready = partial.ready()
    review = ReviewPoints(clip)
    for pts, confidence in sorted(partial.confidences(ready).items()):
        review.add(pts, confidence)
    return CutState(ready_ranges(job, clip, ready), list(review.times), total)
