"""Composition of the API: its routes, its errors, and its description as OpenAPI 3.1."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import Response

from ui.addresses import API_DOCUMENTATION, API_PREFIX
from ui.server.api import (
    description,
    documentation,
    events,
    files,
    frames,
    listings,
    previews,
    runs,
    sessions,
    uploads,
)
from ui.server.api.cutouts import drawings, photography
from ui.server.api.cutouts import routes as cutouts
from ui.server.api.cutouts.pictures import CutoutStep, EncodedPicture
from ui.server.api.errors import add_error_handlers
from ui.server.api.schemas import PROBLEMS, UploadReference
from ui.server.api.threads import ApiThreads
from ui.server.api.webhooks import routes as webhooks
from ui.server.api.weights import routes as weights
from ui.server.resumable_uploads import ResumableUploads
from ui.server.uploads import Uploads
from ui.sessions.service import SessionService

_READ_THREADS, _READ_THREADS_PER_USER = 8, 4
_CHANGE_THREADS, _CHANGE_THREADS_PER_USER = 8, 4
"""Threads in which uploads are looked at, which takes seconds."""
_PICTURE_THREADS, _PICTURE_THREADS_PER_USER = 4, 2
_PREVIEW_THREADS, _PREVIEW_THREADS_PER_USER = 6, 3
"""Threads of previews, which may take minutes: more than have a slot, for those beyond are refused."""


def create_api(service: SessionService, store: Uploads) -> FastAPI:
    """Build the application of the API, to be mounted at `ui.addresses.API_PREFIX`."""
    api = FastAPI(
        title="Recorte",
        version="1",
        description=description.TEXT,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
        servers=[{"url": API_PREFIX}],
        root_path_in_servers=False,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    add_error_handlers(api)
    reading = ApiThreads(_READ_THREADS, _READ_THREADS_PER_USER)
    api.include_router(listings.router(service, reading))
    api.include_router(weights.router(service, reading))
    changing = ApiThreads(_CHANGE_THREADS, _CHANGE_THREADS_PER_USER)
    rendering = ApiThreads(_PICTURE_THREADS, _PICTURE_THREADS_PER_USER)
    streams = events.Streams()
    api.include_router(sessions.router(service, reading, changing, store))
    api.include_router(frames.router(service, rendering))
    previewing = ApiThreads(_PREVIEW_THREADS, _PREVIEW_THREADS_PER_USER)
    api.include_router(previews.router(service, previewing))
    drawing = ApiThreads(_PREVIEW_THREADS, _PREVIEW_THREADS_PER_USER)
    api.include_router(drawings.router(service, reading, drawing, streams))
    api.include_router(runs.router(service, reading, streams))
    api.include_router(files.router(service, reading))
    api.include_router(cutouts.router(service, reading, changing, rendering, store, streams))
    api.include_router(photography.router(service, reading, changing, rendering, drawing, store, streams))
    api.include_router(webhooks.router(service, changing))
    api.include_router(uploads.router(ResumableUploads(store)))
    api.add_exception_handler(uploads.UnsupportedVersion, uploads.answer_unsupported_version)
    api.add_middleware(uploads.TusMiddleware)

    @api.get(API_DOCUMENTATION.removeprefix(API_PREFIX), include_in_schema=False)
    async def document() -> Response:
        return documentation.render(api.openapi())

    described = EncodedPicture, CutoutStep, photography.ProductPicture, photography.PhotographyStep
    description.complete(api.openapi(), UploadReference, *described, drawings.DrawingStep)
    return api
