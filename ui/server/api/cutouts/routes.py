"""Cut-outs at the API: a video and its options in one request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic_core import from_json

from pipeline import formats
from ui.addresses import API_PREFIX
from ui.server.api import events, schemas
from ui.server.api.answers import describe_run
from ui.server.api.cutouts.options import CutoutOptions
from ui.server.api.cutouts.pictures import EVENTS, LINES, CutoutStep, EncodedPicture, PictureCutouts
from ui.server.api.errors import failed_run_problem
from ui.server.api.files import describe_file, send_file
from ui.server.api.sessions import FORM, is_json, read_file, validate_body
from ui.server.api.threads import ApiThreads
from ui.server.uploads import Uploads
from ui.sessions.runs import Run
from ui.sessions.service import SessionService
from ui.visitor import language_of, user_id_of

LONGEST_WAIT = 600.0
"""Seconds for which an answer may wait for the result."""

_PICTURE_WAIT = 60.0

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?:$|[,;\s])", re.IGNORECASE)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": FORM},
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": f"#/components/schemas/{model.__name__}"}
                        for model in (schemas.UploadReference, EncodedPicture)
                    ]
                }
            },
        },
    }
}


def router(
    service: SessionService,
    threads: ApiThreads,
    changing: ApiThreads,
    rendering: ApiThreads,
    uploads: Uploads,
    streams: events.Streams,
) -> APIRouter:
    """Build the route `/cutouts`."""
    routes = APIRouter(tags=["Cut-outs"])
    pictures = PictureCutouts(service, threads, changing, rendering, uploads, streams)
    mimes = dict.fromkeys(form.mime for form in formats.FORMATS.values())

    @routes.post(
        "/cutouts",
        status_code=202,
        response_model=schemas.Run,
        responses={200: _describe_answer(mimes)},
        openapi_extra=_BODY,
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
        picture it is the finished file without that, too. A picture in JSON is answered with its steps
        (`CutoutStep`), as lines of JSON or server-sent events: the mask, the cut-out and the result.
        """
        marks = options.marks()
        path = await _read_body(uploads, request)
        if isinstance(path, EncodedPicture):
            return await pictures.answer(request, path, options.choices(), marks)

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
            return failed_run_problem(request, run)
        result = described.results[0].id

        def send() -> Response:
            file, mime, name = service.for_owner(user_id_of(request)).find_result(str(result))
            response = send_file(request, file, mime, name)
            response.headers.update(applied | {"Content-Location": f"{API_PREFIX}/results/{result}"})
            return response

        return await threads.run(request, send)

    return routes


async def _read_body(uploads: Uploads, request: Request) -> Path | EncodedPicture:
    """Return the file that a request brings or names, or the picture in its JSON; raises as `read_file`."""
    if not is_json(request):
        return await read_file(uploads, request)
    body = await request.body()

    def read() -> EncodedPicture | None:
        with suppress(ValueError):  # told by `read_file`
            value = from_json(body)
            if isinstance(value, dict) and "image_b64" in value:
                return validate_body(EncodedPicture, value)
        return None

    return await to_thread.run_sync(read) or await read_file(uploads, request)


def _describe_answer(mimes: Iterable[str]) -> dict[str, Any]:
    step = {"schema": {"$ref": f"#/components/schemas/{CutoutStep.__name__}"}}
    described = describe_file(*mimes)[200]
    content = described["content"] | {LINES: step, EVENTS: step}
    return {"description": "The result, or the steps of a picture in JSON", "content": content}


def _read_wait(prefer: str | None) -> float:
    """Return the seconds of a preference to wait (RFC 7240), at most `LONGEST_WAIT`; 0 without one."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0
