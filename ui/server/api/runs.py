"""Runs at the API: asked for, read, cancelled, and followed as server-sent events."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from ui.addresses import API_PREFIX
from ui.server.api import events, schemas
from ui.server.api.answers import describe_run
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.visitor import language_of, user_id_of

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `run`, whose data is the run (`Run`), from now until it has ended",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The run has ended, and `Last-Event-ID` is its last event"},
}


def router(service: SessionService, threads: ApiThreads, streams: events.Streams) -> APIRouter:
    """Build the routes of runs."""
    routes = APIRouter(tags=["Runs"])

    @routes.post("/sessions/{id}/runs", status_code=202)
    async def start_run(
        id: UUID,
        request: Request,
        response: Response,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=200,
                description="A request with the key of an earlier one starts nothing, and has its answer",
            ),
        ] = None,
    ) -> schemas.Run:
        """Queue the session as it now is, and return the run; one that is under way is returned as it is."""

        def start() -> schemas.Run:
            run = service.for_owner(user_id_of(request)).runs.start(str(id), idempotency_key)
            return describe_run(run, language_of(request))

        run = await threads.run(request, start)
        response.headers["Location"] = f"{API_PREFIX}/runs/{run.id}"
        return run

    @routes.get("/runs/{id}")
    async def get_run(id: UUID, request: Request) -> schemas.Run:
        """Return a run, with its progress while it lasts, and its results."""
        return await threads.run(request, lambda: read(id, request))

    @routes.delete("/runs/{id}", status_code=204)
    async def cancel_run(id: UUID, request: Request) -> Response:
        """Stop a run, or remove it from the queue; one that has ended stays as it is."""
        await threads.run(request, lambda: service.for_owner(user_id_of(request)).runs.cancel(id))
        return Response(status_code=204)

    @routes.get("/runs/{id}/events", response_class=Response, responses=_EVENTS)
    async def follow_run(
        id: UUID,
        request: Request,
        last_event_id: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Follow a run by server-sent events.

        The first is the run as it is now, unless that is `Last-Event-ID`; the last is its end.
        """

        async def read_run() -> schemas.Run:
            return await threads.run(request, lambda: read(id, request))

        return await streams.follow(request, read_run, last_event_id)

    def read(id: UUID, request: Request) -> schemas.Run:
        run = service.for_owner(user_id_of(request)).runs.read(id)
        return describe_run(run, language_of(request))

    return routes
