"""When each frame of a video is shown: as it was kept, or read from the file's packets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.video.reading import index_cache
from pipeline.video.reading.scan import FrameIndex, Scan, scan_packets


def load_index(path: Path) -> FrameIndex:
    """The frame times of a video, found without decoding; remembered for the last few files."""
    return scan_of(path).index


def save_index(path: Path) -> None:
    """Write the index beside the video, so that the next process need not read the whole file for it.

    Nothing is written where that was done before. The index is used for as long as the video is the same, in
    whatever folder both lie. Raises VideoError where the file is no video, and RunError or InputError where
    nothing can be written.
    """
    if index_cache.load(path) is None:
        index_cache.save(path, scan_of(path))


def has_index(path: Path) -> bool:
    """Whether the index lies beside the video, so that nothing of the video has to be read for it."""
    return index_cache.load(path) is not None


def index_path(path: Path) -> Path:
    """Where the index of a video is kept."""
    return index_cache.beside(path)


def scan_of(path: Path) -> Scan:
    stat = path.stat()
    return _scan_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scan_of(path: Path, _mtime_ns: int, _size: int) -> Scan:
    return index_cache.load(path) or scan_packets(path)
