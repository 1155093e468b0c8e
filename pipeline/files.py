"""Files that are never half written: atomic files, locks, scratch folders, JSON, fingerprints, clean names.

A file or folder under construction lies in the same folder, ends in `.part` and is locked while its process
lives, so that `remove_stale_parts` removes the parts of killed processes and none that is being written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import DISK_FULL, InputError, RunError

_SUFFIX = ".part"
_SAMPLED_BYTES = 2**20

_locks: dict[Path, int] = {}
"""Open file descriptors of the parts that this process is writing."""

# ---------------------------------------------------------------- atomic files


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a new file beside `path`: it takes its place when the block ends well and is removed otherwise.

    Raises InputError where nothing can be written there, and RunError where writing fails.
    """
    part = create_part(path)
    try:
        with write_errors(path.name):
            yield part
            move_into_place(part, path)
    finally:
        remove_part(part)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Create a folder beside `path` and remove it when the block ends."""
    folder = create_part_folder(path)
    try:
        yield folder
    finally:
        remove_part(folder)


def create_part(path: Path) -> Path:
    """Create an empty file beside `path`, to be followed by `move_into_place` or `remove_part`."""
    if path.is_dir():
        raise InputError("writing.is_folder", name=path.name)
    with write_errors(path.name), _folder_errors(path):
        handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
    os.close(handle)
    return _lock_part(Path(name))


def create_part_folder(path: Path) -> Path:
    """Create a folder beside `path`; call `release_part` after renaming it."""
    with write_errors(path.name), _folder_errors(path):
        name = tempfile.mkdtemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
    return _lock_part(Path(name))


def move_into_place(part: Path, path: Path) -> None:
    """Give a finished part its final name, replacing what was there."""
    # mkstemp creates files readable by their owner only; a result has the permissions of any new file.
    part.chmod(0o666 & ~_umask())
    part.replace(path)
    release_part(part)


def remove_part(part: Path) -> None:
    """Remove an unfinished file or folder, if it is still there."""
    _remove(part)
    release_part(part)


def release_part(part: Path) -> None:
    """Unlock a part that is finished, or that has been renamed."""
    handle = _locks.pop(part, None)
    if handle is not None:
        os.close(handle)


def remove_stale_parts(path: Path) -> None:
    """Remove the parts of `path` that no process is writing: those of killed processes."""
    if not path.parent.is_dir():
        return
    for part in path.parent.iterdir():
        if part.name.startswith(_prefix(path)) and part.name.endswith(_SUFFIX):
            with suppress(OSError):  # it is gone
                handle = os.open(part, os.O_RDONLY)
                try:
                    if try_lock(handle):
                        _remove(part)
                finally:
                    os.close(handle)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}-"


def _lock_part(part: Path) -> Path:
    _locks[part] = os.open(part, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks, on which stale parts are not removed either
        try_lock(_locks[part])
    return part


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


@contextmanager
def _folder_errors(path: Path) -> Iterator[None]:
    """Report a folder that cannot be written into as bad input."""
    if not path.parent.is_dir():
        raise InputError("writing.no_folder", name=path.name)
    try:
        yield
    except (PermissionError, FileNotFoundError) as error:  # the latter in /proc
        raise InputError("writing.folder_read_only", name=path.name) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---------------------------------------------------------------- errors


@contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Map errors of the system, and of FFmpeg where it is loaded, to RunError while `name` is written."""
    try:
        yield
    except _write_error_types() as error:
        code = getattr(error, "errno", None)
        if code in DISK_FULL:
            raise RunError("writing.disk_full", name=name) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError("writing.failed", name=name, reason=reason) from error


def _write_error_types() -> tuple[type[Exception], ...]:
    """Return the exception types of writing, without importing FFmpeg for it."""
    av = sys.modules.get("av")
    return (OSError,) if av is None else (OSError, av.error.FFmpegError)


# ---------------------------------------------------------------- locks


def try_lock(descriptor: int) -> bool:
    """Take an exclusive advisory lock on an open file or folder; False where another process holds it.

    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# ---------------------------------------------------------------- JSON files


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where the file is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON object atomically, readable by its owner alone.

    Raises OSError where nothing can be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=_SUFFIX, dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# ---------------------------------------------------------------- fingerprints


def file_state(path: Path) -> tuple[int, int] | None:
    """Return a file's time of modification (nanoseconds) and size (bytes); None if it does not exist.

    For caches of what a file holds: another state is another file.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def bytes_on_disk(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 if there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def fingerprint(path: Path) -> str:
    """Fingerprint from a file's size and its first and last MiB, as SHA-256 in hexadecimal.

    Two videos, or two files of weights, that agree in these count as the same. A folder's is that of its
    files' names, sizes and times of change. Raises OSError where the file or folder cannot be read.
    """
    stat = path.stat()
    if path.is_dir():
        return _fingerprint_folder(path)
    return _fingerprint(path, stat.st_size, stat.st_mtime_ns)


def identify(path: Path) -> str:
    """Return a name for the content of a file or folder; one that cannot be read has a name of its own."""
    try:
        return fingerprint(path)
    except OSError:
        return "missing"


@lru_cache(maxsize=256)  # called for every previewed frame
def _fingerprint(path: Path, size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        head = file.read(_SAMPLED_BYTES)
        file.seek(max(0, size - _SAMPLED_BYTES))
        tail = file.read(_SAMPLED_BYTES)
    return hashlib.sha256(b"%d" % size + head + tail).hexdigest()


def _fingerprint_folder(path: Path) -> str:
    stats = [(file.name, file.stat()) for file in sorted(path.iterdir())]
    listing = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)
    return hashlib.sha256(listing.encode()).hexdigest()


# ---------------------------------------------------------------- names


def clean_name(name: str) -> str:
    """Return a user's name for something as one line that every file, table and page can hold.

    Control characters and unpaired surrogates are removed, and whitespace is collapsed.
    """
    letters = (" " if letter.isspace() else letter for letter in name)
    return " ".join("".join(c for c in letters if unicodedata.category(c) not in ("Cc", "Cs")).split())
