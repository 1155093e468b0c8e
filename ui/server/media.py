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
from ui.sessions.shares import Threads
from ui.visitor import language_of, user_id_of

# Threads in all, and for each user.
_PICTURES = max(4, os.cpu_count() or 1)
_PICTURES_EACH = _PICTURES // 2
_READS, _READS_EACH = 8, 4
_CARRIED, _CARRIED_EACH = 4, 1
"""Of pictures that take as long as a run does up to there."""

# A picture's address holds the revision of what it shows, so it never changes; the page's own user only.
_LASTING = {"Cache-Control": "private, max-age=86400, immutable"}
_FRESH = {"Cache-Control": "private, no-cache"}


def router(actions: SessionService) -> APIRouter:
    """Each opens the session for who asks; another's is answered as one that is not there.

    What the worker has to make has threads of its own, of which each user may have a few.
    """
    routes = APIRouter(prefix=MEDIA_PREFIX)

    looks = actions.looks
    making: Threads[Response] = Threads(_PICTURES, _PICTURES_EACH)
    carrying: Threads[Response] = Threads(_CARRIED, _CARRIED_EACH)
    reading: Threads[Response] = Threads(_READS, _READS_EACH)

    def opened(id: str, request: Request) -> Session:
        return actions.of(user_id_of(request)).open(id)

    @routes.get("/scenes/{name}")
    def scene(name: str, request: Request) -> Response:
        return _answered(request, lambda: _picture(stock_backgrounds.thumbnail(name), _FRESH))

    @routes.get("/{id}/times")
    async def times(id: str, request: Request) -> Response:
        return await _made(
            making, request, lambda: JSONResponse(looks.times(opened(id, request)), headers=_LASTING)
        )

    @routes.get("/{id}/version")
    async def version(id: str, request: Request) -> Response:
        """For a page that is open, to see whether what it shows is still so; null: the session is gone."""

        def told() -> Response:
            try:
                return JSONResponse(opened(id, request).version, headers=_FRESH)
            except NotFound:
                return JSONResponse(None, headers=_FRESH)

        return await _made(reading, request, told)

    @routes.get("/{id}/strip")
    async def strip(id: str, request: Request) -> Response:
        def made() -> Response:
            return Response(looks.strip(opened(id, request)), media_type="image/jpeg", headers=_LASTING)

        return await _made(making, request, made)

    @routes.get("/{id}/poster")
    async def poster(id: str, request: Request, at: str = "") -> Response:
        """`at` is when the session last changed."""
        return await _made(
            making,
            request,
            lambda: _picture(looks.poster(opened(id, request)), _LASTING if at else _FRESH),
        )

    @routes.get("/{id}/frames/{index}")
    async def frame(
        id: str, index: int, request: Request, view: str = "original", rev: str = "", patient: bool = False
    ) -> Response:
        def seen() -> Response:
            found = opened(id, request)
            shown = looks.look(found, index, view, patient)
            # Kept by the browser only if it is the picture of that revision, and the last word on it.
            lasting = shown.final and (view == "original" or rev == looks.revision(found))
            headers = _LASTING if lasting else _FRESH
            return _picture((shown.data, shown.mime), headers | {"Recorte-Final": str(int(shown.final))})

        return await _made(carrying if patient else making, request, seen)

    @routes.get("/{id}/frames/{index}/candidates")
    async def candidates(id: str, index: int, request: Request, object: int = 1, rev: str = "") -> Response:
        def told() -> Response:
            found = opened(id, request)
            shown = [
                {"score": score, "picture": picture}
                for score, picture in looks.candidates(found, index, object)
            ]
            return JSONResponse(shown, headers=_FRESH)

        return await _made(making, request, told)

    @routes.get("/{id}/results/{result}")
    async def result(id: str, result: str, request: Request) -> Response:
        def found() -> Response:
            path, mime, name = actions.of(user_id_of(request)).result(id, result)
            kind = "attachment" if "download" in request.query_params else "inline"
            return FileResponse(
                path,
                media_type=mime,
                filename=name,
                content_disposition_type=kind,
                headers=_FRESH,
                stat_result=path.stat(),
            )

        return await _made(reading, request, found)

    return routes


async def _made(threads: Threads[Response], request: Request, make: Callable[[], Response]) -> Response:
    """Answer by `make` in one of the threads, unless whoever asked has gone while they waited for it."""
    async with threads.turn(user_id_of(request)) as run:
        if await request.is_disconnected():
            return Response(status_code=499)
        return await run(lambda: _answered(request, make))


def _picture(data: tuple[bytes, str], headers: dict[str, str]) -> Response:
    return Response(data[0], media_type=data[1], headers=headers)


def _answered(request: Request, make: Callable[[], Response]) -> Response:
    """Return what `make` gives, or the sentence that it raised, in the language of who asks."""
    try:
        return make()
    except NotFound as error:
        return _refused(404, request, error)
    except DatabaseAway as error:
        return _refused(503, request, error)
    except FileNotFoundError:
        return _refused(404, request, NotFound("This is no longer here."))  # deleted a moment ago
    except RecorteError as error:
        return _refused(422, request, error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return _refused(507, request, RunError(text.translate_access(language_of(request), "disk_full")))


def _refused(status: int, request: Request, error: Exception) -> Response:
    return JSONResponse({"error": error_text.translate(language_of(request), str(error))}, status_code=status)
