"""Backgrounds that a network makes, of words or by enlarging a picture, kept by what they are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from pipeline.arrays import Pixels
from pipeline.compositing import images
from pipeline.compositing.background import Background, Picture, Words
from pipeline.enlarging import loading as enlarging
from pipeline.enlarging.tiles import enlarge
from pipeline.errors import BackgroundError
from pipeline.generation import loading, product
from pipeline.generation.cards import Generator as Card
from pipeline.generation.cards import find_card
from pipeline.generation.drawing import Step, draw
from pipeline.generators import Yielded, retell
from pipeline.job import SCALES
from pipeline.models import helpers

_MOST = 64
"""Pictures that the user's cache holds; the oldest ones are deleted."""


def cache_folder() -> Path:
    """Return the folder of the pictures that the command line has made."""
    return user_cache_path("recorte") / "backgrounds"


def check(background: Background, size: tuple[int, int]) -> None:
    """Raise InputError for words that there is no network for, or where packages or weights are missing.

    `size` is that of the frames, in pixels; a picture that is to be enlarged for them must not move.
    """
    if isinstance(background, Picture) and background.enlarge:
        if images.is_animated(background.path):
            raise BackgroundError("background.enlarge_animated", name=background.path.name)
        scale = scale_to_cover(images.read_size(background.path), size)
        if scale != 1:
            enlarging.check_loadable(scale)
    if isinstance(background, Words):
        card = find_card(background.model)
        if background.around:
            product.check(background)
        else:
            loading.check_loadable(card)
        made = filled_size(card, *size) if background.around else picture_size(card, *size)
        scale = scale_to_cover(made, size)
        if background.enlarge and scale != 1:
            enlarging.check_loadable(scale)


def picture_size(card: Card, width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture for frames of this size, in pixels: of their shape, as large as usual.

    Its sides are multiples of `card.multiple`, so that its shape may differ a little; no side is longer than
    four times the other.
    """
    aspect = min(4.0, max(0.25, width / height))
    across, down = math.sqrt(card.pixels * aspect), math.sqrt(card.pixels / aspect)
    step = card.multiple
    return max(step, round(across / step) * step), max(step, round(down / step) * step)


def filled_size(card: Card, width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture that is filled in, in pixels: never more of them than `card.pixels`."""
    step = card.multiple
    size = picture_size(card, width, height)
    while size[0] * size[1] > card.pixels:
        longer = size.index(max(size))
        size = (size[0] - step, size[1]) if longer == 0 else (size[0], size[1] - step)
    return size


def scale_to_cover(small: tuple[int, int], size: tuple[int, int]) -> int:
    """Return the least of `SCALES` at which a picture covers frames of a size, or the largest."""
    lacking = max(size[0] / small[0], size[1] / small[1])
    return next((each for each in SCALES if each >= lacking), SCALES[-1])


def picture_name(words: Words, width: int, height: int) -> str:
    """Return the file name of the picture of words for frames of this size."""
    card = find_card(words.model)
    return name_of(words.text, words.seed, card.identify(), picture_size(card, width, height))


def name_of(*made_of: Any) -> str:
    """Return the file name of a picture that is made of these values, which JSON can hold."""
    return f"{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]}.png"


def keep_picture(
    path: Path, make: Callable[[], Generator[Yielded, None, Pixels]]
) -> Generator[Yielded, None, Path]:
    """Return the file of a picture; unless it is there, make it first and yield the progress.

    Closing the generator cancels, and leaves nothing. Raises as `make`, and OSError where the file cannot be
    written.
    """
    if path.is_file():
        path.touch()
        return path
    picture = yield from make()
    path.parent.mkdir(parents=True, exist_ok=True)
    images.save_png(np.asarray(picture, np.uint8), path)
    return path


def make_picture(
    words: Words, size: tuple[int, int], folder: Path, device: str = "auto"
) -> Generator[Step, None, Path]:
    """Make the picture of words for frames of a size, and return its file; yields the progress.

    A file in `folder` that was made before is returned as it is. Is cancelled, and raises, as `keep_picture`
    and `draw`.
    """
    card = find_card(words.model)
    return keep_picture(
        folder / picture_name(words, *size),
        lambda: draw(card, words.text, words.seed, picture_size(card, *size), device),
    )


def enlarge_picture(
    picture: Picture, size: tuple[int, int], folder: Path, device: str = "auto"
) -> Generator[Step, None, Picture]:
    """Return a picture that covers frames of a size: itself, or an enlarged one in `folder`.

    It is twice or four times as large, if that is enough. Yields, and is cancelled, as `make_picture`. Raises
    BackgroundError for a file that is no picture, WeightsError as `enlarging.load`.
    """
    small = images.open_image(picture.path, min_side=max(size))
    height, width = small.shape[:2]
    scale = scale_to_cover((width, height), size)
    if scale == 1:
        return replace(picture, enlarge=False)
    name = name_of(hashlib.sha256(small.tobytes()).hexdigest(), width, *helpers.SWIN2SR[scale].identify())
    path = yield from keep_picture(
        folder / name,
        lambda: retell(enlarge(small, enlarging.load(scale, device)), lambda tile: Step(*tile)),
    )
    return Picture(path, picture.fit)


def delete_oldest(folder: Path) -> None:
    """Delete pictures beyond `_MOST`, those that were not used for the longest time."""
    by_age = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[_MOST:]:
        path.unlink(missing_ok=True)
