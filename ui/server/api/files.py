"""Results and mattes at the API: whole files, or parts of them."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from pipeline import formats
from pipeline.files import file_state
from ui.server.api.errors import text_problem
from ui.server.api.threads import ApiThreads
from ui.sessions.service import SessionService
from ui.visitor import user_id_of

_MATTE_TYPE = "video/x-matroska"
_BYTES = {"schema": {"type": "string", "format": "binary"}}


def describe_file(*types: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of the responses with a file of one of these types."""
    content = dict.fromkeys(types, _BYTES)
    return {
        200: {"description": "The file", "content": content},
        206: {
            "description": "The parts of it that `Range` asks for",
            "content": content | {"multipart/byteranges": _BYTES},
        },
        304: {"description": "It is that of `If-None-Match`"},
    }


_HEAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "As for GET"},
    304: {"description": "As for GET"},
}
_CACHED = {"Cache-Control": "private, no-cache"}


def router(service: SessionService, threads: ApiThreads) -> APIRouter:
    """Build the routes of results and mattes."""
    routes = APIRouter(tags=["Results"])
    mimes = dict.fromkeys(form.mime for form in formats.FORMATS.values())

    async def send_result(id: UUID, request: Request) -> Response:
        def find() -> Response:
            path, mime, name = service.for_owner(user_id_of(request)).find_result(str(id))
            return send_file(request, path, mime, name)

        return await threads.run(request, find)

    async def send_matte(id: UUID, request: Request) -> Response:
        def find() -> Response:
            path, name = service.for_owner(user_id_of(request)).matte(str(id))
            return send_file(request, path, _MATTE_TYPE, name)

        return await threads.run(request, find)

    @routes.get("/results/{id}", response_class=Response, responses=describe_file(*mimes))
    async def get_result(
        id: UUID,
        request: Request,
        range: str | None = Header(None, max_length=1000),
        want_repr_digest: str | None = Header(None, max_length=200),
    ) -> Response:
        """Return a result, or parts of it.

        With `Want-Repr-Digest: sha-256=1` the whole file's digest is in `Repr-Digest` (RFC 9530).
        """
        return await send_result(id, request)

    @routes.head("/results/{id}", response_class=Response, responses=_HEAD)
    async def head_result(id: UUID, request: Request) -> Response:
        """Return the headers of a result."""
        return await send_result(id, request)

    @routes.get("/sessions/{id}/matte", response_class=Response, responses=describe_file(_MATTE_TYPE))
    async def get_matte(
        id: UUID, request: Request, range: str | None = Header(None, max_length=1000)
    ) -> Response:
        """Return the matte of a session's present marks, FFV1 in Matroska, once a run has finished it."""
        return await send_matte(id, request)

    @routes.head("/sessions/{id}/matte", response_class=Response, responses=_HEAD)
    async def head_matte(id: UUID, request: Request) -> Response:
        """Return the headers of a matte."""
        return await send_matte(id, request)

    return routes


class _Download(FileResponse):
    """File, or parts of it, whose refusals are problems."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: list[int] = []

        async def send_unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused.append(416)
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_unless_refused)
        if refused:
            size = self.headers["content-length"]
            response = text_problem(Request(scope), 416, "range")
            response.headers["Content-Range"] = f"bytes */{size}"
            await response(scope, receive, send)


def send_file(request: Request, path: Path, mime: str, name: str) -> Response:
    """Return the response with a file, or the part of it that the request asks for.

    `name` is what to save it under.
    """
    headers = dict(_CACHED)
    if "sha-256" in request.headers.get("want-repr-digest", "").lower():
        state = file_state(path)
        if state is None:
            raise FileNotFoundError(path)
        headers["Repr-Digest"] = f"sha-256=:{_digest(path, state)}:"
    response = _Download(path, media_type=mime, filename=name, headers=headers, stat_result=path.stat())
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    etag = response.headers["etag"]
    if request.method != "POST" and known & {etag, "*"}:
        return Response(status_code=304, headers=_CACHED | {"ETag": etag})
    return response


@functools.lru_cache(maxsize=512)
def _digest(path: Path, _state: tuple[int, int]) -> str:
    """Return the SHA-256 of a file in Base64; of each state of a file it is computed once."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
