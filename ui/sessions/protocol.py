"""What goes to the process that makes the pictures of a session and what comes back, both plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import models, prompts
from pipeline.clip import Clip
from pipeline.errors import WeightsError
from pipeline.job import Job

PREVIEWS = 6


@dataclass(frozen=True)
class RenderRequest:
    """What a session is about."""

    id: str
    clip: Clip
    job: Job
    folder: Path

    @cached_property
    def effective_job(self) -> Job:
        """The job with those of its marks that its model takes: the others wait for a model that does."""
        card = models.card(self.job.model)
        taken = (
            replace(
                prompt,
                points=prompt.points if card.points else (),
                box=prompt.box if card.box else None,
                candidate=prompt.candidate if card.candidates else None,
            )
            for prompt in self.job.prompts
        )
        return replace(self.job, prompts=prompts.normalise(taken))

    @property
    def matte_inputs(self) -> tuple[Any, ...]:
        """What the matte is asked for by; another answer means that the marks have changed."""
        cut = self.effective_job
        return cut.model, cut.active_prompts, cut.deflicker, cut.weights


def can_load_model(job: Job) -> bool:
    """Whether the job's model can be loaded."""
    try:
        models.check_loadable(models.card(job.model), job.weights)
    except WeightsError:
        return False
    return True


@dataclass(frozen=True)
class EncodedImage:
    data: bytes
    """A picture file; with alpha where what is behind shows through."""
    mime: str
    final: bool
    """Whether the same question will have the same answer: not so while a mask is not known yet."""
