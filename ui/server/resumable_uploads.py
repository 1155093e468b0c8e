"""Uploads that go on after a broken connection: received in parts, in the folder of `Uploads`.

    <visitor>/<id>/part         what has arrived
    <visitor>/<id>/.upload.json its length and name, until it is complete
    <visitor>/<id>/Beach.mp4    the file, once it is

An upload of which nothing has arrived for `EXPIRY_SECONDS` is deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import CancelScope, to_thread

from pipeline.errors import DISK_FULL
from ui.server.uploads import EXPIRY_SECONDS, PART, STATE, UploadRefused, Uploads, safe_name
from ui.server.visitors import Visitor

T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """Upload as it now is."""

    id: str
    offset: int
    """Bytes that have arrived."""
    length: int
    expires_at: float
    """Seconds since the epoch."""

    @property
    def complete(self) -> bool:
        return self.offset == self.length


class WrongOffset(Exception):
    """A part does not begin where the upload goes on."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        """Offset in bytes at which it goes on."""


class _Holder:
    """The request that writes to an upload, which gives way to a newer one."""

    def __init__(self) -> None:
        self.scope = CancelScope()
        self.gone = anyio.Event()


class ResumableUploads:
    """Creates, continues and ends uploads of visitors; those of others raise UploadRefused of 404.

    For use in one event loop.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._holders: dict[Path, _Holder] = {}

    @property
    def max_bytes(self) -> int:
        """Length of the largest upload."""
        return self._uploads.max_bytes

    async def create(self, visitor: Visitor, length: int, name: str) -> Upload:
        """Create an upload of `length` bytes. Raises UploadRefused, QuotaExceeded or DatabaseAway."""
        if length > self.max_bytes:
            raise self._uploads.too_large()
        folder = self._uploads.new_folder(visitor)

        def make() -> Upload:
            self._uploads.remove_stale()
            with self._uploads.quota.reserve(visitor.id, folder, length):
                folder.mkdir(parents=True)
                (folder / PART).touch()
                (folder / STATE).write_text(json.dumps({"length": length, "name": name}))
            if length == 0:
                _complete(folder, name)
            return _read(folder)

        return await self._run(make)

    async def read(self, visitor: Visitor, id: str) -> Upload:
        """Return an upload, after ending a request that still writes to it: its client has to ask anew."""
        async with self._hold(visitor, id) as folder:
            return await self._run(lambda: _read(folder))

    async def append(self, visitor: Visitor, id: str, offset: int, parts: AsyncIterator[bytes]) -> Upload:
        """Write what arrives from `offset` on, and return the upload; what has arrived stays, come what may.

        Raises WrongOffset, UploadRefused, QuotaExceeded, DatabaseAway; and what `parts` raises.
        """
        async with self._hold(visitor, id) as folder:
            upload = await self._run(lambda: _read(folder))
            if offset != upload.offset:
                raise WrongOffset(upload.offset)
            if upload.complete:
                return upload
            quota, left = self._uploads.quota, upload.length - offset
            reservation = await self._run(lambda: quota.hold(visitor.id, folder, left))
            try:
                await self._write(folder / PART, parts, left)
            finally:
                with CancelScope(shield=True):
                    await self._run(reservation.release)
                    upload = await self._run(lambda: _finish(folder))
        return upload

    async def terminate(self, visitor: Visitor, id: str) -> None:
        """Delete an upload."""
        async with self._hold(visitor, id) as folder:
            await self._run(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def _write(self, path: Path, parts: AsyncIterator[bytes], left: int) -> None:
        file = await to_thread.run_sync(lambda: path.open("ab"))

        def write(data: bytes) -> None:
            file.write(data)
            file.flush()  # what a killed server has answered for is on the disk

        try:
            async for data in parts:
                if len(data) > left:
                    raise UploadRefused(413, "too_much")
                if data:
                    await to_thread.run_sync(write, data)
                    left -= len(data)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise UploadRefused(507, "disk_full") from error
            raise
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(file.close)

    @asynccontextmanager
    async def _hold(self, visitor: Visitor, id: str) -> AsyncIterator[Path]:
        """Hold an upload's folder for the length of the block, after ending whatever request holds it.

        A request whose connection broke may wait for its client for minutes, while that goes on by another.
        """
        folder = self._uploads.folder(visitor, id)
        if folder is None:
            raise UploadRefused(404, "no_upload")
        while (before := self._holders.get(folder)) is not None:
            before.scope.cancel()
            await before.gone.wait()
        holder = self._holders[folder] = _Holder()
        try:
            with holder.scope:
                yield folder
        finally:
            del self._holders[folder]
            holder.gone.set()
        if holder.scope.cancelled_caught:
            raise UploadRefused(409, "superseded")

    async def _run(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._uploads.limiter)


def _read(folder: Path) -> Upload:
    """Return the upload in a folder. Raises UploadRefused of 404 where it is gone."""
    try:
        expires_at = folder.stat().st_mtime + EXPIRY_SECONDS
        if expires_at < time.time():
            raise FileNotFoundError(folder)
        if (folder / STATE).exists():
            length = json.loads((folder / STATE).read_bytes())["length"]
            return Upload(folder.name, (folder / PART).stat().st_size, length, expires_at)
        (file,) = folder.iterdir()
        size = file.stat().st_size
        return Upload(folder.name, size, size, expires_at)
    except (FileNotFoundError, ValueError) as error:
        raise UploadRefused(404, "no_upload") from error


def _finish(folder: Path) -> Upload:
    """Return the upload after a part of it; a complete one gets its name."""
    os.utime(folder)
    upload = _read(folder)
    if upload.complete:
        _complete(folder, json.loads((folder / STATE).read_bytes())["name"])
    return upload


def _complete(folder: Path, name: str) -> None:
    (folder / PART).rename(folder / safe_name(name))
    (folder / STATE).unlink()
