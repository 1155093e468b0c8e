"""A session as it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from db.models import SessionRow, State
from pipeline import models, prompts, video
from pipeline.background import Background, Footage, Picture
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

    @cached_property
    def kept(self) -> Kept | None:
        """The matte file, where it was made from just this job and for all that it keeps of the video."""
        kept = Kept.find(self.job.matte, self.cut.matte_key)
        return kept if kept is not None and kept.serves(*self.job.span(self.clip)) else None

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
        """Whether the newest result was made by other choices or other marks, as far as that is known."""
        made = self.row.results[0].key if self.row.results else None
        return made is not None and made != self.cut.result_key(self.folder)


def sounds(behind: Background) -> bool:
    """Whether a video with sound stands behind the subject."""
    return isinstance(behind, Footage) and behind.path.exists() and _has_sound(behind.path)


@lru_cache(maxsize=64)
def _has_sound(path: Path) -> bool:
    return bool(video.probe(path).sound)
