"""The pictures of the stage."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.models import classes
from ui.sessions.rendering import overlay

NUMBERS = range(1, len(overlay.PALETTE) + 1)
TOLD_APART = 10.0
"""CIELAB distance of two colours that nobody takes for one another."""


def rgb(name: str) -> tuple[int, ...]:
    return tuple(int(name[at : at + 2], 16) for at in (1, 3, 5))


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    first, second = (cv2.cvtColor(c.reshape(1, 1, 3) / np.float32(255), cv2.COLOR_RGB2LAB) for c in (a, b))
    return float(np.linalg.norm(first - second))


def seen(number: int, colour: tuple[int, ...]) -> float:
    """Return the distance of the middle of a thing of this colour from itself when it is tinted."""
    image = np.full((40, 40, 3), colour, np.uint8)
    matte = np.zeros((40, 40), np.uint8)
    matte[10:30, 10:30] = 255
    tinted = overlay.draw_masks(image, {number: matte})
    assert np.array_equal(tinted[2, 2], image[2, 2])
    return distance(tinted[20, 20], image[20, 20])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_tint_is_visible_on_its_own_colour(number: int) -> None:
    assert seen(number, rgb(overlay.PALETTE[number - 1])) > TOLD_APART


@pytest.mark.parametrize("number", NUMBERS)
def test_a_tint_is_visible_on_every_colour(number: int) -> None:
    assert min(seen(number, colour) for colour in itertools.product((0, 85, 170, 255), repeat=3)) > TOLD_APART


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7, 8])
def test_a_visible_tint_keeps_the_objects_colour(number: int) -> None:
    assert overlay.choose_tint(number, np.array([128, 128, 128], np.float32)) == overlay.PALETTE[number - 1]


def test_classes_are_drawn_in_their_colours_over_the_picture_in_grey() -> None:
    image = np.full((20, 30, 3), (200, 40, 40), np.uint8)
    numbers = np.zeros((20, 30), np.uint8)
    numbers[:, 10:20], numbers[:, 20:] = classes.ALL.index("dog"), classes.ALL.index("cat")
    drawn = overlay.draw_classes(image, numbers)
    background, dog, cat = drawn[5, 5], drawn[5, 15], drawn[5, 25]
    assert len(set(background.tolist())) == 1
    for name, colour in (("dog", dog), ("cat", cat)):
        far = [distance(colour, other) for other in classes.palette()]
        assert int(np.argmin(far)) == classes.ALL.index(name)


def test_a_mask_is_drawn_as_strongly_as_is_asked_for() -> None:
    image = np.full((40, 40, 3), 90, np.uint8)
    matte = np.zeros((40, 40), np.uint8)
    matte[10:30, 10:30] = 255
    drawn = {view: overlay.draw_masks(image, {1: matte}, opacity) for view, opacity in overlay.TINTS.items()}
    assert np.array_equal(drawn["mask"], overlay.draw_masks(image, {1: matte}))
    middle = {view: picture[20, 20] for view, picture in drawn.items()}
    assert np.array_equal(middle["mask-outline"], image[20, 20])
    assert np.abs(middle["mask-solid"].astype(int) - rgb(overlay.PALETTE[0])).max() <= 1
    assert distance(middle["mask-strong"], image[20, 20]) > distance(middle["mask"], image[20, 20])
    for picture in drawn.values():
        assert (picture[10, 20] > 200).all() and np.array_equal(picture[2, 2], image[2, 2])
