"""Models and formats at the API."""

from __future__ import annotations

from fastapi import APIRouter, Request

from pipeline import formats, models
from pipeline.weights.locate import cached_lookups
from ui import text
from ui.server.api.schemas import Format, Formats, Model, Models
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.visitor import language_of, user_id_of


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the routes `/models` and `/formats`."""
    routes = APIRouter(tags=["Models and formats"])

    @routes.get("/models")
    async def list_models(request: Request) -> Models:
        """List the models, with what each takes, its licence and whether its weights are here."""

        @cached_lookups()
        def read() -> Models:
            theirs, language = service.for_owner(user_id_of(request)), language_of(request)
            return Models(items=[describe_model(theirs, card, language) for card in models.cards().values()])

        return await threads.run(request, read)

    @routes.get("/formats")
    async def list_formats(request: Request) -> Formats:
        """List the formats of results."""

        def read() -> Formats:
            language = language_of(request)
            return Formats(
                items=[_describe_format(service, form, language) for form in formats.FORMATS.values()]
            )

        return await threads.run(request, read)

    return routes


def describe_model(service: SessionService, card: models.Card, language: str) -> Model:
    """Return a model; `service` is that of the user who asks."""
    restriction = text.translate_restriction(language, card.key, card.restriction)
    return Model(
        key=card.key,
        label=card.label,
        purpose=text.translate_purpose(language, card.key, card.purpose),
        points=card.points,
        box=card.box,
        automatic=card.automatic,
        candidates=card.candidates,
        classes=list(card.classes),
        licence=card.licence,
        licence_url=card.licence_url,
        restriction=restriction or None,
        acknowledged=service.has_acknowledged(card.key),
        present=card.present,
        download_bytes=0 if card.weights is None or card.weights.shipped else card.weights.bytes,
        version=card.version,
    )


def _describe_format(service: SessionService, form: formats.Format, language: str) -> Format:
    return Format(
        key=form.key,
        label=text.translate_format_name(language, form.key, form.label),
        suffix=form.suffix,
        media_type=form.mime,
        content=form.content,
        alpha=form.alpha,
        sound=form.sound_codec is not None,
        still=form.still,
        hardware=service.frames.has_hardware_encoder(form),
    )
