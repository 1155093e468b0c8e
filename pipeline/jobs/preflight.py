"""Preflight check: estimate the memory and disk that a run needs, and refuse it before it fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from pipeline import formats
from pipeline.clip import Clip
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.propagation import resume

# Measured with `python -m benchmarks.memory`, with the hungriest encoders, and rounded up: what the program,
# its libraries and a model hold at any size, and what decoder, queues, compositing and encoder hold for each
# pixel of a frame.
_BASE_BYTES = 700 * 2**20
_BYTES_PER_PIXEL = 230
_DEEP_BYTES_PER_PIXEL = 360

# Memory of decoder, compositing and encoded picture for each pixel of a previewed frame.
_FRAME_BYTES_PER_PIXEL = 60

# A matte is losslessly coded, but most of it is flat: bytes per pixel, more than real ones have taken.
_MATTE_BYTES_PER_PIXEL = 0.06
_SPOOLED_BYTES_PER_PIXEL = 0.12

_ENLARGING_BYTES = 900 * 2**20
"""Memory of the network that enlarges, and of one tile in it."""

# Memory for each pixel of an enlarged result, in 16 bits with alpha: itself, and what its encoder takes.
_ENLARGED_BYTES_PER_PIXEL = 24

_PLATE_BYTES = 500 * 2**20
"""Memory of the frames that a clean plate is made of, and of what is made of them."""

# Memory for each pixel of a frame whose subject is removed, of its plate, as large as four, and its parts.
_PLATE_BYTES_PER_PIXEL = 120

_CGROUP = Path("/sys/fs/cgroup")


def check(job: Job, clip: Clip, frames: int) -> None:
    """Raise InputError where memory or disk does not suffice for rendering `frames` frames of `clip`."""
    _check_memory(job, clip)
    _check_disk(job, clip, frames)


def check_frame(clip: Clip) -> None:
    """Raise InputError where memory does not suffice for decoding and encoding single frames of `clip`."""
    need, free = _FRAME_BYTES_PER_PIXEL * clip.width * clip.height, _free_memory()
    if need > free:
        raise _too_large(clip, need, free)


def check_network(label: str, need: int) -> None:
    """Raise InputError where memory does not suffice for a network of `need` bytes."""
    free = _free_memory()
    if need > free:
        raise InputError("limits.memory_network", label=label, need=need, free=free)


def memory_bytes(job: Job, clip: Clip) -> int:
    """Return the peak memory of a run in bytes; it grows with the frame's size, never with the length."""
    each = _DEEP_BYTES_PER_PIXEL if job.high_bit_depth(clip) else _BYTES_PER_PIXEL
    need = _BASE_BYTES + each * clip.width * clip.height
    if job.upscale != 1:
        width, height = job.output_size(clip)
        need += _ENLARGING_BYTES + _ENLARGED_BYTES_PER_PIXEL * width * height
    if job.shows_plate:
        need += _PLATE_BYTES + _PLATE_BYTES_PER_PIXEL * clip.width * clip.height
    return need


def disk_bytes(job: Job, clip: Clip, frames: int) -> int:
    """Return the further bytes on disk that result, matte and spools of a run may take."""
    form = formats.by_key(job.format)
    pixels = frames * clip.width * clip.height
    width, height = job.output_size(clip)
    need = frames * width * height * form.bytes_per_pixel
    if job.matte is not None:
        need += pixels * _MATTE_BYTES_PER_PIXEL
    spooled = 0
    # With a matte file or a crop, all streams of every object are spooled, else those that run backward.
    lasting = job.matte is not None or job.needs_survey or job.follows_subject(clip)
    if lasting or any(prompt.time > job.start for prompt in job.active_prompts):
        spooled = _spooled_bytes(job, pixels)
    return max(0, round(need) + spooled - resume.stored_bytes(job.matte))


def spool_bytes(job: Job, clip: Clip, frames: int) -> int:
    """Return the further bytes on disk that a matte takes which is computed ahead of its run."""
    pixels = frames * clip.width * clip.height
    return max(0, _spooled_bytes(job, pixels) - resume.stored_bytes(job.matte))


def _spooled_bytes(job: Job, pixels: int) -> int:
    return round(
        pixels * _SPOOLED_BYTES_PER_PIXEL * max(1, len({prompt.object for prompt in job.active_prompts}))
    )


def _check_memory(job: Job, clip: Clip) -> None:
    need, free = memory_bytes(job, clip), _free_memory()
    if need > free:
        raise _too_large(clip, need, free)


def _too_large(clip: Clip, need: int, free: int) -> InputError:
    return InputError(
        "limits.memory", name=clip.name, width=clip.width, height=clip.height, need=need, free=free
    )


def _check_disk(job: Job, clip: Clip, frames: int) -> None:
    folder = job.output.parent
    if not folder.is_dir():
        return  # the error is raised when the output is opened
    need, there = disk_bytes(job, clip, frames), shutil.disk_usage(folder)
    if need > there.free and there.total:  # a file system without a size, such as /proc, is no disk
        raise InputError("limits.disk", name=job.output.name, need=need, free=there.free)


def machine_memory() -> int:
    """Return the bytes of memory of this machine, or of this process's cgroup."""
    total = int(psutil.virtual_memory().total)
    try:
        most = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(most)) if most.isdecimal() else total


def _free_memory() -> int:
    """Return the bytes of memory available without swapping, in this machine or this process's cgroup."""
    free = int(psutil.virtual_memory().available)
    try:
        most, used, stat = (
            (_CGROUP / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current", "stat")
        )
    except OSError:
        return free
    if not most.strip().isdecimal():
        return free
    cached = int(stat.split("inactive_file ")[1].split()[0])  # the page cache is freed on demand
    return min(free, int(most) - int(used) + cached)
