"""Session: a row of the database with its JSON columns parsed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from db.models import Result, SessionRow, State
from pipeline import formats, models
from pipeline.clip import Clip
from pipeline.compositing.background import Picture
from pipeline.errors import InputError
from pipeline.job import Job, Progress
from pipeline.jobs.events import MatteChecked
from pipeline.keys import matte_key, result_key
from pipeline.models import Card
from pipeline.propagation import resume
from ui.sessions.library import stock_backgrounds
from ui.sessions.rendering.protocol import RenderRequest


@dataclass(frozen=True)
class Session:
    """Session of one user; immutable, as it was when it was read."""

    row: SessionRow
    clip: Clip
    job: Job
    folder: Path
    progress: Progress | None = None
    """Saved progress of the run, or of one that stopped early."""
    checked: MatteChecked | None = None
    """Review of the newest matte."""
    awaited_background: str | None = None
    """"picture" or "video" where that was chosen to stand behind the subject, and has not come yet."""
    accepts: Callable[[Card], bool] = lambda card: card.acknowledged
    """Test for the owner's acknowledgement of what a model's licence forbids."""

    @property
    def id(self) -> str:
        return str(self.row.id)

    @property
    def running(self) -> bool:
        return self.row.state in (State.QUEUED, State.RUNNING)

    @property
    def licensed(self) -> bool:
        """True if its owner has acknowledged what its model's licence forbids."""
        return self.accepts(models.card(self.job.model))

    def check_licence(self) -> None:
        """Raise WeightsError where it is not `licensed`."""
        if not self.licensed:
            raise models.licence_error(models.card(self.job.model))

    def check_background(self) -> None:
        """Raise InputError where the background that was chosen has not come yet."""
        if self.awaited_background:
            if self.awaited_background == "picture":
                raise InputError("background.choose_picture")
            raise InputError("background.choose_video")

    @cached_property
    def render_request(self) -> RenderRequest:
        return RenderRequest(self.id, self.clip, self.job, self.folder)

    @property
    def effective_job(self) -> Job:
        """As of `RenderRequest`."""
        return self.render_request.effective_job

    @cached_property
    def can_resume(self) -> bool:
        """True if a run of just this job stopped early, and the next one resumes it."""
        stopped = self.row.state in (State.INTERRUPTED, State.CANCELLED, State.FAILED)
        return stopped and resume.can_resume(self.effective_job, self.clip)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that a page shows of it, except the progress of a run."""
        row = self.row
        results = [str(result.id) for result in row.results]
        content = [row.name, row.state.value, row.error, self.awaited_background, row.checks, results]
        content.append(self.job.to_json(self.folder))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def review_times(self) -> list[float]:
        """Seconds at which the matte of the present marks should be looked at, if known."""
        checked = self.checked
        return checked.times if checked is not None and checked.matte == matte_key(self.effective_job) else []

    @property
    def stock_background(self) -> str | None:
        """Name of the stock background; None for other backgrounds."""
        bg = self.job.background
        stem = bg.path.stem.removeprefix("background-") if isinstance(bg, Picture) else ""
        return stem if stem in stock_backgrounds.NAMES else None

    @property
    def outdated(self) -> bool:
        """True if the newest result was made from other choices or marks, as far as known."""
        newest_key = self.row.results[0].key if self.row.results else None
        return newest_key is not None and newest_key != result_key(self.effective_job, self.folder)


@dataclass(frozen=True)
class Unreadable:
    """Session whose row this version of the program cannot read: it can be listed and deleted."""

    row: SessionRow

    running = False

    @property
    def id(self) -> str:
        return str(self.row.id)

    @property
    def error(self) -> InputError:
        """The error of whoever wants to use it."""
        return InputError("choices.unreadable_session", name=self.row.name)


def download_name(row: SessionRow, result: Result) -> str:
    """Return the file name under which a result is downloaded."""
    form = formats.by_key(result.format)
    label = "recorte" if form.content == "picture" else form.content
    return f"{Path(row.name).stem}-{label}{form.suffix}"
