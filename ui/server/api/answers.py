"""Sessions, results and runs as the API's schemas have them, in the language of a request."""

from __future__ import annotations

from typing import Any

from db.models import Result
from pipeline import prompts
from pipeline.job import Progress
from ui.error_text import translate_error, translate_message, translate_notes
from ui.server.api import schemas
from ui.sessions.runs import Run
from ui.sessions.service import SessionService
from ui.sessions.session import Session, Unreadable


def describe_result(result: Result, language: str) -> schemas.Result:
    """Return a result."""
    return schemas.Result(
        id=result.id,
        created_at=result.created_at,
        format=result.format,
        model=result.model,
        bytes=result.bytes,
        frames=result.frames,
        seconds=result.seconds,
        notes=translate_notes(language, result),
    )


def summarise_session(session: Session | Unreadable, language: str) -> schemas.SessionSummary:
    """Return a session as it is listed."""
    return schemas.SessionSummary(**_summary(session, language))


def describe_session(theirs: SessionService, session: Session, language: str) -> schemas.Session:
    """Return a session with its video and its choices; `theirs` is its owner's service."""
    clip, job = session.clip, session.job
    choices = job.to_json(session.folder)
    return schemas.Session(
        **_summary(session, language),
        clip=schemas.Clip(
            width=clip.width,
            height=clip.height,
            frames=clip.frames,
            duration=clip.duration,
            sound=bool(clip.sound),
            picture=clip.is_picture,
        ),
        model=job.model,
        background=choices["background"],
        format=job.format,
        start=job.start,
        end=job.end,
        quality=job.quality,
        sound=job.sound,
        edges=choices["edges"],
        light=job.light.to_json(),  # type: ignore[arg-type]  # read by the schema
        rate=choices["rate"],
        hardware=job.hardware,
        crop=job.crop,
        hair=job.hair,
        upscale=job.upscale,
        classes=list(job.classes),
        prompts=prompts.to_json(job.prompts, session.folder),  # type: ignore[arg-type]  # read by the schema
        objects=choices["objects"],
        outdated=session.outdated,
        can_resume=session.can_resume,
        queue_position=theirs.queue_position(session.id),
    )


def describe_run(run: Run, language: str) -> schemas.Run:
    """Return a run."""
    return schemas.Run(
        id=run.id,
        session=run.stored.session.id,
        state=run.state,
        created_at=run.created_at,
        started_at=run.stored.started_at,
        finished_at=run.stored.finished_at,
        error=translate_message(language, *run.stored.error) or None,
        progress=None if run.progress is None else _describe_progress(run.progress),
        queue_position=run.queue_position,
        eta=run.eta,
        results=[describe_result(result, language) for result in run.stored.results],
    )


def _describe_progress(progress: Progress) -> schemas.Progress:
    return schemas.Progress(
        stage=progress.stage,
        done=progress.done,
        total=progress.total,
        rate=progress.rate,
        left=progress.left,
        checks=list(progress.checks),
    )


def _summary(session: Session | Unreadable, language: str) -> dict[str, Any]:
    row = session.row
    return {
        "id": row.id,
        "name": row.name,
        "starred": row.starred,
        "state": row.state,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
        "readable": isinstance(session, Session),
        "error": translate_error(language, row) or None,
        "results": [describe_result(result, language) for result in row.results],
    }
