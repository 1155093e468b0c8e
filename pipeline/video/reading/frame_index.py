"""Frame index of a video, from memory, from the file beside the video, or from a scan of its packets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.video.reading import index_cache
from pipeline.video.reading.scan import FrameIndex, Scan, scan_packets


def load_index(path: Path) -> FrameIndex:
    """Return the frame index of a video, found without decoding; the last 16 files are cached."""
    return scan_of(path).index


def save_index(path: Path) -> None:
    """Write the index beside the video, so that other processes need not scan the whole file.

    Does nothing if a valid index file is there. The index stays valid while the video is unchanged, also if
    both are moved. Raises VideoError if the file is no video, RunError or InputError if the index cannot be
    written.
    """
    if index_cache.load(path) is None:
        index_cache.save(path, scan_of(path))


def has_index(path: Path) -> bool:
    """Return True if a valid index file lies beside the video."""
    return index_cache.load(path) is not None


def index_path(path: Path) -> Path:
    """Return the path of a video's index file."""
    return index_cache.beside(path)


def scan_of(path: Path) -> Scan:
    stat = path.stat()
    return _scan_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scan_of(path: Path, _mtime_ns: int, _size: int) -> Scan:
    return index_cache.load(path) or scan_packets(path)
