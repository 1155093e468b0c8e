"""Probe an upload in a sandboxed subprocess.

A file that was made to harm a decoder can do so only there: with little of the machine's memory and time, and
for this one file alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipeline.clip import Clip
from pipeline.compositing import images
from pipeline.errors import AnimatedPictureError, BackgroundError, InputError, VideoError, WorkerLost
from pipeline.job import Job
from pipeline.jobs.worker import Worker
from pipeline.languages.messages import Message
from pipeline.limits import Limits
from pipeline.models.matte_in import BorrowedMatte

LIMITS = Limits(memory_bytes=6 * 2**30, open_files=256, cpu_seconds=900, seconds=1800)
"""Limits for a video. A decoder's sixteen threads may each hold a frame of the largest size."""

PICTURE_LIMITS = replace(LIMITS, cpu_seconds=30, seconds=120)
"""Limits for a picture: the largest that is accepted takes a few seconds."""


def check_video(
    path: Path, name: str, *, index: bool = False, admit: Callable[[Clip], object] | None = None
) -> Clip:
    """Probe a video and decode at least one frame of it; `name` is the file's name in error sentences.

    `admit` is called with the clip before anything is decoded, and may raise. With `index`, the frame index
    is saved beside the file, as by `save_index`. Raises VideoError where it is no video that can be used.
    """
    try:
        with Worker(SandboxedReader, limits=LIMITS) as worker:
            clip = worker.call(SandboxedReader.probe, path, name)
            if admit is not None:
                admit(clip)
            worker.call(SandboxedReader.footage, path, name, index)
    except WorkerLost as error:
        raise VideoError("video.unsafe", name=name, how=_describe_loss(error)) from error
    return clip


def check_matte(matte: BorrowedMatte, name: str, job: Job) -> None:
    """Open a matte of another tool and check that it fits a job's video and the part of it that is kept.

    `name` is the file's name in error sentences. Raises InputError where it does not.
    """
    try:
        with Worker(SandboxedReader, limits=LIMITS) as worker:
            worker.call(SandboxedReader.matte, matte, job)
    except WorkerLost as error:
        raise InputError("video.unsafe", name=name, how=_describe_loss(error)) from error


def rewrite_picture(path: Path, name: str, output: Path) -> None:
    """Decode a picture and write it to `output` as a PNG: upright and without metadata.

    Raises AnimatedPictureError for one that is animated, BackgroundError where it cannot be used.
    """
    try:
        with Worker(SandboxedReader, limits=PICTURE_LIMITS) as worker:
            worker.call(SandboxedReader.picture, path, name, output)
    except WorkerLost as error:
        raise BackgroundError("video.unsafe", name=name, how=_describe_loss(error)) from error


def rewrite_mask(path: Path, name: str, clip: Clip, output: Path) -> None:
    """Decode the picture of a mask and write it to `output` as a grey PNG in the size of a clip's frames.

    `name` is the file's name in error sentences. Raises InputError where it is no mask of such a frame.
    """
    try:
        with Worker(SandboxedReader, limits=PICTURE_LIMITS) as worker:
            worker.call(SandboxedReader.mask, path, clip.height, clip.width, output)
    except WorkerLost as error:
        raise InputError("video.unsafe", name=name, how=_describe_loss(error)) from error


def _describe_loss(error: WorkerLost) -> Message:
    return Message("video.reader_lost", {"how": error.how})


class SandboxedReader:
    """Reader hosted in the subprocess, the only one that loads FFmpeg."""

    def probe(self, path: Path, name: str) -> Clip:
        from pipeline.video.reading.probe import probe_clip

        return probe_clip(path, name)

    def footage(self, path: Path, name: str, index: bool) -> None:
        from pipeline.video.reading.frames import read_frames
        from pipeline.video.reading.index_cache import save_index

        if index:
            save_index(path)
        if next(read_frames(path), None) is None:
            raise VideoError("video.nothing_decoded", name=name)

    def matte(self, matte: BorrowedMatte, job: Job) -> None:
        from pipeline.propagation import borrowed

        mattes = borrowed.find_mattes(replace(job, matte_in=matte))
        mattes.read_first()

    def mask(self, path: Path, height: int, width: int, output: Path) -> None:
        from pipeline.imaging import mask_files

        Image.fromarray(mask_files.decode(path, height, width)).save(output, format="PNG")

    def picture(self, path: Path, name: str, output: Path) -> None:
        if images.is_animated(path):
            raise AnimatedPictureError("background.animated", name=name)
        Image.fromarray(images.open_image(path, name)).save(output, format="PNG", compress_level=1)
