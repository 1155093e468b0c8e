"""The job that lays a picture of a network behind: of words, around its subject, or an enlarged one."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import replace

from pipeline import preview
from pipeline.arrays import Matte
from pipeline.clip import Clip
from pipeline.compositing.background import Picture, Words
from pipeline.compositing.canvas import multiply_alpha
from pipeline.compositing.edges import adjust_edges
from pipeline.errors import VideoError
from pipeline.generation import backgrounds
from pipeline.generation.backgrounds import cache_folder
from pipeline.generation.cards import find_card
from pipeline.generation.drawing import Step
from pipeline.generation.filling import fill_around
from pipeline.generation.product import Facts
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.video.reading.frames import Frame
from pipeline.video.reading.index_cache import load_index


def lay_picture(job: Job, clip: Clip, kept: MatteFile | None = None) -> Generator[Facts | Step, None, Job]:
    """Return the job with the picture in place of words for its background, or of a small one to be enlarged.

    The picture has the shape of the result, and lies in the user's cache. Another job is returned as it is.
    `kept` has the matte of a subject around which a background is filled in; None: the job's model finds it.
    Yields facts of such a subject, and the progress. Raises as `backgrounds.make_picture`, `fill_around` and
    `backgrounds.enlarge_picture`, and as `preview.predict_frames`.
    """
    behind, size = job.background, job.result_size(clip)
    if isinstance(behind, Words) and behind.around:
        behind = yield from _fill_around_subject(behind, job, clip, kept)
    elif isinstance(behind, Words):
        path = yield from backgrounds.make_picture(behind, size, cache_folder(), job.device)
        behind = Picture(path, behind.fit, behind.enlarge)
    if isinstance(behind, Picture) and behind.enlarge:
        behind = yield from backgrounds.enlarge_picture(behind, size, cache_folder(), job.device)
    if behind is job.background:
        return job
    backgrounds.delete_oldest(cache_folder())
    return replace(job, background=behind)


def _fill_around_subject(
    words: Words, job: Job, clip: Clip, kept: MatteFile | None
) -> Generator[Facts | Step, None, Picture]:
    frame, matte = _find_subject(job, clip, kept)
    alpha = multiply_alpha(adjust_edges(matte, job.edges), frame.alpha)
    seen = hashlib.sha256(frame.image.tobytes() + alpha.tobytes()).hexdigest()
    card = find_card(words.model)
    name = backgrounds.name_of("around", words.text, words.seed, card.identify(), seen, alpha.shape)
    path = yield from backgrounds.keep_picture(
        cache_folder() / name, lambda: fill_around(words, frame.image, alpha, job.device)
    )
    return Picture(path, "stretch", words.enlarge)


def _find_subject(job: Job, clip: Clip, kept: MatteFile | None) -> tuple[Frame, Matte]:
    """Return the clip's first frame with its matte. Raises VideoError where it cannot be decoded."""
    if kept is not None:
        found = next(kept.read_at(clip, [load_index(clip.path).pts[0]]), None)
    else:
        predicted = next(preview.predict_frames(job, [0.0]), None)
        found = None if predicted is None else (predicted[0], predicted[1].matte)
    if found is None:
        raise VideoError("video.nothing_decoded", name=clip.name)
    return found
