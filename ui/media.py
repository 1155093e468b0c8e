"""The pictures and results of a session, as plain files over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline.errors import DISK_FULL, RecorteError, RunError
from ui import scenes, text
from ui.actions import Actions
from ui.events import owner
from ui.opened import Opened
from ui.shares import Threads

PREFIX = "/media"

# Threads in all, and for each user.
_PICTURES = max(4, os.cpu_count() or 1)
_PICTURES_EACH = _PICTURES // 2
_READS, _READS_EACH = 8, 4

# A picture's address holds the revision of what it shows, so it never changes; the page's own user only.
_LASTING = {"Cache-Control": "private, max-age=86400, immutable"}
_FRESH = {"Cache-Control": "private, no-cache"}


def address(id: str) -> str:
    return f"{PREFIX}/{id}"


def router(actions: Actions) -> APIRouter:
    """Each opens the session for who asks; another's is answered as one that is not there.

    What the worker has to make has threads of its own, of which each user may have a few.
    """
    routes = APIRouter(prefix=PREFIX)

    looks = actions.looks
    making: Threads[Response] = Threads(_PICTURES, _PICTURES_EACH)
    reading: Threads[Response] = Threads(_READS, _READS_EACH)

    def opened(id: str, request: Request) -> Opened:
        return actions.of(owner(request)).open(id)

    @routes.get("/scenes/{name}")
    def scene(name: str) -> Response:
        return _answered(lambda: _picture(scenes.thumbnail(name), _FRESH))

    @routes.get("/{id}/times")
    async def times(id: str, request: Request) -> Response:
        return await _made(
            making, request, lambda: JSONResponse(looks.times(opened(id, request)), headers=_LASTING)
        )

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
    async def frame(id: str, index: int, request: Request, view: str = "original", rev: str = "") -> Response:
        def seen() -> Response:
            found = opened(id, request)
            shown = looks.look(found, index, view)
            # Kept by the browser only if it is the picture of that revision, and the last word on it.
            lasting = shown.final and (view == "original" or rev == looks.revision(found))
            return _picture((shown.data, shown.mime), _LASTING if lasting else _FRESH)

        return await _made(making, request, seen)

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
            path, mime, name = actions.of(owner(request)).result(id, result)
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
    async with threads.turn(owner(request)) as run:
        if await request.is_disconnected():
            return Response(status_code=499)
        return await run(lambda: _answered(make))


def _picture(data: tuple[bytes, str], headers: dict[str, str]) -> Response:
    return Response(data[0], media_type=data[1], headers=headers)


def _answered(make: Callable[[], Response]) -> Response:
    """What `make` gives, or the sentence that it raised."""
    try:
        return make()
    except NotFound as error:
        return _refused(404, error)
    except DatabaseAway as error:
        return _refused(503, error)
    except FileNotFoundError:
        return _refused(404, NotFound("This is no longer here."))  # deleted a moment ago
    except RecorteError as error:
        return _refused(422, error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return _refused(507, RunError(text.door("en", "disk_full")))


def _refused(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=status)
