"""Proposed prompts for a clip that has none: initial frames in each scene, and a box around its subject.

The first frame of a scene may be the worst to find a subject on, so frames spread over the beginning of the
scene are given to the model, which proposes boxes on them (`models.Proposer`). A proposal is an ordinary
prompt: streams run from it both ways and meet half-way, as from a user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, pairwise
from pathlib import Path

from pipeline import models
from pipeline.arrays import Image
from pipeline.clip import Clip
from pipeline.imaging import scene_cuts
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.models import Proposer
from pipeline.prompts import Prompt, normalise
from pipeline.propagation.plan import PlanInputs
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index

_FRAMES = 8
"""Number of frames of a scene that are given to the model."""

_REACH = 240
"""Number of frames at the scene's beginning that they are taken from; a preview searches its end as far."""


_APART = 24
"""Least number of frames between two initial ones: where streams meet, a matte may jump."""


def needs_proposals(job: Job) -> bool:
    """Return True if no prompt of the job initialises an object, and its model can propose one."""
    card = models.card(job.model)
    if any(prompt.initialises for prompt in job.active_prompts) or not card.automatic or card.given:
        return False
    return isinstance(models.load(job.model, job.device, job.weights), Proposer)


def propose_each_scene(
    job: Job, clip: Clip, span: tuple[int, int], scenes: Sequence[int]
) -> Iterator[tuple[Prompt, ...]]:
    """Yield for each scene of `span` (pts) the prompts proposed for it; none where nothing is found.

    `scenes` are the pts of the frames that begin another scene, ascending.
    """
    first, past = span
    borders = [first, *(cut for cut in scenes if first < cut < past), past]
    return (_propose_scene(job, clip, scene) for scene in pairwise(borders))


def merge(job: Job, proposed: Iterable[tuple[Prompt, ...]]) -> tuple[Prompt, ...]:
    """Merge the job's own prompts, which only correct, with the proposed ones."""
    return normalise((*chain.from_iterable(proposed), *job.active_prompts))


def object_number(job: Job) -> int:
    """Return the number of the object that prompts are proposed for."""
    return min((prompt.object for prompt in job.active_prompts), default=1)


def inputs_for_preview(job: Job, clip: Clip) -> PlanInputs:
    """Return what a preview's plan is made of: no scene cuts, and `prompts_for_preview`."""
    automatic = models.card(job.model).automatic and not needs_proposals(job)
    return PlanInputs([], prompts_for_preview(job, clip), automatic)


def prompts_for_preview(job: Job, clip: Clip) -> tuple[Prompt, ...]:
    """Return the job's prompts, or if none initialises an object, with proposals for its first scene."""
    if not needs_proposals(job):
        return job.active_prompts
    first, past = pts_range(job, clip)
    times = load_index(clip.path).between(first, past)[: _REACH + 1]
    scenes = [at for at in scene_cuts.scan(clip.path, first, times[-1]) if at is not None][:1]
    return merge(job, islice(propose_each_scene(job, clip, (first, past), scenes), 1))


def _propose_scene(job: Job, clip: Clip, scene: tuple[int, int]) -> tuple[Prompt, ...]:
    number = object_number(job)
    changed = clip.path.stat().st_mtime_ns
    return _propose_cached(clip, changed, scene, number, job.model, job.device, job.weights)


@lru_cache(maxsize=256)
def _propose_cached(
    clip: Clip,
    changed: int,
    scene: tuple[int, int],
    number: int,
    model: str,
    device: str,
    weights: Path | None,
) -> tuple[Prompt, ...]:
    """Propose prompts for one scene, about object `number`; `changed` is the file's mtime, for the cache."""
    proposer = models.load(model, device, weights)
    times = load_index(clip.path).between(*scene)[:_REACH]
    if not times or not isinstance(proposer, Proposer):
        return ()
    last = max(0, len(times) - 2)  # each is given to the model with the frame behind it
    chosen = sorted({round(last * (k + 0.5) / _FRAMES) for k in range(_FRAMES)})
    decoded: list[int] = []
    """Those of `chosen` that could be read."""

    def pairs() -> Iterator[tuple[Image, Image]]:
        numbers = {times[n]: n for n in chosen}
        wanted = {times[min(n + step, len(times) - 1)] for n in chosen for step in (0, 1)}
        before = None
        for frame in read_frames(clip.path, only=wanted):
            if before is not None and before.pts in numbers:
                decoded.append(numbers[before.pts])
                yield before.image, frame.image
            before = frame
        if before is not None and not decoded:  # a scene of one frame
            decoded.append(0)
            yield before.image, before.image

    proposed: dict[int, Prompt] = {}
    for proposal in proposer.propose(pairs()):
        at = decoded[proposal.number]
        if all(abs(at - other) >= _APART for other in proposed):
            proposed[at] = Prompt(float(times[at] * clip.time_base), box=proposal.box, object=number)
    return tuple(proposed.values())
