"""Store that driver and nodes reach: a shared folder or an object store, by its address.

Content is kept under its SHA-256 and put once, so that runs of one file share it. An object is written in one
step: a PUT, or in a folder a temporary file that is renamed. A store that is away for a while is waited for.
Transfers can be stopped between two chunks, and nothing half stays then.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from platformdirs import user_cache_path

from pipeline.errors import DISK_FULL, InputError, RunError
from pipeline.files import create_part, create_part_folder, move_into_place, remove_part, remove_stale_parts

if TYPE_CHECKING:
    from fsspec.callbacks import Callback

AWAY_SECONDS = 60.0
"""Time for which a store that does not answer is waited for."""
_RETRY_SECONDS = 1.0
CACHE_BYTES = 20 * 2**30
"""Most that a node keeps of what it has fetched."""
_CHUNK_BYTES = 2**20

Tree = dict[str, list[Any]]
"""Content of a file or folder: SHA-256, bytes and time of change in ns by the path in it; of a file ".".
"""

Returned = TypeVar("Returned")


class TransferStopped(Exception):
    """A transfer was stopped: see `Store.until`."""


class Store:
    """A folder, `file:///folder`, a bucket, `s3://bucket/prefix`, or what else fsspec has a protocol for."""

    def __init__(self, address: str, *, opened: bool = False) -> None:
        """Raises InputError where the address is of no kind that is known, or names no folder.

        `opened`: another process has opened it, so that a folder which is not there is one that is away.
        """
        from fsspec.core import url_to_fs

        self.address = address
        try:
            # Listings change under other machines' hands.
            self._files, self._root = url_to_fs(address, use_listings_cache=False, skip_instance_cache=True)
        except (ImportError, ValueError, OSError) as error:
            raise InputError("cluster.bad_store", address=address, reason=str(error)) from error
        self._local = "file" in ([self._files.protocol, *self._files.protocol])
        if self._local and not opened and not Path(self._root).is_dir():
            raise InputError("cluster.bad_store", address=address, reason=os.strerror(errno.ENOENT))
        self._waits = True
        self._stop = threading.Event()

    def until(self, stop: threading.Event) -> Store:
        """Return the same store, whose transfers raise TransferStopped once `stop` is set."""
        other = copy.copy(self)
        other._stop = stop
        return other

    def without_waiting(self) -> Store:
        """Return the same store, which raises at once while it is away."""
        other = copy.copy(self)
        other._waits = False
        return other

    # ------------------------------------------------------------------ content

    def put(self, path: Path) -> Tree:
        """Put a file or folder into the store, unless it is there, and return its content."""
        if not path.is_dir():
            return {".": self._put_file(path)}
        return {
            file.relative_to(path).as_posix(): self._put_file(file)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }

    def _put_file(self, path: Path) -> list[Any]:
        stat = path.stat()
        digest = _digest(path, stat.st_size, stat.st_mtime_ns)
        key = _blob(digest)
        if self.size(key) != stat.st_size:
            self.upload(path, key)
        return [digest, stat.st_size, stat.st_mtime_ns]

    def get(self, content: list[Any], path: Path) -> None:
        """Fetch one file of a tree to a new path, and check that it is what was put."""
        digest, size, time_ns = content
        self.download(_blob(digest), path)
        if path.stat().st_size != size or _digest_of(path) != digest:
            path.unlink()
            raise RunError("cluster.store_damaged", address=self.address)
        os.utime(path, ns=(time_ns, time_ns))

    def receive(self, tree: Tree, path: Path) -> None:
        """Fetch a file; it takes its name, and the place of another, once it is whole."""
        part = create_part(path)
        try:
            self.get(tree["."], part)
            move_into_place(part, path)
        finally:
            remove_part(part)

    def forget(self, tree: Tree) -> None:
        """Remove content that nobody else has put, such as a result that was fetched."""
        self.remove(_blob(digest) for digest, _, _ in tree.values())

    # ------------------------------------------------------------------ objects

    def upload(self, path: Path, key: str) -> None:
        """Write a file to an object, in one step. Raises FileNotFoundError where the file is gone."""

        def write() -> None:
            path.stat()
            if not self._local:
                self._put_object(path, key)
                return
            self._check_there()
            part = self._path(f"{key}.{uuid4().hex}.part")
            self._files.makedirs(self._files._parent(part), exist_ok=True)
            try:
                self._copy(path, Path(part))
                self._files.mv(part, self._path(key))
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise

        self._try(write, path)

    def download(self, key: str, path: Path) -> None:
        """Write an object to a file. Raises RunError where it is missing."""

        def fetch() -> None:
            if self._local:
                self._copy(Path(self._path(key)), path)
            else:
                self._files.get_file(self._path(key), str(path), callback=self._callback())

        self._try(fetch)

    def size(self, key: str) -> int | None:
        """Return the bytes of an object; None where there is none."""

        def read() -> int | None:
            self._check_there()
            try:
                return int(self._files.info(self._path(key))["size"])
            except FileNotFoundError:
                return None

        return self._try(read)

    def list(self, prefix: str) -> dict[str, int]:
        """Return the bytes of the objects below a prefix, by their keys, sorted."""

        def read() -> dict[str, Any]:
            self._check_there()
            found: dict[str, Any] = self._files.find(self._path(prefix), detail=True)
            return found

        start = len(self._path("")) if self._root else 0
        return {
            path[start:].lstrip("/"): int(told["size"])
            for path, told in sorted(self._try(read).items())
            if not path.endswith(".part")
        }

    def remove(self, keys: Iterable[str]) -> None:
        """Remove those of some objects that are there."""
        paths = [self._path(key) for key in keys]

        def delete() -> None:
            self._check_there()
            try:
                self._files.rm(paths)  # of a bucket by few requests
            except FileNotFoundError:  # one of them is gone
                for path in paths:
                    with suppress(FileNotFoundError):
                        self._files.rm_file(path)

        if paths:
            self._try(delete)

    def remove_parts(self, prefix: str) -> None:
        """Remove what is left below a prefix of uploads that were cut off, while nobody uploads there."""

        def delete() -> None:
            self._check_there()
            for path in self._files.find(self._path(prefix)):
                if str(path).endswith(".part"):
                    self._files.rm_file(path)

        self._try(delete)

    def _put_object(self, path: Path, key: str) -> None:
        try:
            self._files.put_file(str(path), self._path(key), callback=self._callback())
        except TransferStopped:
            # Some of fsspec's file systems close what they have written so far.
            with suppress(FileNotFoundError):
                if int(self._files.info(self._path(key))["size"]) != path.stat().st_size:
                    self._files.rm_file(self._path(key))
            raise

    def _copy(self, source: Path, target: Path) -> None:
        with source.open("rb") as read, target.open("wb") as written:
            while chunk := read.read(_CHUNK_BYTES):
                self._check_stop()
                written.write(chunk)

    def _callback(self) -> Callback:
        """Return what fsspec calls after each chunk."""
        from fsspec.callbacks import Callback

        return Callback(hooks={"stop": lambda *_, **__: self._check_stop()})

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise TransferStopped

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    def _check_there(self) -> None:
        """Raise OSError while a shared folder is away; nothing is created in its place."""
        if self._local and not Path(self._root).is_dir():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def _try(self, call: Callable[[], Returned], source: Path | None = None) -> Returned:
        """Call until it succeeds, for as long as a store that is away is waited for.

        Raises RunError, TransferStopped, and FileNotFoundError once a `source` of this machine is gone.
        """
        until = time.monotonic() + (AWAY_SECONDS if self._waits else 0)
        while True:
            self._check_stop()
            try:
                return call()
            except Exception as error:
                if getattr(error, "errno", None) in DISK_FULL:
                    raise RunError("cluster.store_full", address=self.address) from error
                if not _is_of_store(error) or (source is not None and not source.exists()):
                    raise
                if time.monotonic() > until or isinstance(error, PermissionError):
                    reason = " ".join(str(error).split())[:300]
                    raise RunError("cluster.store_away", address=self.address, reason=reason) from error
            self._stop.wait(_RETRY_SECONDS)


class NodeCache:
    """Folder of what a node has fetched, bounded: what was used least recently goes first."""

    def __init__(self, folder: Path | None = None, most_bytes: int = CACHE_BYTES) -> None:
        self.folder = folder or user_cache_path("recorte") / "cluster"
        self._most_bytes = most_bytes
        self._scratch: Path | None = None
        self.folder.mkdir(parents=True, exist_ok=True)

    def scratch(self) -> Path:
        """Return a folder on the cache's file system; one of another process goes when that has ended."""
        if self._scratch is None:
            remove_stale_parts(self.folder / "job")
            self._scratch = create_part_folder(self.folder / "job")
        return self._scratch

    def place(self, store: Store, tree: Tree, path: Path) -> None:
        """Give a file or folder of the store its place at `path`, which lies on the cache's file system."""
        if "." in tree:
            path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    os.link(self._fetch(store, tree["."]), path)
                    return
                except FileNotFoundError:  # another process needed the room
                    continue
        path.mkdir(parents=True)
        for name, content in tree.items():  # times count in a folder, and two files may be the same
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            store.get(content, path / name)

    def _fetch(self, store: Store, content: list[Any]) -> Path:
        path = self.folder / f"{content[0]}.blob"
        if not path.exists():
            part = create_part(path)
            try:
                store.get(content, part)
                move_into_place(part, path)
            finally:
                remove_part(part)
        os.utime(path)
        self._bound(path)
        return path

    def _bound(self, kept: Path) -> None:
        blobs = sorted(self.folder.glob("*.blob"), key=_time, reverse=True)
        total = 0
        for path in blobs:
            total += _size(path)
            if total > self._most_bytes and path != kept:
                path.unlink(missing_ok=True)


def _is_of_store(error: Exception) -> bool:
    """Return True for errors of files and of networks; other classes are those of s3fs's libraries."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package in ("botocore", "aiobotocore", "aiohttp")


def _blob(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


@lru_cache(maxsize=256)
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    return _digest_of(path)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
