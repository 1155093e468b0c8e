"""The frames of a video: all, a range or a few of them, forward or backward."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.video.source import Source
from pipeline.video.times import Index, index

# What frames may be held while a stretch of video is turned round.
_BACKWARD_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Frame:
    """One picture: `image` is `[H, W, 3]` RGB (or `[H, W]` grey), uint8; `pts` as the module says.

    `deep` is the same picture in 16 bits, 0 to 65535, where it was asked for.
    """

    pts: int
    image: NDArray[np.uint8]
    deep: NDArray[np.uint16] | None = None


def read(
    path: Path,
    start: int = 0,
    end: int | None = None,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
    deep: bool = False,
) -> Iterator[Frame]:
    """The frames with start <= pts < end, in order; with `only`, those whose pts is in it.

    Decodes from the keyframe before, and jumps over the stretches in which nothing is wanted. With `deep`
    a frame comes in 16 bits, too: RGB, whatever `pixel_format` says.
    """
    times = index(path)
    wanted = None
    if only is not None:
        wanted = sorted(p for p in only if p >= start and (end is None or p < end))
        if not wanted:
            return
    with Source(path) as source:
        target = wanted[0] if wanted else start
        yield from _from(source, times, target, end, wanted, pixel_format, deep)


def _from(
    source: Source,
    times: Index,
    target: int,
    end: int | None,
    wanted: list[int] | None,
    pixel_format: str,
    deep: bool,
) -> Iterator[Frame]:
    """Decode from `target` on, seeking again where the next wanted frame lies behind a later keyframe."""
    asked = frozenset(wanted) if wanted is not None else None
    here = -1
    misled = False
    while True:
        key = 0 if misled else times.key_before(target)
        jumped = key > max(here, 0)
        if jumped or misled:
            source.seek(times.origin + max(0, key - source.early))
        landed = misled = False
        pts = key - 1 if jumped else -1
        for frame in source.decode():
            pts = _pts(source, frame, pts, times)
            if jumped and not landed and pts > target:
                break
            landed = True
            if pts < target or pts <= here:
                continue
            if end is not None and pts >= end:
                return
            here = pts
            if asked is None:
                yield _seen(source, frame, pts, pixel_format, deep)
                continue
            if pts in asked:
                yield _seen(source, frame, pts, pixel_format, deep)
            position = bisect.bisect_right(cast(list[int], wanted), pts)
            if position == len(cast(list[int], wanted)):
                return
            target = cast(list[int], wanted)[position]
            if times.key_before(target) > pts:
                break
        else:
            if landed or not jumped:
                return
        # Where the container's own index led behind the target, decode from the start instead.
        misled = jumped and not landed


def _seen(source: Source, frame: av.VideoFrame, pts: int, pixel_format: str, deep: bool) -> Frame:
    if not deep:
        return Frame(pts, cast(NDArray[np.uint8], source.upright(frame, pixel_format)))
    image = cast(NDArray[np.uint16], source.upright(frame, "rgb48le"))
    return Frame(pts, cast(NDArray[np.uint8], cv2.convertScaleAbs(image, alpha=1 / 257)), image)


def _pts(source: Source, frame: av.VideoFrame, before: int, times: Index) -> int:
    """The frame's time; where it has none, that of the index which follows the frame before."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    if stamp is not None and not source.unstamped:
        return stamp - times.origin
    later = bisect.bisect_right(times.pts, before)
    return times.pts[later] if later < len(times.pts) else before + 1


def read_backward(
    path: Path,
    start: int,
    end: int,
    only: Collection[int] | None = None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
    deep: bool = False,
) -> Iterator[Frame]:
    """The frames of `read`, last first, holding no more than a bounded chunk of them."""
    pts = [p for p in index(path).pts if start <= p < end and (only is None or p in only)]
    with Source(path) as source:
        width, height = source.size
    pixel = 3 + 6 if deep else 1 if pixel_format == "gray" else 3
    chunk = max(1, _BACKWARD_BYTES // (width * height * pixel))
    while pts:
        part, pts = pts[-chunk:], pts[:-chunk]
        upper = part[-1] + 1
        yield from reversed(list(read(path, part[0], upper, only, pixel_format, deep)))
