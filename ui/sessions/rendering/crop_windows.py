"""Windows of cropped results, found in the worker process once all mattes are there."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Generator
from contextlib import closing
from typing import Any

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.matte import MatteFile
from pipeline.propagation.partial import PartialMatte
from pipeline.rendering.crop import WindowTracker
from pipeline.video.reading.index_cache import load_index
from ui.sessions.rendering.protocol import CropWindows, RenderRequest

_CACHED = 16


class CropWindowFinder:
    """Finds the windows of sessions' results, and keeps the latest ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], CropWindows] = OrderedDict()

    def find(self, request: RenderRequest) -> CropWindows:
        """Return the windows of a session's result; without corners while its mattes are not complete."""
        job, clip = request.effective_job, request.clip
        if not job.follows_subject(clip):
            return CropWindows(0, [])
        frames = pts_range(job, clip)
        key = request.id, matte_key(job), frames, job.crop
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        windows = _find(job, clip, frames)
        if windows.corners:
            with self._lock:
                self._known[key] = windows
                while len(self._known) > _CACHED:
                    self._known.popitem(last=False)
        return windows


def _find(job: Job, clip: Clip, frames: tuple[int, int]) -> CropWindows:
    order = load_index(clip.path).pts
    first = next(number for number, pts in enumerate(order) if pts >= frames[0])
    shown = [pts for pts in order if frames[0] <= pts < frames[1]]
    tracker = WindowTracker((clip.width, clip.height), job.result_size(clip))
    mattes = _read_mattes(job, clip, frames, shown)
    if mattes is None:
        return CropWindows(first, [])
    try:
        with closing(mattes):
            for pts, matte in mattes:
                tracker.add(pts, matte)
    except (OSError, ValueError, zlib.error):  # a run has replaced them meanwhile
        return CropWindows(first, [])
    windows = tracker.follow(float(clip.time_base))
    return CropWindows(first, [windows.corner(pts) for pts in shown])


def _read_mattes(
    job: Job, clip: Clip, frames: tuple[int, int], shown: list[int]
) -> Generator[tuple[int, Matte], None, None] | None:
    """Return the mattes of all frames of the result; None while there are not all of them."""
    matte_file = MatteFile.find(job.matte, matte_key(job))
    if matte_file is not None and matte_file.covers(*frames):
        return matte_file.read_mattes(clip, frames)
    partial = PartialMatte.find(job, clip)
    if partial is None or not partial.ready().issuperset(shown):
        return None
    return partial.unions()
