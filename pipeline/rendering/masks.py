"""Results that show masks: the matte of each object, binary masks, and tinted frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from pipeline.arrays import Image, Matte
from pipeline.prompts import Object, Prompt, group_by_object

TINTS = (
    *((47, 129, 247), (232, 131, 58), (45, 164, 78), (164, 117, 249), (212, 167, 44), (27, 154, 170)),
    *((229, 83, 75), (194, 85, 160), (125, 133, 144)),
)
"""The colour of each object (RGB), by its number from 1; then from the start."""

_OPACITY = 0.5


def binarise(matte: Matte) -> Matte:
    """Return 255 where the matte (`[H, W]` uint8) is more than half opaque, and 0 elsewhere."""
    return np.asarray(cv2.threshold(matte, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)


def tint(image: Image, mattes: Iterable[Matte], numbers: Iterable[int]) -> Image:
    """Tint each object on a frame (`[H, W, 3]` uint8 RGB) by its matte (`[H, W]` uint8), in its colour."""
    for matte, number in zip(mattes, numbers, strict=True):
        colour = np.array(TINTS[(number - 1) % len(TINTS)], np.float32)
        share = matte[..., None] * np.float32(_OPACITY / 255)
        image = np.rint(image + share * (colour - image)).astype(np.uint8)
    return image


def object_numbers(prompts: Iterable[Prompt]) -> list[int]:
    """Return the numbers of the objects of a plan with these prompts, in its order."""
    return list(group_by_object(prompts)) or [1]


def matte_names(numbers: Iterable[int], objects: Sequence[Object]) -> list[str]:
    """Return a file name for the matte of each object: its number, and what files may have of its name."""
    named = {each.number: re.sub(r"[^\w-]+", "-", each.name).strip("-") for each in objects}
    return ["-".join(filter(None, (str(number), named.get(number)))) + ".mkv" for number in numbers]
