"""Progress of a run: rate, time left and the times to review."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Literal

from pipeline.clip import Clip
from pipeline.job import Progress
from pipeline.languages.messages import Message
from pipeline.models import LOW_CONFIDENCE

_RENDER_RATE = 20.0
"""Usual rate of compositing and encoding, in frames per second."""

_RATE_SECONDS = 5.0
"""The rate shown is that of the last so many seconds."""

_REVIEW_GAP_SECONDS = 0.4
"""Frames of low confidence that are no further apart are reported as one time to review."""


class ReviewPoints:
    """Times to review: the first frame of each run of frames with low confidence."""

    def __init__(self, clip: Clip) -> None:
        self._tick = clip.time_base
        self._latest = -math.inf
        """Time of the latest frame of low confidence, in seconds."""
        self.times: tuple[float, ...] = ()
        """Seconds from the clip's first frame."""

    def add(self, pts: int, confidence: float) -> None:
        """Take the next frame into account."""
        if confidence >= LOW_CONFIDENCE:
            return
        now = float(pts * self._tick)
        if now - self._latest > _REVIEW_GAP_SECONDS:
            self.times += (now,)
        self._latest = now


class ProgressMeter:
    """Count of frames, their rate over the last seconds, and the time left at it.

    Frames that an earlier run has processed pass quickly: neither they nor their time count for the rate.
    """

    def __init__(self, stage: Literal["matte", "render"], total: int, later: int = 0) -> None:
        """Count to `total` frames, and to `later` more in another stage, see `begin_render`."""
        self.stage: Literal["matte", "render"] = stage
        self.total = total + later
        self._later = later
        self.done = 0
        self.processed = 0
        """Number of frames done that no earlier run has processed."""
        self._worked = 0.0
        """Seconds that those took."""
        self.resumed = 0
        """Number of frames done that an earlier run has processed."""
        self._resuming = 0.0
        """Seconds that those took to be rendered."""
        self._last = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    @property
    def average(self) -> float:
        """Frames per second since the start."""
        return self.processed / max(self._worked, 1e-6)

    @property
    def resumed_average(self) -> float:
        """Frames per second among those that an earlier run has processed: the rate of rendering alone."""
        return self.resumed / max(self._resuming, 1e-6)

    def begin_render(self) -> None:
        """Begin to count the frames that are rendered once all mattes are there."""
        self.stage, self._later = "render", 0
        self.processed, self._worked, self._last = 0, 0.0, time.monotonic()
        self.resumed, self._resuming = 0, 0.0
        self._marks = deque([(0.0, 0)])

    def step(self, frames: int = 1, resumed: int = 0) -> None:
        """Count `frames` more, of which an earlier run has processed `resumed`."""
        now = time.monotonic()
        self.done += frames
        self.processed += frames - resumed
        self.resumed += resumed
        if not resumed:
            self._worked += now - self._last
        elif resumed == frames:
            self._resuming += now - self._last
        self._last = now
        self._marks.append((self._worked, self.processed))
        while self._marks[-1][0] - self._marks[0][0] > _RATE_SECONDS and len(self._marks) > 2:
            self._marks.popleft()

    def progress(
        self, written: int, checks: tuple[float, ...] = (), notes: tuple[Message, ...] = ()
    ) -> Progress:
        """Return the progress, with `written` frames in the result."""
        (then, before), (now, processed) = self._marks[0], self._marks[-1]
        rate = (processed - before) / (now - then) if now > then else 0.0
        total = max(self.total, self.done)
        left: float | None = 0.0
        if self.done < total:
            present = max(0, total - self.done - self._later)
            # Only an estimate can be made of a stage that has not begun.
            left = present / rate + self._later / max(rate, _RENDER_RATE) if rate else None
        return Progress(self.stage, self.done, total, rate, left, written, checks, notes)
