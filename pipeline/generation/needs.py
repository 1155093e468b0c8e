"""Packages and weights that a job needs beside its model, looked for before anything is run.

Nothing here decodes a video: the server asks, too, before it queues a job.
"""

from __future__ import annotations

from pipeline.clip import Clip
from pipeline.enlarging import loading as enlarging
from pipeline.generation import backgrounds
from pipeline.job import Job


def check_needs(job: Job, clip: Clip) -> None:
    """Raise InputError where what a job needs for its background or its size is missing."""
    backgrounds.check(job.background, job.result_size(clip))
    if job.upscale != 1:
        enlarging.check_loadable(job.upscale)
