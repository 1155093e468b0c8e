"""Paths of a job: all that it reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.compositing.background import Footage, Picture
from pipeline.job import Job


def absolute_paths(job: Job) -> Job:
    """Return the job with absolute paths: a node has another current folder."""
    return map_paths(job, Path.absolute)


def map_paths(job: Job, change: Callable[[Path], Path]) -> Job:
    """Return the job with each of its paths changed."""
    behind, matte = job.background, job.matte_in
    return replace(
        job,
        source=change(job.source),
        output=change(job.output),
        background=replace(behind, path=change(behind.path))
        if isinstance(behind, Picture | Footage)
        else behind,
        matte_in=None if matte is None else replace(matte, path=change(matte.path)),
        prompts=tuple(
            prompt
            if prompt.mask is None
            else replace(prompt, mask=replace(prompt.mask, path=change(prompt.mask.path)))
            for prompt in job.prompts
        ),
        weights=None if job.weights is None else change(job.weights),
        matte=None if job.matte is None else change(job.matte),
    )
