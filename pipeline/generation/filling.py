"""Filling in the background around a product, which is laid over it afterwards."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np

from pipeline.arrays import Image, Matte
from pipeline.compositing.background import Words
from pipeline.compositing.composite import over
from pipeline.generation.backgrounds import filled_size
from pipeline.generation.cards import find_card
from pipeline.generation.drawing import Around, Step, draw
from pipeline.generation.product import Facts, find_facts, write_prompt


def fill_around(
    words: Words, image: Image, matte: Matte, device: str = "auto"
) -> Generator[Facts | Step, None, Image]:
    """Fill in the background around a product; yields its facts, then the progress.

    `image` is `[H, W, 3]` uint8, and `matte` is `[H, W]` uint8. What is returned is `[h, w, 3]` uint8, in the
    network's own size, to be stretched to that of the image. The product is only about as it was in there: it
    is to be laid over it by its matte. Unless the background is white already,
    the network does not see it. Raises as `find_facts` and `draw`.
    """
    facts = find_facts(image, matte)
    yield facts
    card = find_card(words.model)
    height, width = matte.shape
    size = filled_size(card, width, height)
    seen = image if facts.white else np.asarray(over(image, matte, np.full_like(image, 255)), np.uint8)
    mask = cv2.resize(np.where(matte < 128, 255, 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    around = Around(_resize(seen, size), np.asarray(mask, np.uint8))
    return (yield from draw(card, write_prompt(words.text, facts), words.seed, size, device, around))


def _resize(image: Image, size: tuple[int, int]) -> Image:
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
