"""Facts of a product in its picture, and the prompt made of them.

No network looks at the product: where it stands and to which side it is turned are moments of its matte (Hu,
"Visual Pattern Recognition by Moment Invariants", 1962).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2

from pipeline.arrays import Image, Matte
from pipeline.compositing.background import Words
from pipeline.errors import InputError
from pipeline.generation import loading
from pipeline.generation.cards import find_card

Side = Literal["left", "right", "none"]
Column = Literal["left", "middle", "right"]

_WHITE, _WHITE_SHARE = 240, 0.9
"""Least value of a white pixel's channels, and the share of the background that is so where it is white: the
rest may be a shadow."""

_LEAST_SHARE = 1e-3
"""Share of the picture below which a matte is no product."""

_LONG = 1.25
"""Ratio of its axes from which on a product has a direction."""

_LEANING, _LYING = 15, 60
"""Degrees from upright."""

_SKEWED = 0.15
"""Skewness of the product's mass from left to right from which on it is turned to a side."""


@dataclass(frozen=True)
class Facts:
    """Facts of a product and its picture, as its matte tells them."""

    white: bool
    """The background is white already."""
    x: float
    y: float
    """Centre of its mass, as shares of the picture's width and height."""
    share: float
    """Part of the picture that it covers."""
    axis: float
    """Direction of its longer axis in degrees from upright, positive to the right: -90 to 90."""
    elongation: float
    """Ratio of its longer axis to the other."""
    side: Side
    """Side to which it thins out, as a shoe does to its tip."""

    @property
    def column(self) -> Column:
        """Third of the picture, about so, in which its centre lies."""
        return "left" if self.x < 0.4 else "right" if self.x > 0.6 else "middle"


def check(words: Words) -> None:
    """Raise InputError for a network that does not fill in, and where its packages or weights are missing."""
    card = find_card(words.model)
    if not card.inpaint:
        raise InputError("product.whole_pictures", label=card.helper.label)
    loading.check_loadable(card)


def find_facts(image: Image, matte: Matte) -> Facts:
    """Return the facts of a product. Raises InputError where the matte holds next to nothing.

    `image` is `[H, W, 3]` uint8, `matte` is `[H, W]` uint8.
    """
    height, width = matte.shape
    moments = cv2.moments(matte)
    share = moments["m00"] / (255 * height * width)
    if share < _LEAST_SHARE:
        raise InputError("product.none")
    # Variances and covariance in pixels; that of one pixel keeps a line from being endlessly long.
    across, down, both = (moments[name] / moments["m00"] for name in ("mu20", "mu02", "mu11"))
    across, down = across + 1 / 12, down + 1 / 12
    spread = math.hypot(across - down, 2 * both)
    longer, shorter = across + down + spread, across + down - spread
    # Rows grow downward: with a positive covariance the upper end is on the left.
    axis = math.degrees(math.atan2(-2 * both, down - across)) / 2
    skew = moments["mu30"] / moments["m00"] / across**1.5
    return Facts(
        _is_white(image, matte),
        moments["m10"] / moments["m00"] / max(1, width - 1),
        moments["m01"] / moments["m00"] / max(1, height - 1),
        share,
        axis,
        math.sqrt(longer / max(shorter, 1e-9)),
        "none" if abs(skew) < _SKEWED else "right" if skew > 0 else "left",
    )


def write_prompt(text: str, facts: Facts) -> str:
    """Return the words of a background as a prompt that tells what stands where in it, in English."""
    row = "upper" if facts.y < 0.4 else "lower" if facts.y > 0.6 else ""
    place = " ".join(filter(None, ("the", row, facts.column)))
    pose = "standing"
    if facts.elongation >= _LONG and abs(facts.axis) > _LYING:
        pose = "lying"
    elif facts.elongation >= _LONG and abs(facts.axis) > _LEANING:
        pose = f"leaning to the {'right' if facts.axis > 0 else 'left'}"
    turned = "" if facts.side == "none" else f", turned to the {facts.side}"
    light = " It is lit evenly from all sides." if facts.white else ""
    return (
        f"{text.rstrip(' .')}. Photograph of one product in {place} of the picture, {pose}{turned}, which "
        f"covers about {max(1, round(facts.share * 100))} % of it and stays as it is.{light} The scene "
        "continues behind and beneath it in its perspective, and it touches the ground with a soft shadow."
    )


def _is_white(image: Image, matte: Matte) -> bool:
    behind = matte < 8
    if behind.mean() < _LEAST_SHARE:
        return False
    return bool((image[behind].min(axis=1) >= _WHITE).mean() >= _WHITE_SHARE)
