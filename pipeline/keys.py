"""Keys and ranges of a Job that depend on files: matte key, result key and presentation times."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline import models
from pipeline.clip import Clip
from pipeline.files import fingerprint
from pipeline.job import Job
from pipeline.models import helpers
from pipeline.video.reading.frame_index import FrameIndex
from pipeline.video.reading.index_cache import load_index

_RENDER_KEYS = ("background", "format", "start", "end", "sound", "quality", "edges", "light", "rate", "crop")
"""Keys of a job's JSON that change the result but not the matte."""


def matte_key(job: Job) -> str:
    """Return the key of a job's matte: SHA-256 in hexadecimal of all that the matte depends on.

    That is the video's content, the model with its weights, and the prompts; not the range, because one matte
    serves every range that it covers. Raises OSError where the source or the weights cannot be read.
    """
    inputs = _inputs(job) | {"prompts": [prompt.identify() for prompt in job.active_prompts]}
    return _digest(inputs)


def stream_key(job: Job) -> str:
    """Return the key of what every stream of a job depends on: all of `matte_key`'s but the prompts.

    Raises OSError where the source or the weights cannot be read.
    """
    return _digest(_inputs(job))


def _inputs(job: Job) -> dict[str, Any]:
    card = models.card(job.model)
    return {
        "source": fingerprint(job.source),
        "model": [job.model, card.version],
        "weights": models.identify_weights(card, job.weights),
        "stable": job.deflicker and card.deflickers,
        **_tracker(job, card),
        # Only where they apply: the keys of mattes that were made before are those of today.
        **({"classes": sorted(set(job.classes))} if card.classes and job.classes else {}),
        **({"hair": helpers.VITMATTE.identify()} if job.hair and helpers.VITMATTE.present else {}),
        # A matte's times are those of the clip.
        **({"source_rate": str(job.source_rate)} if job.source_rate is not None else {}),
        **({"matte_in": job.matte_in.identify()} if card.given and job.matte_in is not None else {}),
    }


def _tracker(job: Job, card: models.Card) -> dict[str, Any]:
    """Return the version of the model that follows the marks for another one, if there are both."""
    if not card.tracker or job.is_per_frame:
        return {}
    return {"tracker": [card.tracker, models.card(card.tracker).version]}


def _digest(inputs: Any) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def result_key(job: Job, folder: Path) -> str:
    """Return the key of a job's result: that of its matte, and how it is rendered.

    `folder` as in `Job.to_json`. Raises OSError where the source or the weights cannot be read.
    """
    data = job.to_json(folder)
    rendering = {key: data[key] for key in _RENDER_KEYS if key in data}
    return _digest([matte_key(job), rendering])


def pts_range(job: Job, clip: Clip) -> tuple[int, int]:
    """Return the pts range [first, past the last) of the frames in the result, in the clip's time base."""
    index = load_index(clip.path)
    times, tick = index.pts, float(clip.time_base)
    # Half a tick of tolerance: a typed time is a rounded one.
    first = next((p for p in times if p * tick >= job.start - tick / 2), times[-1])
    if _inside_long_frame(index, clip, job.start) is not None:
        first = index.frame_at(round(job.start / clip.time_base))
    past = times[-1] + 1
    if job.end is not None:
        past = next((p for p in times if p * tick >= job.end - tick / 2), past)
    # A range between two frames holds one all the same.
    return first, max(past, next((p for p in times if p > first), first + 1))


def result_bounds(job: Job, clip: Clip, frames: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the pts at which the result begins and ends.

    `frames` is the pts range of the frames in it, by default the job's own. The bounds are those of frames,
    except within a frame that is shown for longer than usual: that is cut at the time asked for.
    """
    index = load_index(clip.path)
    first, past = frames or pts_range(job, clip)
    begin, stop = first, past if past <= index.pts[-1] else index.end
    start, end = (
        None if time is None else _inside_long_frame(index, clip, time) for time in (job.start, job.end)
    )
    if start is not None and first < start < stop:
        begin = start
    if end is not None and begin < end < stop:
        stop = end
    return begin, stop


def spaced_times(clip: Clip, job: Job, count: int) -> list[float]:
    """Return `count` times in seconds, in the middle of equal parts of the result."""
    begin, stop = result_bounds(job, clip)
    return [float((begin + (stop - begin) * (k + 0.5) / count) * clip.time_base) for k in range(count)]


def _inside_long_frame(index: FrameIndex, clip: Clip, seconds: float) -> int | None:
    """Return the pts of a time within a frame that is shown for longer than usual; None for other times."""
    pts = round(seconds / clip.time_base)
    following = next((p for p in index.pts if p > pts), index.end)
    return pts if index.frame_at(pts) < pts and following - pts > index.usual_duration else None
