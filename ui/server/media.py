"""The pictures and results of a session, as plain files over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline.errors import DISK_FULL, RecorteError, RunError
from ui import error_text, text
from ui.addresses import MEDIA_PREFIX
from ui.sessions import stock_backgrounds
from ui.sessions.service import SessionService
from ui.sessions.session import Session
from ui.sessions.shares import FairThreads
from ui.visitor import language_of, user_id_of

# Threads in all, and for each user.
_PICTURE_THREADS = max(4, os.cpu_count() or 1)
_PICTURE_THREADS_PER_USER = _PICTURE_THREADS // 2
_READ_THREADS, _READ_THREADS_PER_USER = 8, 4
_TRACKING_THREADS, _TRACKING_THREADS_PER_USER = 4, 1
"""Of pictures that take as long as a run does up to there."""

# A picture's address holds the revision of what it shows, so it never changes; the page's own user only.
_IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}
_REVALIDATE = {"Cache-Control": "private, no-cache"}


def router(actions: SessionService) -> APIRouter:
    """Each opens the session for who asks; another's is answered as one that is not there.

    What the worker has to make has threads of its own, of which each user may have a few.
    """
    routes = APIRouter(prefix=MEDIA_PREFIX)

    looks = actions.frames
    making: FairThreads[Response] = FairThreads(_PICTURE_THREADS, _PICTURE_THREADS_PER_USER)
    carrying: FairThreads[Response] = FairThreads(_TRACKING_THREADS, _TRACKING_THREADS_PER_USER)
    reading: FairThreads[Response] = FairThreads(_READ_THREADS, _READ_THREADS_PER_USER)

    def opened(id: str, request: Request) -> Session:
        return actions.for_owner(user_id_of(request)).open(id)

    @routes.get("/scenes/{name}")
    def scene(name: str, request: Request) -> Response:
        return _respond(request, lambda: _image_response(stock_backgrounds.thumbnail(name), _REVALIDATE))

    @routes.get("/{id}/times")
    async def times(id: str, request: Request) -> Response:
        return await _respond_in_thread(
            making, request, lambda: JSONResponse(looks.frame_times(opened(id, request)), headers=_IMMUTABLE)
        )

    @routes.get("/{id}/version")
    async def version(id: str, request: Request) -> Response:
        """For a page that is open, to see whether what it shows is still so; null: the session is gone."""

        def told() -> Response:
            try:
                return JSONResponse(opened(id, request).fingerprint, headers=_REVALIDATE)
            except NotFound:
                return JSONResponse(None, headers=_REVALIDATE)

        return await _respond_in_thread(reading, request, told)

    @routes.get("/{id}/strip")
    async def strip(id: str, request: Request) -> Response:
        def made() -> Response:
            return Response(looks.filmstrip(opened(id, request)), media_type="image/jpeg", headers=_IMMUTABLE)

        return await _respond_in_thread(making, request, made)

    @routes.get("/{id}/poster")
    async def poster(id: str, request: Request, at: str = "") -> Response:
        """`at` is when the session last changed."""
        return await _respond_in_thread(
            making,
            request,
            lambda: _image_response(looks.poster(opened(id, request)), _IMMUTABLE if at else _REVALIDATE),
        )

    @routes.get("/{id}/frames/{index}")
    async def frame(
        id: str, index: int, request: Request, view: str = "original", rev: str = "", patient: bool = False
    ) -> Response:
        def seen() -> Response:
            found = opened(id, request)
            shown = looks.render_frame(found, index, view, patient)
            # Kept by the browser only if it is the picture of that revision, and the last word on it.
            lasting = shown.final and (view == "original" or rev == looks.revision(found))
            headers = _IMMUTABLE if lasting else _REVALIDATE
            return _image_response(
                (shown.data, shown.mime), headers | {"Recorte-Final": str(int(shown.final))}
            )

        return await _respond_in_thread(carrying if patient else making, request, seen)

    @routes.get("/{id}/frames/{index}/candidates")
    async def candidates(id: str, index: int, request: Request, object: int = 1, rev: str = "") -> Response:
        def told() -> Response:
            found = opened(id, request)
            shown = [
                {"score": score, "picture": picture}
                for score, picture in looks.render_candidates(found, index, object)
            ]
            return JSONResponse(shown, headers=_REVALIDATE)

        return await _respond_in_thread(making, request, told)

    @routes.get("/{id}/results/{result}")
    async def result(id: str, result: str, request: Request) -> Response:
        def found() -> Response:
            path, mime, name = actions.for_owner(user_id_of(request)).result(id, result)
            kind = "attachment" if "download" in request.query_params else "inline"
            return FileResponse(
                path,
                media_type=mime,
                filename=name,
                content_disposition_type=kind,
                headers=_REVALIDATE,
                stat_result=path.stat(),
            )

        return await _respond_in_thread(reading, request, found)

    return routes


async def _respond_in_thread(
    threads: FairThreads[Response], request: Request, make: Callable[[], Response]
) -> Response:
    """Answer by `make` in one of the threads, unless whoever asked has gone while they waited for it."""
    async with threads.slot(user_id_of(request)) as run:
        if await request.is_disconnected():
            return Response(status_code=499)
        return await run(lambda: _respond(request, make))


def _image_response(data: tuple[bytes, str], headers: dict[str, str]) -> Response:
    return Response(data[0], media_type=data[1], headers=headers)


def _respond(request: Request, make: Callable[[], Response]) -> Response:
    """Return what `make` gives, or the sentence that it raised, in the language of who asks."""
    try:
        return make()
    except NotFound as error:
        return _error_response(404, request, error)
    except DatabaseAway as error:
        return _error_response(503, request, error)
    except FileNotFoundError:
        return _error_response(404, request, NotFound("This is no longer here."))  # deleted a moment ago
    except RecorteError as error:
        return _error_response(422, request, error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return _error_response(
            507, request, RunError(text.translate_access(language_of(request), "disk_full"))
        )


def _error_response(status: int, request: Request, error: Exception) -> Response:
    return JSONResponse({"error": error_text.translate(language_of(request), str(error))}, status_code=status)
