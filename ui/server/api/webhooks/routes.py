"""Webhooks at the API: made, listed and removed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from db.webhooks import Event
from ui.addresses import API_PREFIX
from ui.error_text import translate_message
from ui.server.api import schemas
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.sessions.webhooks.addresses import MAX_URL
from ui.sessions.webhooks.service import ListedWebhook
from ui.visitor import language_of, user_id_of

EVENTS: tuple[Event, ...] = ("run.done", "run.failed", "run.cancelled")


class NewWebhook(schemas.Schema):
    """Webhook to be made."""

    model_config = schemas.STRICT

    url: str = Field(min_length=1, max_length=MAX_URL)
    """Address with http or https that takes POST; it has to be public, unless the server allows others."""
    events: list[Event] = Field(default=list(EVENTS), min_length=1, max_length=9)
    """Events to be told of; "run.failed" is also that a run was interrupted."""


class Webhook(schemas.Schema):
    """Address that is told of the ends of runs."""

    id: UUID
    url: str
    events: list[Event]
    created_at: datetime
    delivered_at: datetime | None
    """Time of the latest delivery that it took."""
    failing_since: datetime | None
    """Time of the first failure after that."""
    active: bool
    """False: it has failed for so long that it was switched off. Delete it, and make a new one."""
    error: str | None
    """Why the latest delivery was not taken, in the language of `Accept-Language`."""
    waiting: int
    """Deliveries that it has not taken yet."""


class CreatedWebhook(Webhook):
    """Webhook that was just made."""

    secret: str
    """Key of its signatures; shown only now."""


class Webhooks(schemas.Schema):
    """All your webhooks, the oldest first."""

    items: list[Webhook]


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the routes below `/webhooks`."""
    routes = APIRouter(prefix="/webhooks", tags=["Webhooks"])

    @routes.post("", status_code=201)
    async def create_webhook(new: NewWebhook, request: Request, response: Response) -> CreatedWebhook:
        """Have an address told of the ends of your runs, by signed POST requests.

        `Recorte-Signature` is `sha256=` and the HMAC-SHA256, in hexadecimal and keyed with the secret, of
        `Recorte-Timestamp`, a dot and the body. What is not answered by 2xx within 10 seconds is sent again,
        after ever longer waits, with the same `Recorte-Delivery`.
        """

        def create() -> CreatedWebhook:
            row = service.for_owner(user_id_of(request)).webhooks.create(new.url, new.events)
            described = _describe(ListedWebhook(row, 0), request)
            return CreatedWebhook(**described.model_dump(), secret=row.secret)

        created = await threads.run(request, create)
        response.headers["Location"] = f"{API_PREFIX}/webhooks/{created.id}"
        response.headers["Cache-Control"] = "no-store"
        return created

    @routes.get("")
    async def list_webhooks(request: Request) -> Webhooks:
        """List your webhooks."""

        def read() -> Webhooks:
            found = service.for_owner(user_id_of(request)).webhooks.list_webhooks()
            return Webhooks(items=[_describe(each, request) for each in found])

        return await threads.run(request, read)

    @routes.get("/{id}")
    async def get_webhook(id: UUID, request: Request) -> Webhook:
        """Return a webhook, with its latest error."""

        def read() -> Webhook:
            return _describe(service.for_owner(user_id_of(request)).webhooks.read(id), request)

        return await threads.run(request, read)

    @routes.delete("/{id}", status_code=204)
    async def delete_webhook(id: UUID, request: Request) -> Response:
        """Delete a webhook with what it has not taken yet."""
        await threads.run(request, lambda: service.for_owner(user_id_of(request)).webhooks.remove(id))
        return Response(status_code=204)

    return routes


def _describe(listed: ListedWebhook, request: Request) -> Webhook:
    row = listed.row
    return Webhook(
        id=row.id,
        url=row.url,
        events=row.events,  # type: ignore[arg-type]  # checked when it was made
        created_at=row.created_at,
        delivered_at=row.delivered_at,
        failing_since=row.failing_since,
        active=row.disabled_at is None,
        error=translate_message(language_of(request), row.error, row.error_message) or None,
        waiting=listed.waiting,
    )
