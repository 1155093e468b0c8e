"""The order in which a clip is given to a prompted model.

A model carries a mask from the first frame of its stream to the last, so the clip is cut into streams:
from each prompted frame forward, and backward from it to half-way towards the prompted frame before. Points
without a box on a later frame correct what was carried there; a box starts afresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline import matte, video
from pipeline.clip import Clip
from pipeline.errors import RunError
from pipeline.models import Image, Matte, Model
from pipeline.prompts import Prompt
from pipeline.video import Frame

Pair = tuple[Frame, Matte]

Piece = Iterable[Pair]
"""What became final when the model had done one more frame: nothing, that frame, or a whole stretch that was
run backward and is read again from disk."""

# A spool's pictures have an order and no times of their own; a whole number of Matroska's milliseconds.
_SPOOL_TICK = Fraction(1, 25)


@dataclass(frozen=True)
class Stretch:
    """One prompted frame and the frames that get their mattes from it, in pts: lo <= p < hi."""

    at: int
    prompt: Prompt | None
    lo: int
    hi: int
    reach: int
    """Where the stream ends: beyond `hi` if the next prompt corrects what is carried to it."""

    def before(self, times: Iterable[int]) -> list[int]:
        """Those of `times` that are reached by running backward."""
        return [p for p in times if self.lo <= p < min(self.at, self.hi)]


def plan(prompts: Iterable[Prompt], clip: Clip, lo: int, hi: int) -> list[Stretch]:
    """The stretches that together cover lo <= pts < hi, in order."""
    times = video.index(clip.path)
    marked: dict[int, Prompt] = {}
    for prompt in prompts:  # two times may fall on one frame
        at = times.at(round(prompt.time / clip.time_base))
        marked[at] = marked[at].joined(prompt) if at in marked else prompt
    if not marked:
        return [Stretch(lo, None, lo, hi, hi)]
    frames = sorted(marked)
    middles = [(a + b) // 2 + 1 for a, b in pairwise(frames)]
    stretches = []
    for at, following, begin, end in zip(
        frames, [*frames[1:], None], [lo, *middles], [*middles, hi], strict=True
    ):
        if begin >= hi and at != frames[0]:
            break
        past = min(end, hi)
        corrects = following is not None and end < hi and marked[following].box is None
        if past <= lo and not corrects:
            continue
        reach = following + 1 if following is not None and corrects else max(past, at + 1)
        stretches.append(Stretch(at, marked[at], max(begin, lo), past, reach))
    return stretches


def work(stretches: Collection[Stretch], clip: Clip, only: Collection[int] | None = None) -> int:
    """How many frames the model will be given."""
    times = _times(clip, only)
    forward = sum(s.at <= p < s.reach for s in stretches for p in times)
    return forward + sum(s.lo <= p <= s.at for s in stretches if s.before(times) for p in times)


def _times(clip: Clip, only: Collection[int] | None) -> list[int]:
    return [p for p in video.index(clip.path).pts if only is None or p in only]


def pieces(
    clip: Clip,
    model: Model,
    stretches: list[Stretch],
    scratch: Callable[[], Path],
    only: Collection[int] | None = None,
) -> Iterator[Piece]:
    """Run the model over the stretches; the pieces, one after the other, hold every frame in order.

    `scratch` gives the path of a new temporary file. With `only`, the clip is thinned to those frames.
    """
    times = _times(clip, only)
    carried: Matte | None = None
    for stretch in stretches:
        prior = carried if stretch.prompt is not None and stretch.prompt.box is None else None
        if stretch.before(times):
            yield from _backward(clip, model, stretch, prior, scratch(), only)
        frames = video.read(clip.path, stretch.at, stretch.reach, only)
        for frame, result in pairs(model, frames, stretch.prompt, prior):
            carried = result
            yield [(frame, result)] if stretch.lo <= frame.pts < stretch.hi else []


def _backward(
    clip: Clip, model: Model, stretch: Stretch, prior: Matte | None, path: Path, only: Collection[int] | None
) -> Iterator[Piece]:
    upper = min(stretch.at, stretch.hi)
    frames = video.read_backward(clip.path, stretch.lo, stretch.at + 1, only)
    with matte.writer(path, clip, time_base=_SPOOL_TICK) as spool:
        for done, (frame, result) in enumerate(pairs(model, frames, stretch.prompt, prior)):
            if done:
                yield []
            if frame.pts < upper:
                spool.write(result, done)
    yield _turned(clip, stretch.lo, upper, path, only)


def _turned(clip: Clip, lo: int, hi: int, path: Path, only: Collection[int] | None) -> Iterator[Pair]:
    mattes = video.read_backward(path, 0, video.index(path).pts[-1] + 1, pixel_format="gray")
    yield from (
        (frame, kept.image) for frame, kept in zip(video.read(clip.path, lo, hi, only), mattes, strict=True)
    )
    path.unlink()


def pairs(
    model: Model, frames: Iterator[Frame], prompt: Prompt | None, prior: Matte | None
) -> Iterator[Pair]:
    """Each frame with the model's matte for it; raises RunError where the model breaks one for one."""
    waiting: deque[Frame] = deque()

    def images() -> Iterator[Image]:
        for frame in frames:
            waiting.append(frame)
            yield frame.image

    for result in model.mattes(images(), prompt, prior):
        if not waiting or result.dtype != np.uint8 or result.shape != waiting[0].image.shape[:2]:
            raise RunError("The model returned a matte that belongs to no frame.")
        yield waiting.popleft(), result
    if waiting or next(frames, None) is not None:
        raise RunError("The model returned fewer mattes than there are frames.")
