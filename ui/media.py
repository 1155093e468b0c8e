"""The pictures and results of a session, as plain files over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline.errors import RecorteError
from ui import scenes
from ui.actions import Actions
from ui.events import owner
from ui.opened import Opened

PREFIX = "/media"

# A picture's address holds the revision of what it shows, so it never changes; the page's own user only.
_LASTING = {"Cache-Control": "private, max-age=86400, immutable"}
_FRESH = {"Cache-Control": "private, no-cache"}


def address(id: str) -> str:
    return f"{PREFIX}/{id}"


def router(actions: Actions) -> APIRouter:
    """Plain (not async) handlers: each runs in a thread of the server's pool.

    Each opens the session for who asks; another's is answered as one that is not there.
    """
    routes = APIRouter(prefix=PREFIX)

    looks = actions.looks

    def opened(id: str, request: Request) -> Opened:
        return actions.of(owner(request)).open(id)

    @routes.get("/scenes/{name}")
    def scene(name: str) -> Response:
        return _answered(lambda: _picture(scenes.thumbnail(name), _FRESH))

    @routes.get("/{id}/times")
    def times(id: str, request: Request) -> Response:
        return _answered(lambda: JSONResponse(looks.times(opened(id, request)), headers=_LASTING))

    @routes.get("/{id}/strip")
    def strip(id: str, request: Request) -> Response:
        def made() -> Response:
            return Response(looks.strip(opened(id, request)), media_type="image/jpeg", headers=_LASTING)

        return _answered(made)

    @routes.get("/{id}/poster")
    def poster(id: str, request: Request, at: str = "") -> Response:
        """`at` is when the session last changed."""
        return _answered(lambda: _picture(looks.poster(opened(id, request)), _LASTING if at else _FRESH))

    @routes.get("/{id}/frames/{index}")
    def frame(id: str, index: int, request: Request, view: str = "original", rev: str = "") -> Response:
        def seen() -> Response:
            found = opened(id, request)
            shown = looks.look(found, index, view)
            # Kept by the browser only if it is the picture of that revision, and the last word on it.
            lasting = shown.final and (view == "original" or rev == looks.revision(found))
            return _picture((shown.data, shown.mime), _LASTING if lasting else _FRESH)

        return _answered(seen)

    @routes.get("/{id}/frames/{index}/candidates")
    def candidates(id: str, index: int, request: Request, object: int = 1, rev: str = "") -> Response:
        def told() -> Response:
            found = opened(id, request)
            shown = [
                {"score": score, "picture": picture}
                for score, picture in looks.candidates(found, index, object)
            ]
            return JSONResponse(shown, headers=_FRESH)

        return _answered(told)

    @routes.get("/{id}/results/{result}")
    def result(id: str, result: str, request: Request) -> Response:
        def found() -> Response:
            path, mime, name = actions.of(owner(request)).result(id, result)
            kind = "attachment" if "download" in request.query_params else "inline"
            return FileResponse(
                path, media_type=mime, filename=name, content_disposition_type=kind, headers=_FRESH
            )

        return _answered(found)

    return routes


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
    except RecorteError as error:
        return _refused(422, error)


def _refused(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=status)
