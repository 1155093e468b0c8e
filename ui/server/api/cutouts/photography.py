"""Product photography at the API: a picture and words in, a stream of steps out, the result at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Request, Response
from pydantic import Field

from pipeline.compositing.background import LONGEST_WORDS, Words, check_words
from pipeline.generation import product
from pipeline.generation.drawing import Step as Drawn
from pipeline.generation.product import Facts, Side
from ui.server.api import events
from ui.server.api.cutouts.pictures import (
    EVENTS,
    LINES,
    CutoutStep,
    EncodedPicture,
    PictureCutouts,
    Step,
)
from ui.server.api.errors import WrongType
from ui.server.api.sessions import is_json, validate_body
from ui.server.api.threads import ApiThreads
from ui.server.uploads import Uploads
from ui.sessions.service import SessionService
from ui.visitor import user_id_of


class ProductPicture(EncodedPicture):
    """Picture of a product, and words for the background that is filled in around it."""

    words: Annotated[str, Field(min_length=1, max_length=LONGEST_WORDS)]
    """Description of the background, best in English; picture and words stay on the server's machine."""
    seed: Annotated[int, Field(ge=0, lt=10**18)] = 0
    """Another one gives another background; the same one the same."""
    generator: str = Field(default="", max_length=100)
    """Key of the network that fills it in; empty: the default one. `model` finds the product."""
    enlarge: bool = False
    """Enlarge the background by a network, as `upscale` the result, where the picture has more pixels."""
    background: Literal[""] = ""
    """It is made of the words."""
    crop: None = None
    """The picture stays whole."""


class PhotographyStep(CutoutStep):
    """Step of a product picture."""

    step: Literal["mask", "cutout", "product", "drawing", "result", "waiting", "problem"]  # type: ignore[assignment]
    """Those of `CutoutStep`, and before the run what the matte tells of the product, and the background."""
    white: bool | None = None
    """Of "product": the background is white already."""
    x: float | None = None
    y: float | None = None
    """Of "product": its centre, as shares of the picture's width and height."""
    share: float | None = None
    """Of "product": the part of the picture that it covers."""
    axis: float | None = None
    """Of "product": its longer axis, in degrees from upright, positive to the right."""
    elongation: float | None = None
    """Of "product": the ratio of its longer axis to the other."""
    side: Side | None = None
    """Of "product": the side that it is turned to."""
    prompt: str | None = None
    """Of "product": what the network is told."""
    done: int | None = None
    """Of "drawing": steps of the network, of `total`."""
    total: int | None = None


def router(
    service: SessionService,
    reading: ApiThreads,
    changing: ApiThreads,
    rendering: ApiThreads,
    drawing: ApiThreads,
    uploads: Uploads,
    streams: events.Streams,
) -> APIRouter:
    """Build the route `/photography/background`."""
    routes = APIRouter(prefix="/photography", tags=["Cut-outs"])
    pictures = PictureCutouts(service, reading, changing, rendering, uploads, streams)
    step = {"schema": {"$ref": f"#/components/schemas/{PhotographyStep.__name__}"}}
    body = {"schema": {"$ref": f"#/components/schemas/{ProductPicture.__name__}"}}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The steps", "content": {LINES: step, EVENTS: step}}
    }

    @routes.post(
        "/background",
        responses=answers,
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": body}}},
    )
    async def fill_background(request: Request) -> Response:
        """Fill in a background of words around the product of a picture, whose own pixels stay as they are.

        The answer is a stream of `PhotographyStep`, as lines of JSON or as server-sent events. The last one,
        "result", has the finished picture; its session keeps it, with the background that was made. Closing
        the stream before the run has begun leaves nothing.
        """
        if not is_json(request):
            raise WrongType(415, "application/json")
        sent = await request.body()
        picture = await to_thread.run_sync(validate_body, ProductPicture, sent)
        words = Words(" ".join(picture.words.split()), picture.seed, picture.generator)

        def check() -> None:
            check_words(words.text)
            product.check(words)

        await reading.run(request, check)  # before the picture is looked at

        async def fill(id: str) -> AsyncGenerator[Step, None]:
            backgrounds = service.for_owner(user_id_of(request)).word_backgrounds
            filling = backgrounds.fill(id, words.text, words.seed, words.model, enlarge=picture.enlarge)
            try:
                while told := await drawing.run(request, lambda: next(filling, None)):
                    yield {"session": id, **_describe(words, told)}
            finally:
                with CancelScope(shield=True):
                    await reading.run(request, filling.close)

        return await pictures.answer(request, picture, {}, [], lambda id: aclosing(fill(id)))

    return routes


def _describe(words: Words, told: Facts | Drawn) -> Step:
    if isinstance(told, Facts):
        return {"step": "product", **asdict(told), "prompt": product.write_prompt(words.text, told)}
    return {"step": "drawing", "done": told.done, "total": told.total}
