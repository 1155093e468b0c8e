"""Frames of sessions at the API: pictures, and the candidates of a click."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from pipeline.compositing.background import Transparent
from pipeline.weights.locate import cached_lookups
from ui.server.api import schemas
from ui.server.api.errors import WrongType, text_problem
from ui.server.api.negotiation import choose_type
from ui.server.api.threads import ApiThreads
from ui.sessions.rendering.protocol import Encoding
from ui.sessions.service import SessionService
from ui.visitor import user_id_of

_ENCODINGS: dict[str, Encoding] = {"image/png": "png", "image/jpeg": "jpeg"}
_PICTURE = {"schema": {"type": "string", "format": "binary"}}

Frame = Annotated[int, Path(ge=0, le=2**31, description="Number of the frame, from 0")]


def router(service: SessionService, rendering: ApiThreads) -> APIRouter:
    """Build the routes below `/sessions/{id}/frames`."""
    routes = APIRouter(prefix="/sessions/{id}/frames/{n}", tags=["Frames"])

    @routes.get(
        "",
        response_class=Response,
        responses={
            200: {"description": "The picture", "content": dict.fromkeys(_ENCODINGS, _PICTURE)},
        },
    )
    async def get_frame(
        id: UUID,
        n: Frame,
        request: Request,
        view: Literal["original", "mask", "cutout", "over"] = "original",
        exact: Annotated[
            bool, Query(description="Carry corrections as a run does, frame by frame, which takes longer")
        ] = False,
    ) -> Response:
        """Return a frame in its own size, as PNG or JPEG, whichever `Accept` prefers.

        As it is, with its mask tinted, cut out (PNG only), or over the session's background.
        """

        @cached_lookups()
        def render() -> Response:
            session = service.for_owner(user_id_of(request)).open(str(id))
            transparent = view == "over" and isinstance(session.job.background, Transparent)
            offered = ["image/png"] if view == "cutout" or transparent else [*_ENCODINGS]
            kind = choose_type(request.headers.get("accept"), offered)
            if kind is None:
                raise WrongType(406, *offered)
            image = service.frames.render_frame(session, n, view, exact, encoding=_ENCODINGS[kind])
            if not image.cut:
                return text_problem(request, 409, "not_cut")
            headers = {
                "Cache-Control": "private, no-cache",
                "Vary": "Accept",
                "Recorte-Final": str(int(image.final)),
            }
            return Response(image.data, media_type=image.mime, headers=headers)

        return await rendering.run(request, render)

    @routes.get("/candidates")
    async def list_candidates(
        id: UUID, n: Frame, request: Request, object: Annotated[int, Query(ge=1, le=9999)] = 1
    ) -> schemas.Candidates:
        """List the masks that the single click of an object on this frame may mean; none without one."""

        @cached_lookups()
        def render() -> schemas.Candidates:
            session = service.for_owner(user_id_of(request)).open(str(id))
            found = service.frames.render_candidates(session, n, object)
            return schemas.Candidates(items=[schemas.Candidate(**each._asdict()) for each in found])

        return await rendering.run(request, render)

    return routes
