"""Cut-outs of pictures in JSON: Base64 in, and a stream of steps out.

The steps are lines of JSON, or server-sent events, whichever `Accept` prefers:

    {"step": "mask", "image_b64": "…", "media_type": "image/png", "width": 640, "height": 480, …}
    {"step": "cutout", …}
    {"step": "result", …}

While the run waits or lasts, a step "waiting" now and then keeps the connection; where a step fails, the
last one is "problem", with problem details.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from PIL import Image
from pydantic import Field

from db.errors import DatabaseAway, NotFound
from pipeline.errors import VideoError
from pipeline.weights.locate import cached_lookups
from ui.server.api import events, schemas
from ui.server.api.errors import WrongType, answer_error, failed_run_problem, text_problem
from ui.server.api.negotiation import choose_type
from ui.server.api.threads import ApiThreads
from ui.server.uploads import UploadRefused, Uploads
from ui.sessions.runs import Run
from ui.sessions.service import SessionService
from ui.visitor import user_id_of

LINES, EVENTS = "application/x-ndjson", "text/event-stream"
LONGEST_SECONDS = 600.0
"""Seconds for which a stream waits for its run."""

Step = dict[str, Any]
"""`CutoutStep` as JSON has it."""

LayBackground = Callable[[str], AbstractAsyncContextManager[AsyncIterator[Step]]]
"""`(session)` to the steps in which its background is made, before its run."""

_VIEWS = {"mask": "matte", "cutout": "cutout"}
"""Views of the frame by the names of their steps."""
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")


class EncodedPicture(schemas.Choices):
    """Picture to cut out, with choices and marks."""

    model_config = schemas.STRICT

    image_b64: str
    """The file of the picture in Base64, or as a data URL; at most about 12 MB."""
    name: str = Field(default="picture", min_length=1, max_length=1000)
    """Name of the session that is made of it."""
    prompts: list[schemas.Prompt] = Field(default=[])
    objects: list[schemas.Object] = Field(default=[], max_length=99)


class CutoutStep(schemas.Schema):
    """Step of a picture's cut-out."""

    step: Literal["mask", "cutout", "result", "waiting", "problem"]
    """The matte; the subject cut out; the file that the run has made. "problem": the fields of `Problem`."""
    session: UUID | None = None
    run: UUID | None = None
    """Of "waiting" and "result"."""
    queue_position: int | None = None
    """Of "waiting". 0: the run lasts; 1: it is next."""
    result: UUID | None = None
    """Id of the result."""
    image_b64: str | None = None
    """The picture in Base64."""
    media_type: str | None = None
    """"image/png"; of the result that of its format."""
    width: int | None = None
    height: int | None = None
    """In pixels; null for a result that is no picture, as of a format for videos."""


class PictureCutouts:
    """Cuts pictures out step by step."""

    def __init__(
        self,
        service: SessionService,
        reading: ApiThreads,
        changing: ApiThreads,
        rendering: ApiThreads,
        uploads: Uploads,
        streams: events.Streams,
    ) -> None:
        self._service = service
        self._reading, self._changing, self._rendering = reading, changing, rendering
        self._uploads = uploads
        self._streams = streams

    async def answer(
        self,
        request: Request,
        picture: EncodedPicture,
        choices: dict[str, Any],
        marks: list[dict[str, Any]],
        lay_background: LayBackground | None = None,
    ) -> Response:
        """Make a session of a picture and return the stream of its steps.

        `choices` and `marks` are those of the address; those of the picture go before them. What can be
        refused before the first step is refused here, and then no session is left.
        """
        kind = choose_type(request.headers.get("accept"), [LINES, EVENTS])
        if kind is None:
            raise WrongType(406, LINES, EVENTS)
        if self._streams.is_full(user_id_of(request)):
            return text_problem(request, 429, "busy")
        own = EncodedPicture.model_fields.keys() - {"image_b64", "name"}
        values = picture.model_dump(exclude_unset=True, include=own)
        marks = values.pop("prompts", marks)
        objects = values.pop("objects", None)
        if "edges" in values and "edges" in choices:
            values["edges"] = choices["edges"] | values["edges"]

        def create() -> str:
            theirs = self._service.for_owner(user_id_of(request))
            path = self._store(request, picture)
            try:
                id = theirs.create(path, picture.name)
            except VideoError as error:
                if error.message.key == "video.unreadable":
                    raise UploadRefused(422, "not_a_picture") from error
                raise
            finally:
                self._uploads.discard(path)
            try:
                if not theirs.read(id).clip.is_picture:
                    raise UploadRefused(422, "not_a_picture")
                theirs.choices.change(id, choices | values)
                theirs.choices.save_marks(id, marks, objects)
            except BaseException:
                theirs.delete(id)
                raise
            return id

        id = await self._changing.run(request, create)
        steps = self._streams.count(user_id_of(request), self._steps(request, id, lay_background))
        write = write_event if kind == EVENTS else write_line
        written = (write(step) async for step in steps)
        return StreamingResponse(written, media_type=kind, headers=events.HEADERS)

    def _store(self, request: Request, picture: EncodedPicture) -> Path:
        """Write a picture where uploads are, and return its path. Raises UploadRefused and QuotaExceeded."""
        start = _DATA_URL.match(picture.image_b64)
        text = picture.image_b64[start.end() if start else 0 :]
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (ValueError, binascii.Error) as error:
            raise UploadRefused(422, "not_base64") from error
        if not data:
            raise UploadRefused(422, "not_a_picture")
        if len(data) > self._uploads.max_bytes:
            raise self._uploads.too_large()
        visitor = request.state.user
        folder = self._uploads.new_folder(visitor)
        with self._uploads.quota.reserve(visitor.id, folder, len(data)):
            folder.mkdir(parents=True)
            path = folder / "picture"
            path.write_bytes(data)
        return path

    async def _steps(
        self, request: Request, id: str, lay_background: LayBackground | None
    ) -> AsyncIterator[Step]:
        theirs = self._service.for_owner(user_id_of(request))
        missing = dict(_VIEWS)
        started = False
        try:
            # What only a run can tell comes after it.
            while missing and (drawn := await self._draw(request, theirs, id, next(iter(missing)))):
                missing.pop(drawn["step"])
                yield drawn
            if lay_background is not None:
                async with lay_background(id) as steps:
                    async for step in steps:
                        yield step
            begun = await self._reading.run(request, lambda: theirs.runs.start(id))
            started = True
            async for run in self._follow(request, theirs, begun):
                if not run.finished:
                    yield {
                        "step": "waiting",
                        "session": id,
                        "run": str(run.id),
                        "queue_position": run.queue_position,
                    }
            if not run.finished:
                yield problem_step(text_problem(request, 503, "busy"))
                return
            if not run.stored.results:
                yield problem_step(failed_run_problem(request, run))
                return
            for name in missing:
                if drawn := await self._draw(request, theirs, id, name):
                    yield drawn
            yield await self._reading.run(request, lambda: _read_result(theirs, id, run))
        except Exception as error:
            yield problem_step(answer_error(request, error))
        finally:
            if not started:  # nothing is left of what has come to nothing
                with CancelScope(shield=True), suppress(NotFound, DatabaseAway):
                    await self._changing.run(request, lambda: theirs.delete(id))

    async def _draw(self, request: Request, theirs: SessionService, id: str, name: str) -> Step | None:
        """Return the step with the picture in one of the views; None where its mask is not known yet."""

        @cached_lookups()
        def draw() -> Step | None:
            session = theirs.open(id)
            image = theirs.frames.render_frame(session, 0, _VIEWS[name], encoding="png")
            return picture_step(name, id, image.data, image.mime) if image.cut else None

        return await self._rendering.run(request, draw)

    async def _follow(self, request: Request, theirs: SessionService, run: Run) -> AsyncIterator[Run]:
        """Yield a run now and then, and at last as it ended, or is after `LONGEST_SECONDS`."""
        began = said = time.monotonic()
        id = run.id
        while not run.finished and time.monotonic() - began < LONGEST_SECONDS:
            await asyncio.sleep(events.POLL_SECONDS)
            with suppress(DatabaseAway):
                run = await self._reading.run(request, lambda: theirs.runs.read(id))
            if time.monotonic() - said >= events.KEEP_ALIVE_SECONDS:
                said = time.monotonic()
                yield run
        yield run


def _read_result(theirs: SessionService, id: str, run: Run) -> Step:
    result = run.stored.results[0]
    file, mime, _name = theirs.find_result(str(result.id))
    step = picture_step("result", id, file.read_bytes(), mime)
    return step | {"run": str(run.id), "result": str(result.id)}


def picture_step(name: str, id: str, data: bytes, mime: str) -> Step:
    """Return a step with a picture of a session."""
    width = height = None
    if mime.startswith("image/"):
        with Image.open(io.BytesIO(data)) as picture:  # reads no more than its header
            width, height = picture.size
    return {
        "step": name,
        "session": id,
        "media_type": mime,
        "width": width,
        "height": height,
        "image_b64": base64.b64encode(data).decode(),
    }


def _waiting_step(id: str, run: Run) -> Step:
    return {"step": "waiting", "session": id, "run": str(run.id), "queue_position": run.queue_position}


def problem_step(response: Response) -> Step:
    """Return the last step of a stream that failed, with the problem of a response."""
    details: Step = json.loads(bytes(response.body))
    return {"step": "problem"} | details


def write_line(step: Step) -> str:
    """Return a step as a line of JSON."""
    return json.dumps(step) + "\n"


def write_event(step: Step) -> str:
    """Return a step as a server-sent event."""
    return f"event: {step['step']}\ndata: {json.dumps(step)}\n\n"
