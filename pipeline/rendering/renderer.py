"""Renderer: lays the frames of a clip over the background, at the times of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from pipeline import formats
from pipeline.arrays import DeviceImage, Matte, Pixels
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent
from pipeline.compositing.canvas import multiply_alpha
from pipeline.compositing.composite import open_composer
from pipeline.compositing.edges import adjust_edges
from pipeline.compositing.light import NONE, UNSURVEYED, FrameLight
from pipeline.job import Job
from pipeline.languages.messages import Message
from pipeline.propagation.predictions import FramePrediction
from pipeline.propagation.run import Step
from pipeline.rendering.crop import Windows
from pipeline.rendering.masks import add_layers, binarise, show_process, tint
from pipeline.rendering.result import ResultTiming
from pipeline.rendering.survey import Survey
from pipeline.video.reading.frames import DeviceFrame, Frame
from pipeline.video.writing.constant_rate import ConstantRate, LimitedRate
from pipeline.video.writing.encoder_frames import to_host
from pipeline.video.writing.writer import Writer

if TYPE_CHECKING:
    from pipeline.tensors.streams import Mark


class RenderedFrame(NamedTuple):
    """A frame of the result."""

    pts: int
    """In ticks of the result."""
    pixels: Pixels | DeviceImage
    mark: Mark | None = None
    """Behind what makes the pixels on a device."""

    @classmethod
    def of(cls, pts: int, pixels: Pixels | DeviceImage) -> RenderedFrame:
        """Return the frame, whose pixels the calling thread has made."""
        if isinstance(pixels, np.ndarray):
            return cls(pts, pixels)
        from pipeline.tensors import streams

        return cls(pts, pixels, streams.mark(pixels.device))

    def take(self) -> Pixels | DeviceImage:
        """Return the pixels, for use in the calling thread's stream."""
        if self.mark is None or isinstance(self.pixels, np.ndarray):
            return self.pixels
        return self.mark.take(self.pixels)


class _Lit(NamedTuple):
    """A frame and its matte, whole or cut, with their light."""

    pair: FramePrediction
    light: FrameLight


class Renderer:
    """Composites frames over a job's background by their mattes; a context manager."""

    def __init__(
        self,
        job: Job,
        clip: Clip,
        timing: ResultTiming,
        windows: Windows | None = None,
        survey: Survey | None = None,
        numbers: Sequence[int] = (1,),
        on_device: bool = False,
    ) -> None:
        """Render the frames whole, or the parts of them in `windows`, which have the result's size.

        `survey` is needed for a job whose light depends on one. `numbers` are those of the job's objects, in
        the order of the plan. `on_device`: frames should be on one, and a note tells of those that are not.
        """
        self._on_device = on_device
        self._numbers = numbers
        self._clip = clip
        self._windows = windows
        self._survey = survey
        self._timing = timing
        self._first = True
        self._read_on_host = False
        self._format = formats.by_key(job.format)
        self._rate_lowered = timing.rate != job.rate
        self._edges = job.edges
        cut_out = self._format.has_foreground
        background, light = (Transparent(), NONE) if cut_out else (job.background, job.light)
        self._compose = open_composer(background, *job.result_size(clip), job.edges, light)
        self._cut_out = open_composer(Transparent(), *job.result_size(clip), job.edges)
        length = (timing.stop - timing.begin) * clip.time_base
        self._retimed: ConstantRate[_Lit] | LimitedRate[_Lit] | None = None
        if timing.rate is not None:
            self._retimed = ConstantRate(timing.rate, length)
        elif timing.max_rate is not None:
            self._retimed = LimitedRate(timing.max_rate, length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._compose.close()

    @property
    def notes(self) -> tuple[Message, ...]:
        """Settings that could not be followed."""
        most, retimed = self._format.max_rate, self._retimed
        own = (*self._compose.notes, *(() if self._survey is None else self._survey.notes))
        if self._read_on_host:
            own = (*own, Message("notes.device_full"))
        if isinstance(retimed, LimitedRate):
            left_out = retimed.dropped > 0
        else:
            left_out = retimed is not None and self._rate_lowered
        if most is None or not left_out:
            return own
        note = Message("notes.rate", {"label": self._format.label, "most": str(most)})
        return (note, *own)

    def render(self, steps: Iterator[Step], matte_writer: Writer | None) -> Iterator[RenderedFrame | Step]:
        """Yield the frames that each step adds to the result, and then the step.

        Mattes are written to `matte_writer` as they pass.
        """
        for step in steps:
            if step.pair is not None:
                frame, prediction = step.pair
                self._read_on_host |= self._on_device and not isinstance(frame, DeviceFrame)
                if matte_writer is not None:
                    matte_writer.write(prediction.matte, frame.pts)
                # Cut before it is laid over: the background stays in place while the window pans.
                yield from self._add(self._light(step.pair))
            yield step
        if self._retimed is not None:
            yield from (self._render_frame(lit, self._ticks(at)) for at, lit in self._retimed.flush())

    def _light(self, pair: FramePrediction) -> _Lit:
        """Return a frame, or the part of it in its window, with its light, which the whole frame tells."""
        frame, prediction = pair
        light = UNSURVEYED if self._survey is None else self._survey.light_at(frame, prediction.matte)
        if self._windows is None:
            return _Lit(pair, light)
        return _Lit(self._windows.cut(pair), light.crop(*self._windows.inside(frame.pts)))

    def _add(self, lit: _Lit) -> Iterator[RenderedFrame]:
        # The first frame is also shown before its time: not every format can begin without one.
        pts = self._timing.begin if self._first else lit.pair[0].pts
        self._first = False
        if self._retimed is None:
            yield self._render_frame(lit, pts)
            return
        seconds = (pts - self._timing.begin) * self._clip.time_base
        for at, retimed in self._retimed.add(seconds, lit):
            yield self._render_frame(retimed, self._ticks(at))

    def _ticks(self, at: int | Fraction) -> int:
        """Return the result's pts of a frame number at a constant rate, or of a time in seconds."""
        return at if isinstance(at, int) else round(at / self._timing.tick)

    def _render_frame(self, lit: _Lit, pts: int) -> RenderedFrame:
        """Composite one frame; `pts` is the result's."""
        frame, prediction = lit.pair
        content = self._format.content
        if content == "plate":
            return RenderedFrame(pts, frame.image if frame.image16 is None else frame.image16)
        if content in ("matte", "mask"):
            alpha = self._adjust(prediction.matte, frame)
            return RenderedFrame(pts, binarise(alpha) if content == "mask" else alpha)
        if self._format.objects_apart:
            mattes = [self._adjust(matte, frame) for matte in prediction.objects or (prediction.matte,)]
            if content == "objects":
                return RenderedFrame(pts, np.stack(mattes, axis=2))
            if content == "layers":
                colours = to_host(self._composite(lit, pts))
                return RenderedFrame(pts, add_layers(colours, mattes))
            return RenderedFrame(pts, tint(frame.image, mattes, self._numbers))
        composite = self._composite(lit, pts)
        if content == "process":
            alpha = self._adjust(prediction.matte, frame)
            cut = self._cut_out(frame.image, prediction.matte, 0, frame.alpha)
            return RenderedFrame(pts, show_process(frame.image, alpha, cut, to_host(composite)))
        return RenderedFrame.of(pts, composite)

    def _composite(self, lit: _Lit, pts: int) -> Pixels | DeviceImage:
        """Composite one frame over the background; `pts` is the result's."""
        # A moving background runs by the result's times, also while a frame is repeated.
        seconds = pts * self._timing.tick
        if self._retimed is not None:
            seconds += self._timing.begin * self._clip.time_base
        frame, prediction = lit.pair
        return self._compose.composite(frame, prediction.matte, float(seconds), lit.light)

    def _adjust(self, matte: Matte, frame: Frame) -> Matte:
        """Return the alpha of a frame's matte with its edges adjusted, transparent where the frame is."""
        return multiply_alpha(adjust_edges(matte, self._edges), frame.alpha)
