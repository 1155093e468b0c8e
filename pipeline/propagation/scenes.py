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
    """Return what the plan of a job is made of: as an earlier run has stored it, or found now."""
    stored = known_plan_inputs(job, clip)
    return stored or (yield from find_scenes(job, clip, pts_range(job, clip)))


def known_plan_inputs(job: Job, clip: Clip) -> PlanInputs | None:
    """Return what `find_plan_inputs` does, without a search in the clip; None if it takes one.

    A run of other prompts, whose resume data are there, may have made the same search.
    """
    stored = resume.read_plan_inputs(job, clip)
    if stored is not None:
        return stored
    earlier = resume.read_earlier_inputs(job)
    if not any(prompt.initialises for prompt in job.active_prompts) and models.card(job.model).automatic:
        first, past = pts_range(job, clip)
        if earlier is None:
            return None
        if earlier.proposed is not None:
            number = proposals.object_number(job)
            same = all(prompt.object == number for prompt in earlier.proposed)
            if earlier.scanned != (first, past - 1) or not same:
                return None
            merged = proposals.merge(job, [earlier.proposed])
            return earlier._replace(prompts=merged, automatic=False)
        if not earlier.automatic or any(prompt.initialises for prompt in earlier.prompts):
            return None  # not known if the model proposes prompts
    automatic, between = models.card(job.model).automatic, _scanned_range(job, clip)
    if between is None:
        return PlanInputs([], job.active_prompts, automatic)
    if earlier is None or earlier.scanned != between:
        return None
    return PlanInputs(earlier.scenes, job.active_prompts, automatic, between)


def find_scenes(job: Job, clip: Clip, frames: tuple[int, int]) -> Generator[Progress, None, PlanInputs]:
    """Find the scene cuts in a pts range, as far as they matter to the plan, and the prompts to use.

    Where no prompt initialises an object, the model proposes prompts for each scene, if it can.
    """
    meter = ProgressMeter("matte", len(load_index(clip.path).between(*frames)))
    needs_proposals = proposals.needs_proposals(job)
    automatic = models.card(job.model).automatic and not needs_proposals
    between = (frames[0], frames[1] - 1) if needs_proposals else _scanned_range(job, clip)
    if between is None:
        return PlanInputs([], job.active_prompts, automatic)
    scenes: list[int] = []
    with closing(scene_cuts.scan(clip.path, *between)) as scan:
        for pts in scan:
            if pts is not None:
                scenes.append(pts)
            yield meter.progress(0)
    if not needs_proposals:
        return PlanInputs(scenes, job.active_prompts, automatic, between)
    proposed: list[Prompt] = []
    for of_scene in proposals.propose_each_scene(job, clip, frames, scenes):
        proposed += of_scene
        yield meter.progress(0)
    merged = proposals.merge(job, [tuple(proposed)])
    return PlanInputs(scenes, merged, automatic, between, tuple(proposed))


def _scanned_range(job: Job, clip: Clip) -> tuple[int, int] | None:
    """Return the pts of the first and the last frame that start streams; None if scene cuts do not matter."""
    starting = (prompt for prompt in job.active_prompts if prompt.initialises or prompt.paints)
    initial = prompts_by_frame(starting, clip)
    if len(initial) < 2 or models.card(job.model).has_memory:
        return None
    return min(initial), max(initial)
