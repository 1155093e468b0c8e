"""What is written is whole: a new file stands beside its final name until it is complete."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError
from pipeline.video.border import write_errors


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` that takes its place when the block ends well, and is removed when not."""
    part = beside(path)
    try:
        with write_errors(path.name):
            yield part
            into_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path.name}: this is a folder. Give the name of a file to write.")
    if not path.parent.is_dir():
        raise InputError(f"{path.name}: the folder to write it into does not exist.")
    with write_errors(path.name):
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=".part", dir=path.parent)
        except (PermissionError, FileNotFoundError) as error:  # /proc says there is no such file
            raise InputError(f"{path.name}: nothing can be written into its folder.") from error
    os.close(handle)
    return Path(name)


def into_place(part: Path, path: Path) -> None:
    # mkstemp's file is for its owner alone; a result is as readable as any other file of the user's.
    part.chmod(0o666 & ~_umask())
    part.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
