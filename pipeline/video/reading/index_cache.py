"""Index file beside a video: the result of a packet scan as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.files import fingerprint, replacing
from pipeline.video.reading.scan import FrameIndex, Scan

_VERSION = 3
"""Increased when scans give other results, so that older index files are not used."""


def save(path: Path, scan: Scan) -> None:
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
    with replacing(beside(path)) as part:
        part.write_text(json.dumps(data, separators=(",", ":")))


def load(path: Path) -> Scan | None:
    """Return the scan stored for this very video; None if there is none or it does not match."""
    try:
        data = json.loads(beside(path).read_bytes())
        if data["version"] != _VERSION or data["video"] != fingerprint(path):
            return None
        return _checked(data)
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError):
        return None


def _checked(data: dict[str, Any]) -> Scan:
    """Return the scan in `data`; raises ValueError or TypeError if it is not what `save` writes."""
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
    whole = (
        *pts,
        *keys,
        *(number for mark in marks for number in mark),
        index.origin,
        index.last_duration,
        index.lead,
    )
    if (
        not all(type(number) is int for number in (*whole, data["packets"], data["mended"]))
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


def beside(path: Path) -> Path:
    """Return the path of the index file."""
    return path.with_name(f"{path.name}.index")
