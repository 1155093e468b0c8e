"""Survey of a clip before it is rendered: the light of each scene, from some of its frames with their mattes.

The frames depend on the job and the clip alone, and each is used for itself, so that a run that is continued,
one from a kept matte, and the picture of a single frame on the page all find the same.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.compositing.backdrop import open_backdrop
from pipeline.compositing.background import Footage, Picture, Transparent
from pipeline.compositing.canvas import multiply_alpha
from pipeline.compositing.light import UNSURVEYED, FrameLight, Light
from pipeline.compositing.match import Colours, fit_match, measure_colours
from pipeline.compositing.plate import Plate, PlateBuilder, measure_shadow
from pipeline.generators import complete
from pipeline.imaging import scene_cuts
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.languages.messages import Message
from pipeline.propagation.partial import PartialMatte
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.index_cache import load_index

_EVERY_SECONDS = 0.5
_LEAST_SAMPLES, _MOST_SAMPLES = 24, 360
"""Frames of a survey: one each half second, but at least and at most so many."""

_EASE_SECONDS = 1.5
"""Standard deviation of the Gaussian over which the light of a moving background changes."""

SampleReader = Callable[[list[int]], Iterator[tuple[Frame, Matte]]]
"""Reads the frames of these pts, ascending, with their mattes, `[H, W]` uint8."""


@dataclass(frozen=True)
class Scene:
    """Light of one scene."""

    begin: int
    """Pts of its first frame."""
    subject: Colours | None
    """Colours of the subject; None: it is not seen."""
    plate: Plate | None
    """Clean plate; None: none is needed, or none can be made."""


@dataclass(frozen=True)
class Survey:
    """Light of a clip's scenes."""

    light: Light
    """The light that is asked for."""
    scenes: Sequence[Scene]
    """In order of time."""
    behind: Sequence[tuple[float, Colours]]
    """Colours of the background by time in seconds: of a still one a single entry, without a match none."""
    tick: Fraction
    """Seconds of a pts."""

    def scene_at(self, pts: int) -> int:
        """Return the place in `scenes` of the one that a frame belongs to."""
        return max(bisect.bisect_right(self.scenes, pts, key=lambda scene: scene.begin) - 1, 0)

    def light_at(self, frame: Frame, matte: Matte) -> FrameLight:
        """Return the light of a frame; `matte` is `[H, W]` uint8."""
        scene = self.scenes[self.scene_at(frame.pts)]
        light = UNSURVEYED
        if scene.plate is not None:
            shade = measure_shadow(frame.image, matte, scene.plate, self.light.keep)
            light = light._replace(shade=shade)
        if scene.subject is None or not self.behind:
            return light
        behind = _ease(self.behind, float(frame.pts * self.tick))
        if self.light.match_to == "background":
            return light._replace(subject=fit_match(scene.subject, behind, self.light.match))
        return light._replace(behind=fit_match(behind, scene.subject, self.light.match))

    @property
    def notes(self) -> tuple[Message, ...]:
        """Sentence on scenes whose shadow cannot be kept, if there are any."""
        without = sum(scene.plate is None for scene in self.scenes)
        if not self.light.keep or not without:
            return ()
        return (Message("notes.shadow_not_kept", {"count": without, "total": len(self.scenes)}),)


def sample_pts(job: Job, clip: Clip) -> list[int]:
    """Return the pts of the frames that a survey of a job's clip looks at, ascending."""
    order = load_index(clip.path).between(*pts_range(job, clip))
    seconds = float((order[-1] - order[0]) * clip.time_base)
    wanted = min(max(math.ceil(seconds / _EVERY_SECONDS), _LEAST_SAMPLES), _MOST_SAMPLES)
    return choose_evenly(order, wanted)


def choose_evenly(order: Sequence[int], count: int) -> list[int]:
    """Return so many of these pts, in the middles of parts of the same length; all where there are fewer."""
    count = min(count, len(order))
    return [order[(2 * k + 1) * len(order) // (2 * count)] for k in range(count)]


def make_survey(job: Job, clip: Clip, read: SampleReader) -> Generator[None, None, Survey]:
    """Survey a clip; yields after each frame, so that it can be cancelled.

    `read` reads the frames of `sample_pts`. Raises BackgroundError if the background cannot be opened.
    """
    detector = scene_cuts.SceneCutDetector()
    scenes: list[Scene] = []
    found: list[Colours] = []
    times: list[float] = []
    begin, last = sample_pts(job, clip)[0], None
    number, plate = 0, PlateBuilder()
    for frame, matte in read(sample_pts(job, clip)):
        scene_number = detector(frame)
        if scene_number > number and last is not None:
            number = scene_number
            cut = yield from _find_cut(clip, last, frame.pts)
            if cut is not None:
                scenes.append(Scene(begin, Colours.sum(found), plate.build()))
                begin, found, plate = cut, [], PlateBuilder()
        last = frame.pts
        times.append(float(frame.pts * clip.time_base))
        if (colours := measure_colours(frame.image, multiply_alpha(matte, frame.alpha))) is not None:
            found.append(colours)
        if job.light.keep or job.shows_plate:
            plate.add(frame.image, matte)
        yield
    scenes.append(Scene(begin, Colours.sum(found), plate.build()))
    behind = yield from _survey_background(job, clip, times)
    return Survey(job.light, scenes, behind, clip.time_base)


def survey_frame(job: Job, clip: Clip, frame: Frame, matte: Matte) -> Survey:
    """Survey a single frame and its matte, `[H, W]` uint8, in place of its clip."""
    own = measure_colours(frame.image, multiply_alpha(matte, frame.alpha))
    seconds = float(frame.pts * clip.time_base)
    behind = complete(_survey_background(job, clip, [seconds]))
    return Survey(job.light, [Scene(frame.pts, own, None)], behind, clip.time_base)


def read_partial(partial: PartialMatte) -> SampleReader:
    """Return a reader of samples whose mattes a run has stored so far; frames without one are left out."""
    known = set[int]().union(*partial.objects.values())

    def read(wanted: list[int]) -> Iterator[tuple[Frame, Matte]]:
        for frame in read_frames(partial.clip.path, only=known.intersection(wanted)):
            yield frame, partial.union(frame.pts)

    return read


def _find_cut(clip: Clip, before: int, pts: int) -> Generator[None, None, int | None]:
    """Return the pts of the last cut behind one frame and up to another; None if there is none."""
    found = None
    with closing(scene_cuts.scan(clip.path, before, pts)) as scan:
        for cut in scan:
            found = cut if cut is not None else found
            yield
    return found


def _survey_background(
    job: Job, clip: Clip, times: Iterable[float]
) -> Generator[None, None, list[tuple[float, Colours]]]:
    """Measure the colours of the background at these times, in seconds; of a still one once."""
    width, height = job.result_size(clip)
    moves = isinstance(job.background, Picture | Footage)
    image, matte = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    measured: list[tuple[float, Colours]] = []
    before = None
    if not job.light.match or isinstance(job.background, Transparent):
        return measured
    with closing(open_backdrop(job.background, width, height)) as backdrop:
        for seconds in times:
            picture = backdrop.render(image, matte, seconds)
            if picture is not before and (colours := measure_colours(picture)) is not None:
                measured.append((seconds, colours))
                before = picture
            if not moves:
                break
            yield
    return measured


def _ease(measured: Sequence[tuple[float, Colours]], seconds: float) -> Colours:
    """Return the colours around a time, those nearer in time counting more."""
    times = np.array([time for time, _ in measured])
    away = (times - seconds) ** 2
    weights = np.exp(-0.5 * (away - away.min()) / _EASE_SECONDS**2)
    total = Colours.sum(
        colours.times(float(weight))
        for (_, colours), weight in zip(measured, weights, strict=True)
        if weight > 1e-6
    )
    assert total is not None
    return total
