"""Cut-outs at the API: a video and its options in one request."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, Json, TypeAdapter, ValidationError

from pipeline import formats
from pipeline.compositing.edges import MAX_PIXELS, Despill
from ui.addresses import API_PREFIX
from ui.server.api import events, schemas
from ui.server.api.answers import describe_run
from ui.server.api.files import describe_file, send_file
from ui.server.api.problems import problem
from ui.server.api.sessions import FILE_BODY, read_file
from ui.server.api.threads import ApiThreads
from ui.server.uploads import Uploads
from ui.sessions.runs import Run
from ui.sessions.service import SessionService
from ui.visitor import language_of, user_id_of

LONGEST_WAIT = 600.0
"""Seconds for which an answer may wait for the result."""

_PICTURE_WAIT = 60.0

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?:$|[,;\s])", re.IGNORECASE)
_PROMPTS = TypeAdapter(list[schemas.Prompt])


class CutoutOptions(schemas.PlainChoices):
    """Choices and marks of a cut-out, as an address holds them."""

    model_config = schemas.STRICT

    clean: bool = True
    """Remove the old background's colour from semi-transparent pixels."""
    grow: float = Field(default=0.0, ge=-MAX_PIXELS, le=MAX_PIXELS)
    """Distance that the matte grows, in pixels of a frame 720 high."""
    feather: float = Field(default=0.0, ge=0, le=MAX_PIXELS)
    """Distance over which the edge is softened, in pixels of a frame 720 high."""
    despill: Despill = "none"
    light: Json[schemas.Light] = schemas.Light()
    """As JSON: `Light`."""
    prompts: str = Field(default="[]", max_length=20_000)
    """Marks, as JSON: a list of `Prompt`."""

    def choices(self) -> dict[str, Any]:
        """Return the choices that were sent, as `ui.sessions.choices.Choices.change` takes them."""
        values = self.model_dump(exclude_unset=True, exclude={"prompts"})
        edges = {name: values.pop(name) for name in schemas.Edges.model_fields if name in values}
        return values | ({"edges": edges} if edges else {})


def router(
    service: SessionService,
    threads: ApiThreads,
    changing: ApiThreads,
    uploads: Uploads,
    streams: events.Streams,
) -> APIRouter:
    """Build the route `/cutouts`."""
    routes = APIRouter(tags=["Cut-outs"])
    mimes = dict.fromkeys(form.mime for form in formats.FORMATS.values())

    @routes.post(
        "/cutouts",
        status_code=202,
        response_model=schemas.Run,
        responses={
            200: describe_file(*mimes)[200] | {"description": "The result, which `Prefer` waited for"}
        },
        openapi_extra=FILE_BODY,
    )
    async def create_cutout(
        request: Request,
        options: Annotated[CutoutOptions, Query()],
        prefer: Annotated[
            str | None,
            Header(max_length=200, description="`wait=SECONDS`, to be sent the result itself"),
        ] = None,
    ) -> Any:
        """Make a session of a video, with choices and marks, and run it.

        With `Prefer: wait=SECONDS` the answer is the finished file if it is done by then, else the run. Of a
        picture it is the finished file without that, too.
        """
        marks = _read_prompts(options.prompts)
        path = await read_file(uploads, request)

        def start() -> tuple[Run, bool]:
            theirs = service.for_owner(user_id_of(request))
            try:
                id = theirs.create(path, path.name)
            finally:
                uploads.discard(path)
            try:
                theirs.choices.change(id, options.choices())
                theirs.choices.save_marks(id, marks)
                return theirs.runs.start(id), theirs.read(id).clip.is_picture
            except BaseException:
                theirs.delete(id)
                raise

        run, is_picture = await changing.run(request, start)

        async def read() -> Run:
            theirs = service.for_owner(user_id_of(request))
            return await threads.run(request, lambda: theirs.runs.read(run.id))

        seconds = _PICTURE_WAIT if prefer is None and is_picture else _read_wait(prefer)
        if seconds:
            run = await streams.wait(user_id_of(request), run, read, seconds)
        location = {"Location": f"{API_PREFIX}/runs/{run.id}"}
        applied = {"Preference-Applied": f"wait={seconds:.0f}"} if _read_wait(prefer) else {}
        described = describe_run(run, language_of(request))
        if not run.finished:
            return Response(
                described.model_dump_json(),
                202,
                headers=location | applied,
                media_type="application/json",
            )
        if not described.results:
            return problem(request, 422, described.error or f"{described.state}", headers=location)
        result = described.results[0].id

        def send() -> Response:
            file, mime, name = service.for_owner(user_id_of(request)).find_result(str(result))
            response = send_file(request, file, mime, name)
            response.headers.update(applied | {"Content-Location": f"{API_PREFIX}/results/{result}"})
            return response

        return await threads.run(request, send)

    return routes


def _read_prompts(text: str) -> list[dict[str, Any]]:
    """Read marks as JSON. Raises RequestValidationError."""
    try:
        marks = _PROMPTS.validate_json(text)
    except ValidationError as error:
        places = [
            {**each, "type": "value_error", "loc": ("query", "prompts", *each["loc"])}
            for each in error.errors(include_url=False)
        ]
        raise RequestValidationError(places) from error
    return [mark.model_dump(exclude_unset=True) for mark in marks]


def _read_wait(prefer: str | None) -> float:
    """Return the seconds of a preference to wait (RFC 7240), at most `LONGEST_WAIT`; 0 without one."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0
