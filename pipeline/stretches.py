"""The order in which a clip is given to a prompted model.

A model carries a mask from the first frame of its stream to the last, so the clip is cut into streams, from
each frame whose marks say what the subject is: forward from it, and backward from it, meeting half-way where
there are several such frames. A box says so anywhere; where there is none, the first points to keep do. All
other marks are corrections: they lie in a stream, and hold from their frame on, the way the stream runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline import matte, video
from pipeline.clip import Clip
from pipeline.errors import RunError
from pipeline.models import Matte, Model, Still
from pipeline.prompts import Prompt
from pipeline.video import Frame

Pair = tuple[Frame, Matte]

Piece = Iterable[Pair]
"""What became final when the model had done one more frame: nothing, that frame, or a whole stretch that was
run backward and is read again from disk."""

Marks = Mapping[int, Prompt]
"""The prompts by the pts of their frames."""

# A spool's pictures have an order and no times of their own; a whole number of Matroska's milliseconds.
_SPOOL_TICK = Fraction(1, 25)


@dataclass(frozen=True)
class Stretch:
    """The frame that streams start from and those that get their mattes by them, in pts: lo <= p < hi."""

    at: int
    lo: int
    hi: int
    marks: Marks

    def forward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream forward is given."""
        return [p for p in times if self.at <= p < self.hi]

    def backward(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that the stream backward is given; none where no matte would come of it."""
        given = [p for p in times if self.lo <= p <= self.at]
        return given if given and given[0] < min(self.at, self.hi) else []


def plan(prompts: Iterable[Prompt], clip: Clip, lo: int, hi: int) -> list[Stretch]:
    """The stretches that together cover lo <= pts < hi, in order."""
    marks = marked(prompts, clip)
    starts = [p for p, prompt in marks.items() if prompt.box is not None]
    starts = starts or [p for p, prompt in marks.items() if prompt.starts][:1] or [lo]
    middles = [(a + b) // 2 + 1 for a, b in pairwise(starts)]
    spans = zip(starts, [lo, *middles], [*middles, hi], strict=True)
    stretches = [Stretch(at, max(begin, lo), min(end, hi), marks) for at, begin, end in spans]
    return [s for s in stretches if s.lo < s.hi]


def marked(prompts: Iterable[Prompt], clip: Clip) -> Marks:
    """The prompts on the frames that are shown at their times, ascending."""
    times = video.index(clip.path)
    marks: dict[int, Prompt] = {}
    for prompt in prompts:  # two times may fall on one frame
        at = times.at(round(prompt.time / clip.time_base))
        marks[at] = marks[at].joined(prompt) if at in marks else prompt
    return dict(sorted(marks.items()))


def work(stretches: Collection[Stretch], clip: Clip, only: Collection[int] | None = None) -> int:
    """How many frames the model will be given."""
    times = _times(clip, only)
    return sum(len(s.forward(times)) + len(s.backward(times)) for s in stretches)


def _times(clip: Clip, only: Collection[int] | None) -> list[int]:
    return [p for p in video.index(clip.path).pts if only is None or p in only]


def pieces(
    clip: Clip,
    model: Model,
    stretches: list[Stretch],
    folder: Path,
    only: Collection[int] | None = None,
) -> Iterator[Piece]:
    """Run the model over the stretches; the pieces, one after the other, hold every frame in order.

    Temporary files are made in `folder`. With `only`, the clip is thinned to those frames.
    """
    times = _times(clip, only)
    for stretch in stretches:
        if stretch.backward(times):
            yield from _backward(clip, model, stretch, folder / f"{stretch.at}.mkv", only)
        if stretch.forward(times):
            frames = video.read(clip.path, stretch.at, stretch.hi, only)
            for frame, result in pairs(model, frames, stretch.marks):
                yield [(frame, result)] if stretch.lo <= frame.pts else []


def _backward(
    clip: Clip, model: Model, stretch: Stretch, path: Path, only: Collection[int] | None
) -> Iterator[Piece]:
    upper = min(stretch.at, stretch.hi)
    frames = video.read_backward(clip.path, stretch.lo, stretch.at + 1, only)
    spooled: list[int] = []
    with matte.writer(path, clip, time_base=_SPOOL_TICK) as spool:
        for done, (frame, result) in enumerate(pairs(model, frames, stretch.marks)):
            if done:
                yield []
            if frame.pts < upper:
                spool.write(result, len(spooled))
                spooled.append(frame.pts)
    yield _turned(clip, spooled, path)


def _turned(clip: Clip, spooled: list[int], path: Path) -> Iterator[Pair]:
    """The frames of these times, which descend, with their mattes from the spool, ascending."""
    mattes = video.read_backward(path, 0, video.index(path).pts[-1] + 1, pixel_format="gray")
    kept = zip(reversed(spooled), mattes, strict=True)
    for frame in video.read(clip.path, only=frozenset(spooled)):
        # A frame of a damaged clip that this pass could not decode is passed over.
        yield frame, next(result.image for pts, result in kept if pts == frame.pts)
    path.unlink()


def pairs(model: Model, frames: Iterator[Frame], marks: Marks) -> Iterator[Pair]:
    """Each frame with the model's matte for it; raises RunError where the model breaks one for one."""
    waiting: deque[Frame] = deque()

    def stills() -> Iterator[Still]:
        for frame in frames:
            waiting.append(frame)
            yield Still(frame.image, marks.get(frame.pts))

    for result in model.mattes(stills()):
        if not waiting or result.dtype != np.uint8 or result.shape != waiting[0].image.shape[:2]:
            raise RunError("The model returned a matte that belongs to no frame.")
        yield waiting.popleft(), result
    if waiting or next(frames, None) is not None:
        raise RunError("The model returned fewer mattes than there are frames.")
