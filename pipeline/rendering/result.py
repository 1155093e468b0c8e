"""The result file of a job: its timing, sound, labels and encoder settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from pipeline import formats
from pipeline.clip import Clip
from pipeline.compositing.background import Footage, Transparent
from pipeline.job import Job
from pipeline.keys import result_bounds
from pipeline.rendering.masks import object_names
from pipeline.video.audio.audio_read import AudioRange
from pipeline.video.labels import Labels
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.output import Output, create_output
from pipeline.video.writing.timing import StreamSpec


class ResultTiming(NamedTuple):
    """Part of the clip that the result shows, and the result's own time base."""

    begin: int
    """The clip's pts at second 0 of the result."""
    stop: int
    """The clip's pts at which the result ends."""
    tick: Fraction
    """The result's time base, in seconds."""
    rate: Fraction | None = None
    """Frames a second of a constant rate; None: frames keep the clip's times."""
    max_rate: Fraction | None = None
    """Most frames a second that the format takes, where the clip has more; None: no such limit."""

    @classmethod
    def of(cls, job: Job, clip: Clip, frames: tuple[int, int]) -> ResultTiming:
        """Return the timing of a job's result with the frames of this pts range."""
        begin, stop = result_bounds(job, clip, frames)
        max_rate = formats.by_key(job.format).max_rate
        if job.rate is not None:
            rate = job.rate if max_rate is None else min(max_rate, job.rate)
            return cls(begin, stop, 1 / rate, rate=rate)
        if max_rate is not None and _peak_rate(clip) > max_rate:
            return cls(begin, stop, _common_tick(clip.time_base, 1 / max_rate), max_rate=max_rate)
        return cls(begin, stop, clip.time_base)


def open_output(job: Job, clip: Clip, timing: ResultTiming, numbers: Sequence[int] = (1,)) -> Output:
    """Open the job's output for writing, with its sound and labels; `numbers` are those of its objects."""
    length = (timing.stop - timing.begin) * clip.time_base
    size = job.output_size(clip)
    if timing.rate is not None:
        shape = StreamSpec(*size, timing.tick, timing.rate)
    elif timing.max_rate is not None:
        end, least = (round(seconds / timing.tick) for seconds in (length, 1 / timing.max_rate))
        rate = min(clip.rate, timing.max_rate)
        shape = StreamSpec(*size, timing.tick, rate, end=end, min_last_duration=least)
    else:
        shape = StreamSpec(*size, timing.tick, clip.rate, timing.begin, timing.stop)
    return create_output(
        job.output,
        formats.by_key(job.format),
        shape,
        alpha=isinstance(job.background, Transparent),
        high_bit_depth=job.high_bit_depth(clip),
        sound=_select_sound(job, clip, timing),
        quality=job.quality,
        hardware=job.hardware,
        labels=_read_labels(job, clip, timing),
        objects=object_names(numbers, job.objects),
    )


def _select_sound(job: Job, clip: Clip, timing: ResultTiming) -> AudioRange | None:
    """Return the sound of the result, in the clip's time from its first picture on; None: no sound."""
    begin, stop = timing.begin * clip.time_base, timing.stop * clip.time_base
    if job.sound == "behind" and isinstance(job.background, Footage):
        footage = probe_clip(job.background.path)
        repeat = None if job.background.hold_last else footage.length
        return AudioRange(footage.path, begin, stop, repeat)
    if job.sound == "own":
        # Sound that is longer than the picture is not cut where the picture was not.
        uncut = stop == clip.length and job.end is None
        return AudioRange(job.source, begin, None if uncut else stop)
    return None


def _read_labels(job: Job, clip: Clip, timing: ResultTiming) -> Labels:
    """Return the title, timecode and chapters of the result."""
    begin, stop = timing.begin * clip.time_base, timing.stop * clip.time_base
    return Labels.read(job.source, clip.rate).cut(begin, None if stop == clip.length else stop, clip.rate)


def _common_tick(a: Fraction, b: Fraction) -> Fraction:
    """Return the largest tick of which both are multiples; `a` where it is too small for a container."""
    denominator = math.lcm(a.denominator, b.denominator)
    common = Fraction(math.gcd(*(int(each * denominator) for each in (a, b))), denominator)
    return common if common.denominator < 2**31 else a


def _peak_rate(clip: Clip) -> Fraction:
    """Return the frames a second where they follow each other most quickly."""
    gaps = (b - a for a, b in pairwise(load_index(clip.path).pts))
    return 1 / (clip.time_base * min(gaps, default=round(1 / clip.rate / clip.time_base)))
