"""Measured speeds of the models and of rendering on this machine, kept in the user's cache folder."""

from __future__ import annotations

import logging
import math
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from platformdirs import user_cache_path

from pipeline import devices, models
from pipeline.clip import Clip
from pipeline.files import read_json, write_json
from pipeline.job import Job

log = logging.getLogger(__name__)

_KEPT = 8
"""Number of speeds kept for each model."""

_changing = threading.Lock()


class Speed(NamedTuple):
    """Speed measured in one run."""

    device: str
    """Device of the model, such as "cpu" or "cuda:0"."""
    width: int
    height: int
    """Size of the clip, in pixels."""
    rate: float
    """Frames a second."""


def record(key: str, device: str, size: tuple[int, int], rate: float) -> None:
    """Record the rate, in frames a second, of a model on clips of this (width, height).

    It replaces an earlier one on the same device and size. If the file cannot be written, only a warning is
    logged.
    """
    speed = Speed(device, *size, round(rate, 3))
    with _changing:
        path = _path()
        data = read_json(path)
        others = [old for old in _read(data.get(key)) if old[:3] != speed[:3]]
        data[key] = [list(entry) for entry in [*others, speed][-_KEPT:]]
        try:
            write_json(path, data)
        except OSError as error:
            log.warning("%s cannot be written: %s", path, error)


def record_model(job: Job, clip: Clip, rate: float) -> None:
    """Record the rate, in frames a second, of a job's model on the device that it ran on in this process."""
    # A model without weights, or one that ran without torch, has used the CPU only.
    networked = models.card(job.model).weights is not None and "torch" in sys.modules
    device = devices.pick(job.device).type if networked else "cpu"
    record(job.model, device, (clip.width, clip.height), rate)


def rendering_key(form: str) -> str:
    """Return the key under which the speed of rendering a format is kept, beside the models' keys."""
    return f"render {form}"


def measured_speeds(key: str) -> list[Speed] | None:
    """Return the measured speeds, the latest last; None where the model has not run here yet."""
    return _read(read_json(_path()).get(key)) or None


def expected_seconds(key: str, size: tuple[int, int], frames: int) -> float | None:
    """Estimate the seconds for so many frames of this (width, height); None where nothing was measured.

    Uses the latest speed measured at the nearest size.
    """
    pixels = size[0] * size[1]
    measured = [
        speed for speed in measured_speeds(key) or () if speed.rate > 0 and speed.width * speed.height > 0
    ]
    if not measured or not pixels:
        return None
    # Reversed, for of several that are as near the first is taken.
    near = min(reversed(measured), key=lambda speed: abs(math.log(speed.width * speed.height / pixels)))
    return frames / near.rate * pixels / (near.width * near.height)


def label(speed: Speed) -> str:
    return f"{speed.rate:.1f} frames a second at {speed.width} × {speed.height} ({speed.device})"


def _path() -> Path:
    return user_cache_path("recorte") / "speeds.json"


def _read(entries: Any) -> list[Speed]:
    """Read stored speeds, skipping malformed entries."""
    speeds = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            device, width, height, rate = entry
            speeds.append(Speed(str(device), int(width), int(height), float(rate)))
        except (TypeError, ValueError):
            continue
    return speeds
