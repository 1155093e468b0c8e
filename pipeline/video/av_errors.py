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
