"""What is written is whole: something new stands beside its final name until it is complete.

Each such part is locked for as long as its process lives, so that what a killed one left can be told from
what another one is writing, and is cleared away when the same is written again.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import InputError
from pipeline.video.border import write_errors

_SUFFIX = ".part"

_locks: dict[Path, int] = {}
"""The open files of the parts that this process is writing."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` that takes its place when the block ends well, and is removed when not."""
    part = beside(path)
    try:
        with write_errors(path.name):
            yield part
            into_place(part, path)
    finally:
        drop(part)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is needed while that is made."""
    folder = folder_beside(path)
    try:
        yield folder
    finally:
        drop(folder)


def beside(path: Path) -> Path:
    """A new, empty file beside `path`; `into_place` or `drop` is to follow."""
    if path.is_dir():
        raise InputError(f"{path.name}: this is a folder. Give the name of a file to write.")
    with write_errors(path.name), _refusals(path):
        handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
    os.close(handle)
    return _locked(Path(name))


def folder_beside(path: Path) -> Path:
    """As `beside`, a folder; whoever gives it another name calls `release`."""
    with write_errors(path.name), _refusals(path):
        name = tempfile.mkdtemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
    return _locked(Path(name))


def into_place(part: Path, path: Path) -> None:
    # mkstemp's file is for its owner alone; a result is as readable as any other file of the user's.
    part.chmod(0o666 & ~_umask())
    part.replace(path)
    release(part)


def drop(part: Path) -> None:
    """Remove it, wherever it still is."""
    _remove(part)
    release(part)


def release(part: Path) -> None:
    """It is no longer this process's."""
    handle = _locks.pop(part, None)
    if handle is not None:
        os.close(handle)


def clear(path: Path) -> None:
    """Remove the parts of `path` that nobody is writing: those of killed processes."""
    if not path.parent.is_dir():
        return
    for part in path.parent.iterdir():
        if part.name.startswith(_prefix(path)) and part.name.endswith(_SUFFIX):
            with suppress(OSError):  # it is locked, or gone
                handle = os.open(part, os.O_RDONLY)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(part)
                finally:
                    os.close(handle)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}-"


def _locked(part: Path) -> Path:
    _locks[part] = os.open(part, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks, where nobody clears either
        fcntl.flock(_locks[part], fcntl.LOCK_EX | fcntl.LOCK_NB)
    return part


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """A folder that nothing can be written into is the fault of whoever gave it."""
    if not path.parent.is_dir():
        raise InputError(f"{path.name}: the folder to write it into does not exist.")
    try:
        yield
    except (PermissionError, FileNotFoundError) as error:  # /proc says there is no such file
        raise InputError(f"{path.name}: nothing can be written into its folder.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
