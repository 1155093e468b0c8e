"""Pictures made of words at the API: a stream of steps, with the pictures at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from anyio import CancelScope
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from pipeline.compositing.background import LONGEST_WORDS, format_spec
from ui.server.api import events, schemas
from ui.server.api.cutouts.pictures import (
    EVENTS,
    LINES,
    Step,
    picture_step,
    problem_step,
    write_event,
    write_line,
)
from ui.server.api.errors import WrongType, answer_error, text_problem
from ui.server.api.negotiation import choose_type
from ui.server.api.threads import ApiThreads
from ui.sessions.library.drawn_backgrounds import Proposals
from ui.sessions.library.word_backgrounds import PROPOSED
from ui.sessions.service import SessionService
from ui.visitor import user_id_of


class WordsRequest(schemas.Schema):
    """Words for a background."""

    model_config = schemas.STRICT

    words: Annotated[str, Field(min_length=1, max_length=LONGEST_WORDS)]
    """Description of the background, best in English; the words stay on the server's machine."""
    seed: Annotated[int, Field(ge=0, lt=10**18)] | None = None
    """Of the first picture; each further one has the next. Null: behind those that are there."""
    count: Annotated[int, Field(ge=1, le=PROPOSED)] = PROPOSED


class DrawingStep(schemas.Schema):
    """Step of pictures that are made of words."""

    step: Literal["drawing", "picture", "problem"]
    """Progress; one of the pictures. "problem": the fields of `Problem`."""
    session: UUID | None = None
    drawn: int | None = None
    """Of "drawing": pictures that are there, of `pictures`."""
    pictures: int | None = None
    done: int | None = None
    """Steps of the network for the next one, of `total`."""
    total: int | None = None
    seed: int | None = None
    """Of "picture"."""
    background: str | None = None
    """Value that chooses the picture, as the `background` of the session."""
    image_b64: str | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    """In pixels."""


def router(
    service: SessionService, reading: ApiThreads, drawing: ApiThreads, streams: events.Streams
) -> APIRouter:
    """Build the route `/sessions/{id}/background/words`."""
    routes = APIRouter(tags=["Sessions"])
    step = {"schema": {"$ref": f"#/components/schemas/{DrawingStep.__name__}"}}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The steps", "content": {LINES: step, EVENTS: step}}
    }

    @routes.post("/sessions/{id}/background/words", responses=answers, response_class=Response)
    async def draw_backgrounds(id: UUID, wanted: WordsRequest, request: Request) -> Response:
        """Have pictures of words drawn in the shape of the result, to be chosen as background by `PATCH`.

        The answer is a stream of `DrawingStep`, as lines of JSON or as server-sent events. Closing it ends
        the drawing. Pictures that were drawn for the session before are deleted at its end.
        """
        kind = choose_type(request.headers.get("accept"), [LINES, EVENTS])
        if kind is None:
            raise WrongType(406, LINES, EVENTS)
        if streams.is_full(user_id_of(request)):
            return text_problem(request, 429, "busy")
        backgrounds = service.for_owner(user_id_of(request)).word_backgrounds
        steps = backgrounds.propose(str(id), wanted.words, wanted.seed, wanted.count)

        def advance() -> Step | Proposals:
            try:
                return {"step": "drawing", "session": str(id), **next(steps)._asdict()}
            except StopIteration as end:
                proposals: Proposals = end.value
                return proposals

        def read(proposals: Proposals, seed: int) -> Step:
            data = backgrounds.picture(str(id), seed).read_bytes()
            spec = format_spec(proposals.words(seed))
            return picture_step("picture", str(id), data, "image/png") | {"seed": seed, "background": spec}

        # What can be refused is refused here.
        first = await drawing.run(request, advance)

        async def tell() -> AsyncIterator[Step]:
            told = first
            try:
                while not isinstance(told, Proposals):
                    yield told
                    told = await drawing.run(request, advance)
                for seed in told.seeds:
                    yield await reading.run(request, partial(read, told, seed))
            except Exception as error:
                yield problem_step(answer_error(request, error))
            finally:
                with CancelScope(shield=True):
                    await reading.run(request, steps.close)

        counted = streams.count(user_id_of(request), tell())
        write = write_event if kind == EVENTS else write_line
        written = (write(each) async for each in counted)
        return StreamingResponse(written, media_type=kind, headers=events.HEADERS)

    return routes
