"""Sessions at the API: created, listed by pages, read, changed and deleted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from db.models import State
from db.repository import Cursor
from pipeline.compositing.background import Fit
from ui.addresses import API_PREFIX
from ui.server.api import schemas
from ui.server.api.answers import describe_session, summarise_session
from ui.server.api.errors import BadCursor, WrongType
from ui.server.api.threads import ApiThreads
from ui.server.middleware.api_requests import is_form
from ui.server.uploads import UploadRefused, Uploads
from ui.sessions.choices import Choices
from ui.sessions.service import SessionService
from ui.sessions.session import Session
from ui.visitor import language_of, user_id_of

Body = TypeVar("Body", bound=BaseModel)

_LONGEST_PAGE = 200
_USUAL_PAGE = 50


FORM = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
}
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": FORM},
            "application/json": {"schema": schemas.UploadReference.model_json_schema()},
        },
    }
}
"""Description of the body that `read_file` reads."""


def router(service: SessionService, threads: ApiThreads, changing: ApiThreads, uploads: Uploads) -> APIRouter:
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
                items=[summarise_session(each, language) for each in page.sessions],
                next=None if page.next is None else _write_cursor(page.next),
            )

        return await threads.run(request, read)

    @routes.get("/{id}")
    async def get_session(id: UUID, request: Request) -> schemas.Session:
        """Return a session with its video, its choices and its results."""

        def read() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            return describe_session(theirs, theirs.read(str(id)), language_of(request))

        return await threads.run(request, read)

    @routes.post(
        "",
        status_code=201,
        openapi_extra=FILE_BODY,
    )
    async def create_session(request: Request, response: Response) -> schemas.Session:
        """Make a session of a video: the one in the form, or that of a finished upload."""
        path = await read_file(uploads, request)

        def create() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            try:
                id = theirs.create(path, path.name)
            finally:
                uploads.discard(path)
            return describe_session(theirs, theirs.read(id), language_of(request))

        session = await changing.run(request, create)
        response.headers["Location"] = f"{API_PREFIX}/sessions/{session.id}"
        return session

    async def change_by_file(
        id: UUID, request: Request, change: Callable[[Choices, Path], Session]
    ) -> schemas.Session:
        """Change a session by the file that a request brings or names, and return it."""
        theirs = service.for_owner(user_id_of(request))
        await threads.run(request, lambda: theirs.read(str(id)))  # before anything is sent
        path = await read_file(uploads, request)

        def work() -> schemas.Session:
            try:
                session = change(theirs.choices, path)
            finally:
                uploads.discard(path)
            return describe_session(theirs, session, language_of(request))

        return await changing.run(request, work)

    @routes.patch("/{id}")
    async def change_session(id: UUID, changes: schemas.SessionChanges, request: Request) -> schemas.Session:
        """Change choices of a session, all or none, its name and its star, and return it."""

        def change() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            values = changes.model_dump(exclude_unset=True)
            name, starred = values.pop("name", ""), values.pop("starred", None)
            if values:
                theirs.choices.change(str(id), values)
            session = theirs.rename(str(id), name)
            if starred is not None:
                session = theirs.star(str(id), starred)
            return describe_session(theirs, session, language_of(request))

        return await threads.run(request, change)

    @routes.put("/{id}/prompts")
    async def replace_prompts(id: UUID, marks: schemas.Prompts, request: Request) -> schemas.Session:
        """Replace all marks and objects of a session, and return it."""

        def replace() -> schemas.Session:
            theirs = service.for_owner(user_id_of(request))
            values = marks.model_dump(exclude_unset=True)
            session = theirs.choices.save_marks(str(id), values["prompts"], values.get("objects"))
            return describe_session(theirs, session, language_of(request))

        return await threads.run(request, replace)

    @routes.put("/{id}/background", openapi_extra=FILE_BODY)
    async def replace_background(
        id: UUID,
        request: Request,
        kind: Annotated[Literal["picture", "video"], Query(description="What the file is")],
        fit: Annotated[Fit, Query(description="How it is laid on the frame")] = "fill",
        hold: Annotated[bool, Query(description="Hold a short video's last frame")] = False,
    ) -> schemas.Session:
        """Put a picture or a video behind the subject: the one in the form, or that of a finished upload."""

        def replace(choices: Choices, path: Path) -> Session:
            if kind == "picture":
                return choices.choose_picture(str(id), path, path.name, fit)
            return choices.choose_video(str(id), path, path.name, fit, hold)

        return await change_by_file(id, request, replace)

    @routes.put("/{id}/matte-in", openapi_extra=FILE_BODY)
    async def replace_matte(
        id: UUID,
        request: Request,
        invert: Annotated[bool, Query(description="White is the background")] = False,
        unpremultiply: Annotated[
            bool, Query(description="The brightness, multiplied by the alpha, is the matte")
        ] = False,
    ) -> schemas.Session:
        """Take a matte of another tool in place of a model's: a video, or an archive of pictures."""

        def replace(choices: Choices, path: Path) -> Session:
            choices.choose_matte(str(id), path, path.name)
            return choices.read_matte(str(id), invert, unpremultiply)

        return await change_by_file(id, request, replace)

    @routes.post("/{id}/masks", openapi_extra=FILE_BODY)
    async def add_mask(
        id: UUID,
        request: Request,
        time: Annotated[float, Query(ge=0, description="Seconds: the frame that it is of")] = 0.0,
        object: Annotated[int, Query(ge=1, le=9999, description="The object's number")] = 1,
        invert: Annotated[bool, Query(description="White is the background")] = False,
    ) -> schemas.Session:
        """Take a picture as an object's mask on one frame: the one in the form, or that of a finished upload.

        A PNG or EXR picture of the video's shape: its alpha, else its brightness. Return the session.
        """

        def add(choices: Choices, path: Path) -> Session:
            return choices.add_mask(str(id), path, path.name, time, object, invert)

        return await change_by_file(id, request, add)

    @routes.delete("/{id}", status_code=204)
    async def delete_session(id: UUID, request: Request) -> Response:
        """Delete a session with its video and its results; its run is stopped first."""
        await threads.run(request, lambda: service.for_owner(user_id_of(request)).delete(str(id)))
        return Response(status_code=204)

    return routes


async def read_file(uploads: Uploads, request: Request) -> Path:
    """Return the file that a request brings or names. Raises what `Uploads.receive` does, and WrongType."""
    if is_form(request.headers):
        return await uploads.receive(request)
    if not is_json(request):
        raise WrongType(415, "multipart/form-data", "application/json")
    named = validate_body(schemas.UploadReference, await request.body())
    path = await to_thread.run_sync(uploads.find, request.state.user, named.upload)
    if path is None:
        raise UploadRefused(404, "no_upload")
    return path


def is_json(request: Request) -> bool:
    """Return True for a request with JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def validate_body(model: type[Body], body: bytes | dict[str, Any]) -> Body:
    """Return a request's body, as it came or parsed, as a model. Raises RequestValidationError."""
    try:
        return model.model_validate_json(body) if isinstance(body, bytes) else model.model_validate(body)
    except ValidationError as error:
        invalid = [
            {**each, "loc": ("body", *each["loc"])}
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise RequestValidationError(invalid) from error


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
