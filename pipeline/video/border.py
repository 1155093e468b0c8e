"""Where FFmpeg's and the system's errors become ours."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import DISK_FULL, RunError, VideoError


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """FFmpeg's errors while reading become ours."""
    import av

    try:
        yield
    except MemoryError as error:  # FFmpeg's, too
        raise RunError(
            f"{name}: there is not enough memory for its pictures. Close other programs, or convert it to a "
            "smaller size."
        ) from error
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise VideoError(f"{name}: there is no permission to read this file.") from error
        if isinstance(error, FileNotFoundError):
            raise VideoError(f"{name}: there is no such file.") from error
        raise VideoError(
            f"{name}: this cannot be read as a video. It may be damaged, protected, a playlist or of an "
            "unknown kind; check that it plays elsewhere, or convert it to MP4."
        ) from error


@contextmanager
def write_errors(name: str) -> Iterator[None]:
    """The system's and FFmpeg's errors while writing become ours."""
    try:
        yield
    except _writing() as error:
        code = getattr(error, "errno", None)
        if code in DISK_FULL:
            raise RunError(f"{name}: the disk is full. Free some space and run it again.") from error
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"{name}: this could not be written ({reason}).") from error


def _writing() -> tuple[type[Exception], ...]:
    """What may go wrong: FFmpeg has no part in it where it was not even imported."""
    av = sys.modules.get("av")
    return (OSError,) if av is None else (OSError, av.error.FFmpegError)
