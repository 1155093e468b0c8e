"""Sessions at the API: listed by pages, read, renamed, starred and deleted."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from db.models import State
from db.repository import Cursor
from ui.error_text import translate_error, translate_notes
from ui.server.api import schemas
from ui.server.api.errors import BadCursor
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.sessions.session import Session, Unreadable
from ui.visitor import language_of, user_id_of

_LONGEST_PAGE = 200
_USUAL_PAGE = 50


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the routes below `/sessions`."""
    routes = APIRouter(prefix="/sessions", tags=["Sessions"])

    @routes.get("")
    async def list_sessions(
        request: Request,
        cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE)] = _USUAL_PAGE,
        search: Annotated[str | None, Query(max_length=1000, description="A part of the name")] = None,
        state: State | None = None,
        starred: bool | None = None,
    ) -> schemas.SessionSummaries:
        """List your sessions by pages, those that were created last first."""

        def read() -> schemas.SessionSummaries:
            page = service.for_owner(user_id_of(request)).list_page(
                limit=limit,
                before=None if cursor is None else _read_cursor(cursor),
                search=search,
                state=state,
                starred=starred,
            )
            language = language_of(request)
            return schemas.SessionSummaries(
                items=[schemas.SessionSummary(**_summarise(each, language)) for each in page.sessions],
                next=None if page.next is None else _write_cursor(page.next),
            )

        return await threads.run(request, read)

    @routes.get("/{id}")
    async def get_session(id: UUID, request: Request) -> schemas.Session:
        """Return a session with its video, its choices and its results."""

        def read() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            return _describe(theirs, theirs.read(str(id)), language_of(request))

        return await threads.run(request, read)

    @routes.patch("/{id}")
    async def change_session(id: UUID, changes: schemas.SessionChanges, request: Request) -> schemas.Session:
        """Rename a session, set or remove its star, and return it."""

        def change() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            session = theirs.rename(str(id), changes.name)
            if changes.starred is not None:
                session = theirs.star(str(id), changes.starred)
            return _describe(theirs, session, language_of(request))

        return await threads.run(request, change)

    @routes.delete("/{id}", status_code=204)
    async def delete_session(id: UUID, request: Request) -> Response:
        """Delete a session with its video and its results; its run is stopped first."""
        await threads.run(request, lambda: service.for_owner(user_id_of(request)).delete(str(id)))
        return Response(status_code=204)

    return routes


def _summarise(session: Session | Unreadable, language: str) -> dict[str, Any]:
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
        "results": [
            schemas.Result(
                id=result.id,
                created_at=result.created_at,
                format=result.format,
                model=result.model,
                bytes=result.bytes,
                frames=result.frames,
                seconds=result.seconds,
                notes=translate_notes(language, result),
            )
            for result in row.results
        ],
    }


def _describe(theirs: SessionService, session: Session, language: str) -> schemas.Session:
    clip = session.clip
    return schemas.Session(
        **_summarise(session, language),
        clip=schemas.Clip(
            width=clip.width,
            height=clip.height,
            frames=clip.frames,
            duration=clip.duration,
            sound=bool(clip.sound),
        ),
        model=session.job.model,
        background=session.job.to_json(session.folder)["background"],
        format=session.job.format,
        outdated=session.outdated,
        can_resume=session.can_resume,
        queue_position=theirs.queue_position(session.id),
    )


def _write_cursor(cursor: Cursor) -> str:
    created_at, id = cursor
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> Cursor:
    """Read what `_write_cursor` wrote. Raises BadCursor for anything else."""
    try:
        moment, _, id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise BadCursor
        return created_at, UUID(id)
    except (ValueError, binascii.Error) as error:
        raise BadCursor from error
