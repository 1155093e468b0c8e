"""Previews at the API: frames as the result will have them."""

from __future__ import annotations

import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from pipeline.compositing.background import Transparent
from pipeline.weights.locate import cached_lookups
from ui.addresses import API_PREFIX
from ui.server.api import schemas
from ui.server.api.threads import ApiThreads
from ui.sessions.rendering.protocol import MarksChanged
from ui.sessions.service import SessionService
from ui.sessions.session import Session
from ui.visitor import user_id_of

MOST = 24
"""Frames of one request."""


class PreviewRequest(schemas.Schema):
    """Frames to preview; without any, those that the page shows: six, spread over the part that is kept."""

    model_config = schemas.STRICT

    times: list[Annotated[schemas.Number, Field(ge=0)]] = Field(default=[], max_length=MOST)
    """Seconds; the frame is taken that is shown then."""
    frames: list[Annotated[int, Field(ge=0, le=2**31)]] = Field(default=[], max_length=MOST)
    """Numbers of frames, from 0."""
    pictures: bool = False
    """Send the pictures, too."""


class Preview(schemas.Schema):
    """Frame as the result will have it."""

    frame: int
    """Its number, from 0."""
    time: float
    """Seconds from the first frame."""
    over: str
    """Address of its picture over the session's background, as PNG or JPEG."""
    original: str
    """Address of the frame as it is."""
    picture_b64: str | None = None
    """The picture over the background in Base64, where it was asked for."""
    media_type: str | None = None
    """Of that picture: JPEG, or PNG where the background is transparent."""


class Previews(schemas.Schema):
    """Frames as the result will have them, in their order."""

    items: list[Preview]


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the route `/sessions/{id}/previews`."""
    routes = APIRouter(tags=["Frames"])

    @routes.post("/sessions/{id}/previews")
    async def make_previews(
        id: UUID, request: Request, wanted: Annotated[PreviewRequest | None, Body()] = None
    ) -> Previews:
        """Cut frames out as the session now is, and return where their pictures are.

        It answers once all are cut, which may take minutes with a slow model; 409 where the marks change
        meanwhile.
        """
        asked = wanted or PreviewRequest()

        @cached_lookups()
        def make() -> Previews:
            session = service.for_owner(user_id_of(request)).open(str(id))
            session.check_background()
            numbers = _choose_frames(service, session, asked)
            for _ in service.frames.make_previews(session, numbers):
                pass
            times = service.frames.frame_times(session)
            shown = service.frames.preview_frames(session) if numbers is None else numbers
            return Previews(
                items=[_describe(service, session, each, times[each], asked.pictures) for each in shown]
            )

        return await threads.run(request, make)

    return routes


def _choose_frames(service: SessionService, session: Session, asked: PreviewRequest) -> list[int] | None:
    """Return the frames that are asked for, ascending; None: the page's. Raises RequestValidationError."""
    if not asked.times and not asked.frames:
        return None
    late = [number for number, time in enumerate(asked.times) if time > session.clip.duration]
    if late:
        message = f"Input should be at most {session.clip.duration}"
        raise RequestValidationError(
            [{"type": "too_late", "loc": ("body", "times", number), "msg": message} for number in late]
        )
    numbers = {service.frames.frame_at(session, time) for time in asked.times}
    return sorted(numbers.union(asked.frames))


def _describe(service: SessionService, session: Session, number: int, time: float, picture: bool) -> Preview:
    address = f"{API_PREFIX}/sessions/{session.id}/frames/{number}"
    described = Preview(
        frame=number, time=time, over=f"{address}?view=over", original=f"{address}?view=original"
    )
    if picture:
        transparent = isinstance(session.job.background, Transparent)
        image = service.frames.render_frame(
            session, number, "over", encoding="png" if transparent else "jpeg"
        )
        if not image.cut:  # the marks changed after it was cut
            raise MarksChanged
        described.picture_b64 = base64.b64encode(image.data).decode()
        described.media_type = image.mime
    return described
