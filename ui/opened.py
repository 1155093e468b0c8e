"""A session as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from db.models import SessionRow, State
from pipeline.clip import Clip
from pipeline.job import Job
from pipeline.matte import Kept


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
        return Kept.find(self.job.matte, self.job.matte_key)
