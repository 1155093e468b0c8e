"""Models at the API one by one: what each lacks, its licence, and the download of its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response

from db.errors import NotFound
from pipeline import models
from pipeline.models import helpers
from pipeline.weights import locate
from pipeline.weights.locate import cached_lookups
from ui.addresses import API_PREFIX
from ui.server.api import schemas
from ui.server.api.listings import describe_model
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.visitor import language_of, user_id_of

ModelKey = Annotated[str, Path(max_length=100, description="Key of a model")]
WeightsKey = Annotated[
    str,
    Path(
        max_length=100,
        description='Key of a model, "vitmatte" (for `hair`), "grounding-dino", or "swin2sr-x2" or '
        '"swin2sr-x4" (for `upscale`)',
    ),
]


class MissingFile(schemas.Schema):
    """File of weights that is not on the server."""

    name: str
    bytes: int
    """About."""


class Weights(schemas.Schema):
    """Weights of a model, and their download."""

    state: Literal["present", "missing", "downloading", "failed"]
    """"present": they are on the server, or the model needs none; "failed": the download, which may be
    started again and goes on where it was."""
    done: int
    total: int
    """Bytes of the download."""
    error: str | None
    """Why it has failed, in the language of `Accept-Language`."""
    missing: list[MissingFile]


class ModelDetails(schemas.Model):
    """Model with what it lacks."""

    weights: Weights


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the routes below `/models/{key}`."""
    routes = APIRouter(prefix="/models/{key}", tags=["Models and formats"])

    @routes.get("")
    async def get_model(key: ModelKey, request: Request) -> ModelDetails:
        """Return a model, with what is missing before it can be used."""

        @cached_lookups()
        def read() -> ModelDetails:
            card = _find_card(key)
            described = describe_model(service.for_owner(user_id_of(request)), card, language_of(request))
            return ModelDetails(**described.model_dump(), weights=_describe(service, key, request))

        return await threads.run(request, read)

    @routes.post("/licence", status_code=204)
    async def acknowledge_licence(key: ModelKey, request: Request) -> Response:
        """Acknowledge what a model's licence forbids (`restriction`), as you have read it."""

        def acknowledge() -> None:
            service.for_owner(user_id_of(request)).acknowledge(_find_card(key).key)

        await threads.run(request, acknowledge)
        return Response(status_code=204)

    @routes.post("/weights", status_code=202)
    async def download_weights(key: WeightsKey, request: Request, response: Response) -> Weights:
        """Start the download of a model's weights, for all users, unless they are here or on their way.

        The licence has to be acknowledged where it forbids something.
        """

        def start() -> Weights:
            _check_key(key)
            service.for_owner(user_id_of(request)).start_download(key)
            return _describe(service, key, request)

        started = await threads.run(request, start)
        response.headers["Location"] = f"{API_PREFIX}/models/{key}/weights"
        return started

    @routes.get("/weights")
    async def get_weights(key: WeightsKey, request: Request) -> Weights:
        """Return how far the download of a model's weights is."""

        def read() -> Weights:
            _check_key(key)
            return _describe(service, key, request)

        return await threads.run(request, read)

    @routes.delete("/weights", status_code=204)
    async def cancel_download(key: WeightsKey, request: Request) -> Response:
        """Stop the download of a model's weights; what has come is kept, and so are weights that are here."""

        def cancel() -> None:
            _check_key(key)
            service.for_owner(user_id_of(request)).cancel_download(key)

        await threads.run(request, cancel)
        return Response(status_code=204)

    return routes


def _find_card(key: str) -> models.Card:
    if key not in models.cards():
        raise NotFound("choices.no_such_model", key=key, keys=", ".join(models.cards()))
    return models.card(key)


def _check_key(key: str) -> None:
    if key not in helpers.HELPERS:
        _find_card(key)


def _describe(service: SessionService, key: str, request: Request) -> Weights:
    _label, needed = helpers.find_weights(key)
    files = [] if needed is None else [file for file in needed.files if locate.find_file(file) is None]
    download = service.downloads.state(key)
    missing = [MissingFile(name=file.name, bytes=file.bytes) for file in files]
    if not missing:
        return Weights(state="present", done=0, total=0, error=None, missing=[])
    if download is None or (download.stop.is_set() and not download.error):
        total = sum(file.bytes for file in files)
        return Weights(state="missing", done=0, total=total, error=None, missing=missing)
    error = download.error
    return Weights(
        state="failed" if error else "downloading",
        done=download.done,
        total=download.total,
        error=error.render(language_of(request)) if error else None,
        missing=missing,
    )
