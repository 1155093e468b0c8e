"""When each frame of a video is shown: as it was kept, or read from the file's packets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.video import kept
from pipeline.video.scanning import Index, Scan, scanned


def index(path: Path) -> Index:
    """The frame times of a video, found without decoding; remembered for the last few files."""
    return scan_of(path).index


def keep_index(path: Path) -> None:
    """Write the index beside the video, so that the next process need not read the whole file for it.

    Nothing is written where that was done before. The index is used for as long as the video is the same, in
    whatever folder both lie. Raises VideoError where the file is no video, and RunError or InputError where
    nothing can be written.
    """
    if kept.load(path) is None:
        kept.save(path, scan_of(path))


def index_kept(path: Path) -> bool:
    """Whether the index lies beside the video, so that nothing of the video has to be read for it."""
    return kept.load(path) is not None


def index_file(path: Path) -> Path:
    """Where the index of a video is kept."""
    return kept.beside(path)


def scan_of(path: Path) -> Scan:
    stat = path.stat()
    return _scan_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scan_of(path: Path, _mtime_ns: int, _size: int) -> Scan:
    return kept.load(path) or scanned(path)
