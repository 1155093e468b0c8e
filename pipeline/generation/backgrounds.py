"""Backgrounds made of words: the picture's size, its file, and the job that lays it behind the subject."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from PIL import Image
from platformdirs import user_cache_path

from pipeline.clip import Clip
from pipeline.compositing.background import Picture, Words
from pipeline.files import replacing
from pipeline.generation import loading
from pipeline.generation.cards import Generator as Card
from pipeline.generation.cards import find_card
from pipeline.generation.drawing import Step, draw
from pipeline.job import Job

_MOST = 64
"""Pictures that the user's cache holds; the oldest ones are deleted."""


def cache_folder() -> Path:
    """Return the folder of the pictures that the command line has made."""
    return user_cache_path("recorte") / "backgrounds"


def check(words: Words) -> None:
    """Raise InputError for an unknown network, and where its packages or weights are missing."""
    loading.check_loadable(find_card(words.model))


def picture_size(card: Card, width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture for frames of this size, in pixels: of their shape, as large as usual.

    Its sides are multiples of `card.multiple`, so that its shape may differ a little; no side is longer than
    four times the other.
    """
    aspect = min(4.0, max(0.25, width / height))
    across, down = math.sqrt(card.pixels * aspect), math.sqrt(card.pixels / aspect)
    step = card.multiple
    return max(step, round(across / step) * step), max(step, round(down / step) * step)


def picture_name(words: Words, width: int, height: int) -> str:
    """Return the file name of the picture of words for frames of this size."""
    card = find_card(words.model)
    made_of = [words.text, words.seed, card.identify(), picture_size(card, width, height)]
    return f"{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]}.png"


def make_picture(
    words: Words, size: tuple[int, int], folder: Path, device: str = "auto"
) -> Generator[Step, None, Path]:
    """Make the picture of words for frames of a size, and return its file; yields the progress.

    A file in `folder` that was made before is returned as it is. Closing the generator cancels, and leaves
    nothing. Raises as `draw`, and OSError where the file cannot be written.
    """
    card = find_card(words.model)
    path = folder / picture_name(words, *size)
    if path.is_file():
        path.touch()
        return path
    drawn = yield from draw(card, words.text, words.seed, picture_size(card, *size), device)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        Image.fromarray(drawn).save(part, format="PNG")
    return path


def lay_picture(job: Job, clip: Clip) -> Generator[Step, None, Job]:
    """Return the job with the picture in place of words for its background; another job as it is.

    The picture has the shape of the result, and lies in the user's cache. Raises as `make_picture`.
    """
    words = job.background
    if not isinstance(words, Words):
        return job
    path = yield from make_picture(words, job.result_size(clip), cache_folder(), job.device)
    _delete_oldest(path.parent)
    return replace(job, background=Picture(path, words.fit))


def _delete_oldest(folder: Path) -> None:
    """Delete pictures beyond `_MOST`, those that were not used for the longest time."""
    by_age = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[_MOST:]:
        path.unlink(missing_ok=True)
