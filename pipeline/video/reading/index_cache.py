"""Cache of frame indexes: in memory, and in a JSON file beside each video."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.files import fingerprint, replacing
from pipeline.video.reading.frame_index import FrameIndex, Scan

_VERSION = 3
"""Increased when scans give other results, so that older index files are not used."""


def load_index(path: Path) -> FrameIndex:
    """Return the frame index of a video, found without decoding; the last 16 files are cached."""
    return scan_of(path).index


def save_index(path: Path) -> None:
    """Write the index beside the video, so that other processes need not scan the whole file.

    Does nothing if a valid index file is there. The index stays valid while the video is unchanged, also if
    both are moved. Raises VideoError if the file is no video, RunError or InputError if the index cannot be
    written.
    """
    if read_index_file(path) is None:
        write_index_file(path, scan_of(path))


def has_index(path: Path) -> bool:
    """Return True if a valid index file lies beside the video."""
    return read_index_file(path) is not None


def scan_of(path: Path) -> Scan:
    """Return the packet scan of a video, from the caches if possible; raises VideoError if it is no video."""
    stat = path.stat()
    return _scan_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _scan_of(path: Path, _mtime_ns: int, _size: int) -> Scan:
    scan = read_index_file(path)
    if scan is None:
        from pipeline.video.reading.scan import scan_packets  # loads av, which reading the file does not need

        scan = scan_packets(path)
    return scan


def write_index_file(path: Path, scan: Scan) -> None:
    """Write the scan of the video at `path` to its index file."""
    index = scan.index
    data = {
        "version": _VERSION,
        "video": fingerprint(path),
        "tick": str(index.tick),
        "origin": index.origin,
        "pts": index.pts,
        "keys": index.keyframes,
        "marks": index.keyframe_packets,
        "stamps": index.container_pts,
        "lasts": index.last_duration,
        "size": index.size,
        "lead": index.lead,
        "packets": scan.packets,
        "mended": scan.repaired,
    }
    with replacing(index_path(path)) as part:
        part.write_text(json.dumps(data, separators=(",", ":")))


def read_index_file(path: Path) -> Scan | None:
    """Return the scan stored for this very video; None if there is none or it does not match."""
    try:
        data = json.loads(index_path(path).read_bytes())
        if data["version"] != _VERSION or data["video"] != fingerprint(path):
            return None
        return _parse(data)
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError):
        return None


def _parse(data: dict[str, Any]) -> Scan:
    """Parse `data`; raises ValueError or TypeError if it is not what `write_index_file` writes."""
    pts, keys, stamps = (tuple(data[name]) for name in ("pts", "keys", "stamps"))
    marks = tuple((time, size) for time, size in data["marks"])
    index = FrameIndex(
        pts,
        keys,
        data["origin"],
        Fraction(data["tick"]),
        marks,
        stamps,
        last_duration=data["lasts"],
        size=None if data["size"] is None else (data["size"][0], data["size"][1]),
        lead=data["lead"],
    )
    integers = (
        *pts,
        *keys,
        *(number for mark in marks for number in mark),
        index.origin,
        index.last_duration,
        index.lead,
    )
    if (
        not all(type(number) is int for number in (*integers, data["packets"], data["mended"]))
        or not all(stamp is None or type(stamp) is int for stamp in stamps)
        or not all(a < b for times in (pts, keys) for a, b in pairwise(times))
        or pts[:1] not in ((), (0,))
        or index.tick <= 0
        or index.last_duration <= 0
        or index.lead < 0
        or min(index.size or (1,)) <= 0
        or (marks and len(marks) != len(keys))
        or (stamps and len(stamps) != len(pts))
    ):
        raise ValueError("this is no index")
    return Scan(index, data["packets"], data["mended"])


def index_path(path: Path) -> Path:
    """Return the path of a video's index file."""
    return path.with_name(f"{path.name}.index")
