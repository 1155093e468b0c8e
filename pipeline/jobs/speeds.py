"""How fast each model has run on this machine: measured, and kept from one run to the next."""

from __future__ import annotations

import logging
import math
import threading
from pathlib import Path
from typing import Any, NamedTuple

from platformdirs import user_cache_path

from pipeline.files import read_json, write_json

log = logging.getLogger(__name__)

_KEPT = 8
"""Of each model."""

_changing = threading.Lock()


class Speed(NamedTuple):
    """What one run has shown."""

    device: str
    """What the model ran on, such as "cpu" or "cuda:0"."""
    width: int
    height: int
    """Of the clip, in pixels."""
    rate: float
    """Frames a second."""


def record(key: str, device: str, size: tuple[int, int], rate: float) -> None:
    """Remember the rate, in frames a second, of a model on clips of this (width, height).

    It takes the place of an earlier one on the same device and size. A machine on which nothing can be
    remembered runs on without.
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


def measured_speeds(key: str) -> list[Speed] | None:
    """What was measured, the latest last; None: the model has not run here yet."""
    return _read(read_json(_path()).get(key)) or None


def expected_seconds(key: str, size: tuple[int, int], frames: int) -> float | None:
    """How many seconds so many frames of this (width, height) may take; None where nothing was measured.

    By what was measured at the size nearest to it, the latest of these.
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
    """The entries that are none are passed over."""
    speeds = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            device, width, height, rate = entry
            speeds.append(Speed(str(device), int(width), int(height), float(rate)))
        except (TypeError, ValueError):
            continue
    return speeds
