"""Masks that other tools made of an object on one frame, read from picture files.

A mask is the picture's alpha where it has one, else its brightness. One of another size is resized if it has
the frame's shape, as a matte of another tool is.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.arrays import Matte
from pipeline.errors import InputError
from pipeline.imaging import strokes
from pipeline.prompts import MaskFile, Prompt

if TYPE_CHECKING:  # FFmpeg is loaded only where a mask is read
    from pipeline.video.reading.picture_sequence import GreyPicture

_LEAST = 127
"""A mask whose values are nowhere above this marks nothing."""


def read(mask: MaskFile, height: int, width: int) -> Matte:
    """Return the mask in a frame's size, `[height, width]` uint8, read-only.

    Raises InputError for a file that is missing or no PNG or EXR picture, of another shape than the frame, or
    empty.
    """
    try:
        changed = mask.path.stat().st_mtime_ns
    except OSError as error:
        raise InputError("mask_in.not_found", name=mask.path.name) from error
    return _read(mask.path, mask.invert, changed, height, width)


@lru_cache(maxsize=8)
def _read(path: Path, invert: bool, _changed: int, height: int, width: int) -> Matte:
    matte = decode(path, height, width)
    if invert:
        matte = 255 - matte
    if not (matte > _LEAST).any():
        raise InputError("mask_in.empty", name=path.name)
    matte.flags.writeable = False
    return matte


def decode(path: Path, height: int, width: int) -> Matte:
    """Return the picture in a frame's size, `[height, width]` uint8, whatever is in it. Raises as `read`."""
    from pipeline.video.reading.picture_sequence import read_picture

    picture = read_picture(path)
    if picture is None:
        raise InputError("mask_in.unreadable", name=path.name)
    own_height, own_width = picture.grey.shape
    if abs(own_width * height - own_height * width) > max(width, height):
        raise InputError(
            "mask_in.size", name=path.name, width=own_width, height=own_height, wide=width, high=height
        )
    return fit(_quantise(picture), (width, height))


def _quantise(picture: GreyPicture) -> Matte:
    values = picture.grey if picture.alpha is None else picture.alpha
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def fit(matte: Matte, size: tuple[int, int]) -> Matte:
    """Return a matte of another size, `[H, W]` uint8, in a frame's width and height."""
    if matte.shape == size[::-1]:
        return matte
    how = cv2.INTER_AREA if matte.shape[0] > size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(matte, size, interpolation=how), np.uint8)


def of_prompt(prompt: Prompt, height: int, width: int) -> Matte | None:
    """Return a prompt's mask with its strokes painted into it; None: it has no mask. Raises as `read`."""
    if prompt.mask is None:
        return None
    return strokes.paint(read(prompt.mask, height, width), prompt.strokes)
