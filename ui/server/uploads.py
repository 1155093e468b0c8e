"""Uploads: streamed to disk within bounds, each into a folder of its own below that of its visitor.

The route replaces Gradio's own, which holds a form's fields in memory whatever their size, leaves incomplete
uploads on the disk, and stores equal files of two users in one place.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from db.errors import DatabaseAway
from pipeline.errors import DISK_FULL
from ui import text
from ui.server.middleware.gradio_requests import UPLOAD
from ui.server.visitors import Visitor
from ui.sessions.limits.quota import Quota, QuotaExceeded, uploads_folder
from ui.visitor import language_of

log = logging.getLogger(__name__)

_FORM_OVERHEAD = 64 * 1024
"""Bytes that a form may have beside its file."""
_RESERVE_STEP = 8 * 2**20
"""Bytes that are reserved at a time for an upload without a declared length."""
_THREADS = 8
"""Threads that read the users' quotas from the database."""
_MAX_NAME_BYTES = 200
"""File systems allow 255."""
EXPIRY_SECONDS = 24 * 3600.0
"""Age at which an upload of which no session was created is deleted: its page was closed."""


_ID = re.compile(r"[0-9a-f]{32}")
"""Names of the uploads' folders."""
PART = "part"
"""File that what has arrived of an upload is written to."""
STATE = ".upload.json"
"""File beside it, of an upload that goes on after a broken connection."""


class UploadRefused(Exception):
    """An upload is refused, with a status and the key of a sentence."""

    def __init__(self, status: int, key: str, **sizes: int) -> None:
        """`sizes`, in bytes, are filled into the sentence."""
        self.status, self.key, self.sizes = status, key, sizes


class Progress(Protocol):
    """Receiver of the progress of uploads, by their ids."""

    def append(self, upload_id: str, filename: str, message: bytes) -> None: ...
    def set_done(self, upload_id: str) -> None: ...


class Uploads:
    """Folder of uploads, and the route that receives them."""

    def __init__(self, folder: Path, max_bytes: int, quota: Quota | None = None) -> None:
        """`max_bytes` is the largest upload in bytes."""
        self._folder = folder
        self.max_bytes = max_bytes
        self.quota = quota or Quota()
        self.limiter = CapacityLimiter(_THREADS)
        """Of the threads that read the users' quotas, and what is on the disk of uploads."""

    def folder_of(self, visitor: Visitor) -> Path:
        """Return the folder of a visitor's uploads."""
        return uploads_folder(self._folder, visitor.id)

    def new_folder(self, visitor: Visitor) -> Path:
        """Return the path of a new upload's folder.

        Its name cannot be guessed, for it is all that is needed to create a session of the upload.
        """
        return self.folder_of(visitor) / secrets.token_hex(16)

    def folder(self, visitor: Visitor, id: str) -> Path | None:
        """Return the folder of a visitor's upload, by its name; None: there is none."""
        folder = self.folder_of(visitor) / id
        return folder if _ID.fullmatch(id) and folder.is_dir() else None

    def find(self, visitor: Visitor, id: str) -> Path | None:
        """Return the file of a visitor's finished upload, by the name of its folder; None: there is none."""
        folder = self.folder(visitor, id)
        files = [] if folder is None else [*folder.iterdir()]
        return files[0] if len(files) == 1 and files[0].name != PART else None

    def discard(self, path: Path) -> None:
        """Delete an upload that is not needed any more, with its folder."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def router(self, progress: Progress) -> APIRouter:
        """Build the route that receives uploads and reports to `progress` how far they are.

        The page sends files to the API, by parts, and asks here for the path of one that is `finished`.
        """
        routes = APIRouter()

        @routes.post(UPLOAD)
        async def upload(request: Request, upload_id: str = "", finished: str = "") -> Response:
            language = language_of(request)
            try:
                if finished:
                    path = await to_thread.run_sync(self.find, request.state.user, finished)
                    if path is None:
                        raise UploadRefused(404, "no_upload")
                else:
                    path = await self.receive(request, upload_id, progress)
            except UploadRefused as refused:
                sizes = {name: text.format_size(count, language) for name, count in refused.sizes.items()}
                sentence = text.translate_access(language, refused.key, **sizes)
                return PlainTextResponse(sentence, refused.status, headers={"Cache-Control": "no-store"})
            except QuotaExceeded as exceeded:
                sentence = text.translate_access(
                    language, "no_room", size=text.format_size(exceeded.left, language)
                )
                return PlainTextResponse(sentence, 413, headers={"Cache-Control": "no-store"})
            except DatabaseAway:
                return PlainTextResponse(
                    text.translate_access(language, "away"), 503, headers={"Cache-Control": "no-store"}
                )
            except ClientDisconnect:  # disconnected; or too slow, and then still connected to read this
                sentence = text.translate_access(language, "too_slow")
                return PlainTextResponse(sentence, 408, headers={"Cache-Control": "no-store"})
            finally:
                if upload_id:
                    progress.set_done(upload_id)
            return JSONResponse([str(path)])

        return routes

    async def receive(self, request: Request, upload_id: str = "", progress: Progress | None = None) -> Path:
        """Store the file of a request's form, and return its path, in a folder of its own.

        Raises UploadRefused, QuotaExceeded, DatabaseAway, and ClientDisconnect; nothing is kept then.
        """
        visitor: Visitor = request.state.user
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > self.max_bytes + _FORM_OVERHEAD:
            raise self.too_large()
        await to_thread.run_sync(self.remove_stale, limiter=self.limiter)
        folder = self.new_folder(visitor)
        reservation = await to_thread.run_sync(
            self.quota.hold, visitor.id, folder, int(declared), limiter=self.limiter
        )
        try:
            await to_thread.run_sync(lambda: folder.mkdir(parents=True))
            form = _MultipartFile(folder / PART, request.headers.get("content-type", ""))
            try:
                async for chunk in request.stream():
                    for data in form.file_data(chunk):
                        need = form.written + len(data)
                        if need > self.max_bytes:
                            raise self.too_large()
                        if self.quota.limit_bytes and need > reservation.bytes:
                            await to_thread.run_sync(
                                reservation.grow, need, need + _RESERVE_STEP, limiter=self.limiter
                            )
                        await to_thread.run_sync(form.write, data)
                        if progress is not None and upload_id:
                            progress.append(upload_id, form.name, data)
                form.write(b"")  # creates the file if it is empty
            finally:
                form.close()
            if not form.complete:
                raise UploadRefused(400, "malformed")
            return form.path.rename(folder / safe_name(form.name))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if error.errno in DISK_FULL:
                log.error("no room for an upload", extra={"kind": "DiskFull"})
                raise UploadRefused(507, "disk_full") from error
            raise
        except BaseException:  # refused, disconnected, or the server stops
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(reservation.release, limiter=self.limiter)

    def remove_stale(self) -> None:
        """Delete old uploads that were never used, and the empty files that Gradio leaves."""
        cutoff = time.time() - EXPIRY_SECONDS
        with suppress(OSError):
            for path in [*self._folder.glob("tmp*"), *self._folder.glob("*/*")]:
                with suppress(OSError):
                    if path.stat().st_mtime > cutoff:
                        continue
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink(missing_ok=True)

    def too_large(self) -> UploadRefused:
        """Return the refusal of an upload that is larger than allowed."""
        return UploadRefused(413, "too_large", size=self.max_bytes)


class _MultipartFile:
    """Streaming parser of a multipart form with one file, which ignores other fields.

    Raises UploadRefused for a malformed form.
    """

    def __init__(self, path: Path, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadRefused(400, "malformed")
        self.path = path
        self.name = ""
        self.written = 0
        self.complete = False
        """True once the end of the form was reached."""
        self._file: BinaryIO | None = None
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._in_file = False
        self._pieces: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:  # a boundary longer than any browser's
            raise UploadRefused(400, "malformed") from error

    def file_data(self, chunk: bytes) -> list[bytes]:
        """Return the file's data in the next chunk of the form."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UploadRefused(400, "malformed") from error
        pieces, self._pieces = self._pieces, []
        return pieces

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._file = self.path.open("xb")
        self._file.write(data)
        self.written += len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._headers, self._in_file = {}, False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _headers_finished(self) -> None:
        _kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        if name is None:
            return
        if self.name:
            raise UploadRefused(400, "one_file")
        self.name = name.decode("utf-8", "replace") or "file"
        self._in_file = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        self.complete = bool(self.name)


def safe_name(name: str) -> str:
    """Return a name as it is safe in a folder: its last part, printable, shortened, with its suffix.

    It does not begin with a dot, and is not `PART`.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in last if c.isprintable()).lstrip(". ").rstrip(". ")
    stem, dot, suffix = printable.rpartition(".")
    if not dot or len(suffix.encode()) > 16:
        stem, suffix = printable, ""
    longest = _MAX_NAME_BYTES - len(f".{suffix}".encode())
    stem = stem.encode()[:longest].decode("utf-8", "ignore")
    safe = f"{stem}.{suffix}" if suffix else stem
    return "file" if safe in ("", PART) else safe
