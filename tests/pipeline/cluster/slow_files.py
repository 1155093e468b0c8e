"""A slow store of fsspec: `slow:///folder`, where a transfer does not end while a test wants it to wait.

What it is given appears under its name from the first chunk on, as in some of fsspec's file systems.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations.local import LocalFileSystem

CHUNK_BYTES = 4096


class SlowFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Writes the first chunk of a file and then waits, while `held` is under way for it."""

    protocol = "slow"

    def put_file(self, path1: Any, path2: Any, callback: Callback = DEFAULT_CALLBACK, **_: Any) -> None:
        Path(path2).parent.mkdir(parents=True, exist_ok=True)
        _copy("put", Path(path1), Path(path2), Path(path2), callback)

    def get_file(self, path1: Any, path2: Any, callback: Callback = DEFAULT_CALLBACK, **_: Any) -> None:
        _copy("get", Path(path1), Path(path2), Path(path1), callback)


fsspec.register_implementation("slow", SlowFiles, clobber=True)


@contextmanager
def held(store: Path, what: str) -> Iterator[None]:
    """Keep transfers waiting for the block: "put blobs", "put runs", "get blobs" or "get runs"."""
    note = _note(store)
    note.write_text(what)
    try:
        yield
    finally:
        note.unlink()


def _note(store: Path) -> Path:
    return store.with_name(f"{store.name}.held")


def _copy(verb: str, source: Path, target: Path, stored: Path, callback: Callback) -> None:
    callback.set_size(source.stat().st_size)
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            written.write(chunk)
            written.flush()
            callback.relative_update(len(chunk))
            while _is_held(verb, stored):
                time.sleep(0.02)
                callback.relative_update(0)


def _is_held(verb: str, stored: Path) -> bool:
    """Return True if the note beside a store names this object's way and kind."""
    for folder in stored.parents:
        if folder.name in ("blobs", "runs"):
            try:
                return _note(folder.parent).read_text() == f"{verb} {folder.name}"
            except FileNotFoundError:
                return False
    return False
