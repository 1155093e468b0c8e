"""Media: the pictures, sound and results of a session over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from db.errors import DatabaseAway, NotFound
from pipeline.errors import DISK_FULL, RecorteError
from pipeline.languages.messages import MessageError
from pipeline.models import word_networks
from pipeline.weights.locate import cached_lookups
from ui import text
from ui.addresses import MEDIA_PREFIX
from ui.sessions.library import examples, stock_backgrounds
from ui.sessions.limits.shares import FairThreads
from ui.sessions.rendering.protocol import MarksChanged
from ui.sessions.service import SessionService
from ui.sessions.session import Session
from ui.visitor import language_of, user_id_of

# How many threads there are in all, and for each user.
_PICTURE_THREADS = max(4, os.cpu_count() or 1)
_PICTURE_THREADS_PER_USER = _PICTURE_THREADS // 2
_READ_THREADS, _READ_THREADS_PER_USER = 8, 4
_TRACKING_THREADS, _TRACKING_THREADS_PER_USER = 4, 1
"""Threads for frames whose mask is tracked from the nearest prompt, as slowly as in a run."""

_SOUND_THREADS, _SOUND_THREADS_PER_USER = 4, 1
"""Threads for the sound of a video, which takes seconds to write; with one a user it is written once."""

_OUTLINE_THREADS, _OUTLINE_THREADS_PER_USER = 4, 2
"""Threads for the outlines of things under a pointer: a newer request ends the one before it."""

_SEARCH_THREADS, _SEARCH_THREADS_PER_USER = 4, 2
"""Threads for searches by words, which read the whole part to keep; a newer one ends the one before it."""

_MIN_WIDTH, _MAX_WIDTH = 160, 1600
"""Bounds of the width that a picture can be asked for in, in pixels."""

# The address of a picture has the revision of its content, so it never changes; private to its user.
_IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}
_REVALIDATE = {"Cache-Control": "private, no-cache"}


def router(service: SessionService) -> APIRouter:
    """Build the routes; the session of another user is answered as one that does not exist.

    Pictures that the worker renders have threads of their own, of which each user may use a few.
    """
    routes = APIRouter(prefix=MEDIA_PREFIX)

    frames = service.frames
    rendering: FairThreads[Response] = FairThreads(_PICTURE_THREADS, _PICTURE_THREADS_PER_USER)
    tracking: FairThreads[Response] = FairThreads(_TRACKING_THREADS, _TRACKING_THREADS_PER_USER)
    sounding: FairThreads[Response] = FairThreads(_SOUND_THREADS, _SOUND_THREADS_PER_USER)
    outlining: FairThreads[Response] = FairThreads(_OUTLINE_THREADS, _OUTLINE_THREADS_PER_USER)
    searching: FairThreads[Response] = FairThreads(_SEARCH_THREADS, _SEARCH_THREADS_PER_USER)
    reading: FairThreads[Response] = FairThreads(_READ_THREADS, _READ_THREADS_PER_USER)

    def open_session(id: str, request: Request) -> Session:
        return service.for_owner(user_id_of(request)).open(id)

    def open_for_picture(id: str, request: Request, revision: str) -> Session:
        return service.for_owner(user_id_of(request)).open_for_picture(id, revision)

    @routes.get("/scenes/{name}")
    def scene(name: str, request: Request) -> Response:
        return _respond(request, lambda: _image_response(stock_backgrounds.thumbnail(name), _REVALIDATE))

    @routes.get("/examples/{name}")
    def example(name: str, request: Request) -> Response:
        """Return a picture or the clip of the empty page."""

        def respond() -> Response:
            path, mime = examples.file(name)
            return FileResponse(path, media_type=mime, headers=_REVALIDATE, stat_result=path.stat())

        return _respond(request, respond)

    @routes.get("/{id}/times")
    async def times(id: str, request: Request) -> Response:
        return await _respond_in_thread(
            rendering,
            request,
            lambda: JSONResponse(frames.frame_times(open_session(id, request)), headers=_IMMUTABLE),
        )

    @routes.get("/{id}/version")
    async def version(id: str, request: Request) -> Response:
        """Return the session's fingerprint, so that open pages detect changes; null: it was deleted."""

        def respond() -> Response:
            try:
                return JSONResponse(open_session(id, request).fingerprint, headers=_REVALIDATE)
            except NotFound:
                return JSONResponse(None, headers=_REVALIDATE)

        return await _respond_in_thread(reading, request, respond)

    @routes.get("/{id}/strip")
    async def strip(id: str, request: Request) -> Response:
        def respond() -> Response:
            return Response(
                frames.filmstrip(open_session(id, request)), media_type="image/jpeg", headers=_IMMUTABLE
            )

        return await _respond_in_thread(rendering, request, respond)

    @routes.get("/{id}/poster")
    async def poster(id: str, request: Request, at: str = "") -> Response:
        """Return a small picture of the session; `at` is when the session last changed."""
        return await _respond_in_thread(
            rendering,
            request,
            lambda: _image_response(
                frames.poster(open_session(id, request)), _IMMUTABLE if at else _REVALIDATE
            ),
        )

    @routes.get("/{id}/frames/{index}")
    async def frame(
        id: str,
        index: int,
        request: Request,
        view: str = "original",
        rev: str = "",
        patient: bool = False,
        w: int = 0,
    ) -> Response:
        """Return a frame's picture; `w`: no wider than so many pixels, and made quickly, for playing."""
        width = min(max(w, _MIN_WIDTH), _MAX_WIDTH) if w else None

        @cached_lookups()
        def respond() -> Response:
            session = open_for_picture(id, request, rev)
            image = frames.render_frame(session, index, view, patient, width)
            # The browser may keep it only if it is the final picture of that revision.
            made = frames.revision(session)
            immutable = image.final and image.surveyed and (view == "original" or rev == made)
            headers = _IMMUTABLE if immutable else _REVALIDATE
            state = {
                "Recorte-Final": str(int(image.final)),
                "Recorte-Cut": str(int(image.cut)),
                "Recorte-Surveyed": str(int(image.surveyed)),
                "Recorte-Revision": quote(made, safe=""),  # a header holds no other letters
            }
            return _image_response((image.data, image.mime), headers | state)

        return await _respond_in_thread(tracking if patient else rendering, request, respond)

    @routes.get("/{id}/cut")
    async def cut(id: str, request: Request, at: int = 0, on: bool = False) -> Response:
        """Return the state of the live cut; `on` also has it go on, frames around number `at` first.

        null: the session was deleted.
        """

        def respond() -> Response:
            try:
                own = service.for_owner(user_id_of(request))
                session, live = own.live_cut(id, at, wanted=on)
            except NotFound:
                return JSONResponse(None, headers=_REVALIDATE)
            language = language_of(request)
            return JSONResponse(
                {
                    "rev": frames.revision(session),
                    "state": live.status,
                    "ready": live.ready,
                    "checks": live.cut.checks,
                    "done": live.cut.done,
                    "total": live.cut.total,
                    "rate": live.rate,
                    "left": live.left,
                    "again": live.again,
                    "message": live.message.render(language) if live.message else "",
                    "estimate": text.describe_expected(language, own.expected_seconds(session, live)),
                },
                headers=_REVALIDATE,
            )

        return await _respond_in_thread(reading, request, respond)

    @routes.get("/{id}/crop")
    async def crop(id: str, request: Request) -> Response:
        """Return left and top of the crop's window from frame number `first` on; empty while not known."""

        def respond() -> Response:
            session = open_session(id, request)
            windows = frames.crop_windows(session)
            return JSONResponse(
                {"rev": frames.revision(session), "first": windows.first, "corners": windows.corners},
                headers=_REVALIDATE,
            )

        return await _respond_in_thread(rendering, request, respond)

    @routes.get("/{id}/frames/{index}/candidates")
    async def candidates(id: str, index: int, request: Request, object: int = 1, rev: str = "") -> Response:
        def respond() -> Response:
            session = open_for_picture(id, request, rev)
            masks = [candidate._asdict() for candidate in frames.render_candidates(session, index, object)]
            return JSONResponse(masks, headers=_REVALIDATE)

        return await _respond_in_thread(rendering, request, respond)

    @routes.get("/{id}/frames/{index}/thing")
    async def thing(id: str, index: int, request: Request, x: float = 0, y: float = 0) -> Response:
        """Return the outlines of the thing that a click at `x`, `y` would take, in the frame's pixels.

        null: the search was given up, for somebody waits for the model.
        """

        def respond() -> Response:
            outlines = frames.find_thing(open_session(id, request), index, x, y)
            return JSONResponse(outlines, headers=_REVALIDATE)

        return await _respond_in_thread(outlining, request, respond)

    @routes.get("/{id}/words")
    async def words(
        id: str,
        request: Request,
        q: str = "",
        model: str = "",
        again: Annotated[tuple[float, ...], Query()] = (),
    ) -> Response:
        """Return the boxes of what `q` names, or that the weights of the network for it are missing.

        `model` is one of `word_networks.NETWORKS`; empty: the first of those that are ready. With `again`,
        times in seconds, the words are searched only from each of them on. null: the search
        was given up, for there is a newer one of the session.
        """

        def respond() -> Response:
            session = open_session(id, request)
            ready = word_networks.list_ready(session.accepts)
            network = model or next(iter(ready), word_networks.GROUNDING_DINO)
            label = word_networks.find_label(network)
            if network not in ready:
                language = language_of(request)
                group = text.translate(language, "subject")
                sentence = text.translate(language, "words_missing_here", label=label, group=group)
                return JSONResponse({"ready": False, "message": sentence}, headers=_REVALIDATE)
            hits = frames.find_words(session, q, network, again)
            if hits is None:
                return JSONResponse(None, headers=_REVALIDATE)
            found = [{"words": hit.phrase, "prompt": hit.prompt.to_json()} for hit in hits]
            return JSONResponse({"ready": True, "found": found}, headers=_REVALIDATE)

        return await _respond_in_thread(searching, request, respond)

    @routes.get("/{id}/proposals/{seed}")
    async def proposal(id: str, seed: int, request: Request) -> Response:
        """Return a picture that was made of words, to choose it as background."""

        def respond() -> Response:
            path = service.for_owner(user_id_of(request)).word_backgrounds.picture(id, seed)
            return FileResponse(path, media_type="image/png", headers=_REVALIDATE, stat_result=path.stat())

        return await _respond_in_thread(reading, request, respond)

    @routes.get("/{id}/sound")
    async def sound(id: str, request: Request) -> Response:
        """Return the video's sound, or a part of it (`Range`); its second 0 is the first frame."""

        def respond() -> Response:
            path = service.for_owner(user_id_of(request)).sound(id)
            return FileResponse(path, media_type="audio/mp4", headers=_IMMUTABLE, stat_result=path.stat())

        return await _respond_in_thread(sounding, request, respond)

    @routes.get("/{id}/results/{result}")
    async def result(id: str, result: str, request: Request) -> Response:
        def respond() -> Response:
            path, mime, name = service.for_owner(user_id_of(request)).result(id, result)
            kind = "attachment" if "download" in request.query_params else "inline"
            return FileResponse(
                path,
                media_type=mime,
                filename=name,
                content_disposition_type=kind,
                headers=_REVALIDATE,
                stat_result=path.stat(),
            )

        return await _respond_in_thread(reading, request, respond)

    return routes


async def _respond_in_thread(
    threads: FairThreads[Response], request: Request, make: Callable[[], Response]
) -> Response:
    """Respond in one of the threads, unless the client disconnected while it waited for the thread."""
    async with threads.slot(user_id_of(request)) as run:
        if await request.is_disconnected():
            return Response(status_code=499)
        return await run(lambda: _respond(request, make))


def _image_response(data: tuple[bytes, str], headers: dict[str, str]) -> Response:
    return Response(data[0], media_type=data[1], headers=headers)


def _respond(request: Request, make: Callable[[], Response]) -> Response:
    """Return the response of `make`, or the error that it raised as a sentence in the visitor's language."""
    try:
        return make()
    except NotFound as error:
        return _error_response(404, request, error)
    except DatabaseAway as error:
        return _error_response(503, request, error)
    except FileNotFoundError:
        return _error_response(404, request, NotFound("choices.gone"))  # deleted a moment ago
    except MarksChanged as error:
        return _error_response(409, request, error)  # the page asks again, for the newer revision
    except RecorteError as error:
        return _error_response(422, request, error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        sentence = text.translate_access(language_of(request), "disk_full")
        return JSONResponse({"error": sentence}, status_code=507)


def _error_response(status: int, request: Request, error: MessageError) -> Response:
    return JSONResponse({"error": error.message.render(language_of(request))}, status_code=status)
