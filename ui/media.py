"""The pictures and results of a session, as plain files over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline.errors import RecorteError
from ui import overlay
from ui.actions import Actions

PREFIX = "/media"

# A picture's address holds the revision of what it shows, so it never changes; the page's own user only.
_LASTING = {"Cache-Control": "private, max-age=86400, immutable"}
_FRESH = {"Cache-Control": "private, no-cache"}


def address(id: str) -> str:
    return f"{PREFIX}/{id}"


def router(actions: Actions) -> APIRouter:
    """Plain (not async) handlers: each runs in a thread of the server's pool."""
    routes = APIRouter(prefix=PREFIX)

    @routes.get("/{id}/times")
    def times(id: str) -> Response:
        return _answered(lambda: JSONResponse(actions.times(id), headers=_LASTING))

    @routes.get("/{id}/strip")
    def strip(id: str) -> Response:
        return _answered(lambda: Response(actions.strip(id), media_type="image/jpeg", headers=_LASTING))

    @routes.get("/{id}/poster")
    def poster(id: str) -> Response:
        return _answered(lambda: _picture(actions.poster(id), _FRESH))

    @routes.get("/{id}/frames/{index}")
    def frame(id: str, index: int, view: str = "original", rev: str = "") -> Response:
        kept = _LASTING if rev or view == "original" else _FRESH
        return _answered(lambda: _picture(overlay.encoded(actions.look(id, index, view)), kept))

    @routes.get("/{id}/results/{result}")
    def result(id: str, result: str, request: Request) -> Response:
        def found() -> Response:
            path, mime, name = actions.result(id, result)
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
