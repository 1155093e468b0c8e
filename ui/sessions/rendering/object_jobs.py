"""Jobs of a session's single objects, of which the mattes are kept apart."""

from __future__ import annotations

from dataclasses import replace

from pipeline import prompts
from pipeline.job import GREEN, Job
from pipeline.propagation.plan import prompts_by_frame
from ui.sessions.rendering.protocol import RenderRequest


def jobs_by_object(job: Job) -> dict[int, Job]:
    """Return the job of each enabled object by its number; without marks, the job itself as number 1."""
    plain, objects = matte_job(job), prompts.group_by_object(job.active_prompts)
    return {
        n: replace(plain, prompts=object_prompts, objects=()) for n, object_prompts in objects.items()
    } or {1: plain}


def matte_job(job: Job) -> Job:
    """Return the job without what does not change its matte, and might be refused for it."""
    return replace(job, background=GREEN, format="png", sound="own")


def predicts_exactly(request: RenderRequest, job: Job, pts: int) -> bool:
    """Return True if a prediction of this frame alone is what a run makes of it, for a job about one object.

    For a model that works frame by frame, that is so without deflickering; for others on the frames that
    their streams start from.
    """
    if job.is_per_frame:
        return not job.deflicker
    prompt = prompts_by_frame(job.active_prompts, request.clip).get(pts)
    return prompt is not None and prompt.initialises
