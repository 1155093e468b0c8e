"""A session as it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from db.models import SessionRow, State
from pipeline import background, models, prompts
from pipeline.background import Picture
from pipeline.clip import Clip
from pipeline.job import Job
from pipeline.matte import Kept
from ui import scenes


@dataclass(frozen=True)
class Opened:
    """A session's row, and what the row means."""

    row: SessionRow
    clip: Clip
    job: Job
    folder: Path

    @property
    def id(self) -> str:
        return str(self.row.id)

    @property
    def running(self) -> bool:
        return self.row.state in (State.QUEUED, State.RUNNING)

    @property
    def kept(self) -> Kept | None:
        """The matte file, where it was made from just this job."""
        return Kept.find(self.job.matte, self.cut.matte_key)

    @property
    def checks(self) -> list[float]:
        """Seconds where the cut that the present marks make may have slipped, as far as that is known."""
        told = self.row.checks
        return told["times"] if told is not None and told["matte"] == self.cut.matte_key else []

    @cached_property
    def cut(self) -> Job:
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
        return replace(self.job, prompts=prompts.ordered(taken))

    @property
    def scene(self) -> str | None:
        """Which of the shipped pictures stands behind the subject."""
        behind = self.job.background
        stem = behind.path.stem.removeprefix("background-") if isinstance(behind, Picture) else ""
        return stem if stem in scenes.NAMES else None

    @property
    def outdated(self) -> bool:
        """Whether the newest result was made by other choices or other marks than the present ones."""
        if not self.row.results:
            return False
        made, job = self.row.results[0], self.job
        chosen = (background.spec(job.background, self.folder), job.format, job.model)
        other_marks = job.matte is not None and job.matte.exists() and self.kept is None
        return (made.background, made.format, made.model) != chosen or other_marks
