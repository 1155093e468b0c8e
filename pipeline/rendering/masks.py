"""Results that show masks: the matte of each object, binary masks, tinted frames, and the process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from pipeline.arrays import Image, Matte, Pixels
from pipeline.prompts import Object, Prompt, group_by_object

TINTS = (
    *((47, 129, 247), (232, 131, 58), (45, 164, 78), (164, 117, 249), (212, 167, 44), (27, 154, 170)),
    *((229, 83, 75), (194, 85, 160), (125, 133, 144)),
)
"""The colour of each object (RGB), by its number from 1; then from the start."""

_OPACITY = 0.5
_SQUARES = 40
"""Number of a chequerboard's squares along its longer side."""
_SQUARE_GREYS = (110, 150)


def binarise(matte: Matte) -> Matte:
    """Return 255 where the matte (`[H, W]` uint8) is more than half opaque, and 0 elsewhere."""
    return np.asarray(cv2.threshold(matte, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)


def add_layers(image: Pixels, mattes: Sequence[Matte]) -> Pixels:
    """Return `[H, W, C + N]`, of the image's dtype: an image (`[H, W, C]`) and N mattes (`[H, W]` uint8)."""
    planes = [matte if image.dtype == np.uint8 else matte.astype(np.uint16) * 257 for matte in mattes]
    return np.asarray(np.dstack((image, *planes)))


def tint(image: Image, mattes: Iterable[Matte], numbers: Iterable[int]) -> Image:
    """Tint each object on a frame (`[H, W, 3]` uint8 RGB) by its matte (`[H, W]` uint8), in its colour."""
    for matte, number in zip(mattes, numbers, strict=True):
        colour = np.array(TINTS[(number - 1) % len(TINTS)], np.float32)
        share = matte[..., None] * np.float32(_OPACITY / 255)
        image = np.rint(image + share * (colour - image)).astype(np.uint8)
    return image


def show_process(image: Image, matte: Matte, cut_out: Pixels, result: Pixels) -> Image:
    """Return a frame, its matte, its cut-out and its result in the quarters of a picture of their size.

    `image` is `[H, W, 3]` RGB and `matte` `[H, W]`; `cut_out` is `[H, W, 4]` straight RGBA, as `result` may
    be, and is shown on a chequerboard. All are uint8.
    """
    height, width = matte.shape
    grey = np.asarray(cv2.cvtColor(matte, cv2.COLOR_GRAY2RGB), np.uint8)
    shown = np.zeros((height, width, 3), np.uint8)
    rows, columns = ((slice(size // 2), slice(size // 2, size)) for size in (height, width))
    quarters = ((row, column) for row in rows for column in columns)
    for place, panel in zip(quarters, (image, grey, cut_out, result), strict=True):
        down, across = shown[place].shape[:2]
        if down and across:
            opaque = _over_chequerboard(panel) if panel.shape[2] == 4 else panel
            shown[place] = cv2.resize(opaque, (across, down), interpolation=cv2.INTER_AREA)
    return shown


def _over_chequerboard(image: Pixels) -> Pixels:
    """Composite `[H, W, 4]` straight RGBA, uint8, on grey squares."""
    height, width = image.shape[:2]
    side = max(1, max(height, width) // _SQUARES)
    odd = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    squares = np.where(odd[..., None], np.float32(_SQUARE_GREYS[0]), np.float32(_SQUARE_GREYS[1]))
    share = image[..., 3:] * np.float32(1 / 255)
    return np.asarray(np.rint(squares + share * (image[..., :3] - squares)), np.uint8)


def object_numbers(prompts: Iterable[Prompt]) -> list[int]:
    """Return the numbers of the objects of a plan with these prompts, in its order."""
    return list(group_by_object(prompts)) or [1]


def object_names(numbers: Iterable[int], objects: Sequence[Object]) -> list[str]:
    """Return a name of each object for files and layers: its number, and what files may have of its name."""
    named = {each.number: re.sub(r"[^\w-]+", "-", each.name).strip("-") for each in objects}
    return ["-".join(filter(None, (str(number), named.get(number)))) for number in numbers]
