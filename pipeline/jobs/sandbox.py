"""The first look at a file that somebody uploaded, in a process that has to be afraid of nothing.

What a decoder does with a file that was made to harm it happens there: with little of the machine's memory
and time, and for this one file alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipeline.clip import Clip
from pipeline.compositing import images
from pipeline.errors import AnimatedPictureError, BackgroundError, VideoError, WorkerLost, no_frames_sentence
from pipeline.jobs.limits import Limits
from pipeline.jobs.worker import Worker

LIMITS = Limits(memory_bytes=6 * 2**30, open_files=256, cpu_seconds=900, seconds=1800)
"""Of a video. Memory for what a decoder's sixteen threads may hold, each a picture of the largest size."""

PICTURE_LIMITS = replace(LIMITS, cpu_seconds=30, seconds=120)
"""Of a picture: the largest that is taken needs a few seconds."""


def check_video(
    path: Path, name: str, *, index: bool = False, admit: Callable[[Clip], object] | None = None
) -> Clip:
    """What there is to know of a video, one picture of which at least can be shown; `name` is for sentences.

    `admit` is told what probing says before anything is decoded, and may raise. With `index` the times of its
    frames are kept beside it, as by `save_index`. Raises VideoError where it is no video that can be used.
    """
    try:
        with Worker(SandboxedReader, limits=LIMITS) as worker:
            clip: Clip = worker.call("probe", path, name)
            if admit is not None:
                admit(clip)
            worker.call("footage", path, name, index)
    except WorkerLost as error:
        raise VideoError(f"{name}: this file cannot be read safely: {_reading(error)}.") from error
    return clip


def rewrite_picture(path: Path, name: str, kept: Path) -> None:
    """Write a picture again from its pixels, as a PNG: upright, without what else its file may carry.

    Raises AnimatedPictureError for one that is animated, BackgroundError where it cannot be used.
    """
    try:
        with Worker(SandboxedReader, limits=PICTURE_LIMITS) as worker:
            worker.call("picture", path, name, kept)
    except WorkerLost as error:
        raise BackgroundError(f"{name}: this file cannot be read safely: {_reading(error)}.") from error


def _reading(error: WorkerLost) -> str:
    return f"the process that read it was lost, {error.how}"


class SandboxedReader:
    """What is done over there; FFmpeg is loaded in that process alone."""

    def probe(self, path: Path, name: str) -> Clip:
        from pipeline.video.reading.probe import probe_clip

        return probe_clip(path, name)

    def footage(self, path: Path, name: str, index: bool) -> None:
        from pipeline.video.reading.frame_index import save_index
        from pipeline.video.reading.frames import read_frames

        if index:
            save_index(path)
        if next(read_frames(path), None) is None:
            raise VideoError(no_frames_sentence(name))

    def picture(self, path: Path, name: str, kept: Path) -> None:
        if images.is_animated(path):
            raise AnimatedPictureError(f"{name}: this picture moves. Choose it as a video.")
        Image.fromarray(images.open_image(path, name)).save(kept, format="PNG", compress_level=1)
