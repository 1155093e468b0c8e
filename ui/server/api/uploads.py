"""Resumable uploads at the API, by the tus protocol 1.0 with creation, termination and expiration."""

from __future__ import annotations

import base64
import binascii
from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.addresses import API_PREFIX
from ui.server.api.errors import WrongType, text_problem
from ui.server.resumable_uploads import ResumableUploads, Upload, WrongOffset
from ui.server.uploads import UploadRefused

VERSION = "1.0.0"
_EXTENSIONS = "creation,termination,expiration"
_PART_TYPE = "application/offset+octet-stream"

Resumable = Annotated[str | None, Header(max_length=20, description="1.0.0")]


class UnsupportedVersion(Exception):
    """The request is of another version of tus."""


class TusMiddleware:
    """Adds the protocol's version to each response of an upload's address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message.setdefault("headers", [])).setdefault("Tus-Resumable", VERSION)
            await send(message)

        is_upload = scope["type"] == "http" and scope["path"].startswith(f"{API_PREFIX}/uploads")
        await self._app(scope, receive, send_with_version if is_upload else send)


def router(uploads: ResumableUploads) -> APIRouter:
    """Build the routes below `/uploads`."""
    routes = APIRouter(prefix="/uploads", tags=["Uploads"])

    @routes.options("", status_code=204)
    async def describe_uploads() -> Response:
        """Return the protocol's versions and extensions, and the length of the largest upload."""
        return Response(
            status_code=204,
            headers={
                "Tus-Version": VERSION,
                "Tus-Extension": _EXTENSIONS,
                "Tus-Max-Size": str(uploads.max_bytes),
            },
        )

    @routes.post("", status_code=201)
    async def create_upload(
        request: Request,
        upload_length: Annotated[int, Header(ge=0, le=2**62, description="Bytes of the whole file")],
        upload_metadata: Annotated[
            str | None, Header(max_length=4000, description="`filename` and its value in Base64")
        ] = None,
        tus_resumable: Resumable = None,
    ) -> Response:
        """Create an upload, whose address is in `Location`; a session is made of it once it is complete."""
        _check_version(tus_resumable)
        name = _read_metadata(upload_metadata or "").get("filename", "")
        upload = await uploads.create(request.state.user, upload_length, name)
        return _respond(201, upload, Location=f"{API_PREFIX}/uploads/{upload.id}")

    @routes.head("/{id}")
    async def head_upload(id: str, request: Request, tus_resumable: Resumable = None) -> Response:
        """Return in `Upload-Offset` where an upload goes on; a part of it that is under way is ended."""
        _check_version(tus_resumable)
        return _respond(200, await uploads.read(request.state.user, id))

    @routes.patch(
        "/{id}",
        status_code=204,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {_PART_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def continue_upload(
        id: str,
        request: Request,
        upload_offset: Annotated[int, Header(ge=0, le=2**62, description="Where the part begins")],
        tus_resumable: Resumable = None,
    ) -> Response:
        """Send a part of an upload, or all that is left; whatever arrives is kept."""
        _check_version(tus_resumable)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _PART_TYPE:
            raise WrongType(415, _PART_TYPE)
        try:
            upload = await uploads.append(request.state.user, id, upload_offset, request.stream())
        except WrongOffset as error:
            return text_problem(request, 409, "wrong_offset", offset=error.offset)
        return _respond(204, upload)

    @routes.delete("/{id}", status_code=204)
    async def delete_upload(id: str, request: Request, tus_resumable: Resumable = None) -> Response:
        """Delete an upload; one of which a session was made is gone already."""
        _check_version(tus_resumable)
        await uploads.terminate(request.state.user, id)
        return Response(status_code=204)

    return routes


def answer_unsupported_version(request: Request, error: Exception) -> Response:
    """Return the problem of UnsupportedVersion."""
    response = text_problem(request, 412, "tus_version", version=VERSION)
    response.headers["Tus-Version"] = VERSION
    return response


def _respond(status: int, upload: Upload, **more: str) -> Response:
    headers = {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": formatdate(upload.expires_at, usegmt=True),
        "Cache-Control": "no-store",
    }
    return Response(status_code=status, headers=headers | more)


def _check_version(version: str | None) -> None:
    if version != VERSION:
        raise UnsupportedVersion


def _read_metadata(text: str) -> dict[str, str]:
    """Read an Upload-Metadata header. Raises UploadRefused for a malformed one."""
    found = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = each.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (ValueError, binascii.Error) as error:
            raise UploadRefused(400, "malformed") from error
    return found
