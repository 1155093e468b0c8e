"""FFmpeg's errors while reading, mapped to VideoError and RunError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import RunError, VideoError


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Map FFmpeg's errors while `name` is read to VideoError, and lack of memory to RunError."""
    import av

    try:
        yield
    except MemoryError as error:  # FFmpeg's, too
        raise RunError("video.no_memory", name=name) from error
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise VideoError("video.no_permission", name=name) from error
        if isinstance(error, FileNotFoundError):
            raise VideoError("video.not_found", name=name) from error
        raise VideoError("video.unreadable", name=name) from error
