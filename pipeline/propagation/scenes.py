"""Scene cuts and prompts that a plan is made of: found, or read from the resume data of an earlier run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from pipeline import models
from pipeline.clip import Clip
from pipeline.imaging import scene_cuts
from pipeline.job import Job, Progress
from pipeline.keys import pts_range
from pipeline.progress import ProgressMeter
from pipeline.prompts import Prompt
from pipeline.propagation import proposals, resume
from pipeline.propagation.plan import PlanInputs, prompts_by_frame
from pipeline.video.reading.index_cache import load_index


def find_plan_inputs(job: Job, clip: Clip) -> Generator[Progress, None, PlanInputs]:
    """Return what the plan of a job is made of: as an earlier run of it has stored it, or found now."""
    stored = resume.read_plan_inputs(job, clip)
    return stored or (yield from find_scenes(job, clip, pts_range(job, clip)))


def find_scenes(job: Job, clip: Clip, frames: tuple[int, int]) -> Generator[Progress, None, PlanInputs]:
    """Find the scene cuts in a pts range, as far as they matter to the plan, and the prompts to use.

    Where no prompt initialises an object, the model proposes prompts for each scene, if it can.
    """
    meter = ProgressMeter("matte", len(load_index(clip.path).between(*frames)))
    proposed = proposals.needs_proposals(job)
    automatic = models.card(job.model).automatic and not proposed
    if proposed:
        first, last = frames[0], frames[1] - 1
    else:
        starting = (prompt for prompt in job.active_prompts if prompt.initialises or prompt.paints)
        initial = prompts_by_frame(starting, clip)
        if len(initial) < 2 or models.card(job.model).has_memory:
            return PlanInputs([], job.active_prompts, automatic)
        first, last = min(initial), max(initial)
    scenes: list[int] = []
    with closing(scene_cuts.scan(clip.path, first, last)) as scan:
        for pts in scan:
            if pts is not None:
                scenes.append(pts)
            yield meter.progress(0)
    if not proposed:
        return PlanInputs(scenes, job.active_prompts, automatic)
    proposed_prompts: list[tuple[Prompt, ...]] = []
    for of_scene in proposals.propose_each_scene(job, clip, frames, scenes):
        proposed_prompts.append(of_scene)
        yield meter.progress(0)
    return PlanInputs(scenes, proposals.merge(job, proposed_prompts))
