"""Things that words name in a picture: phrases, boxes of what was found, and which of them are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pipeline.arrays import Floats, Image
from pipeline.errors import InputError
from pipeline.prompts import Box, Prompt

THRESHOLD = 0.35
"""Least score of a hit, as published for the network."""

MOST_OBJECTS = 9
"""Each thing that is found becomes an object, which is propagated by streams of its own."""

MOST_LETTERS = 200

_OVERLAP = 0.7
"""Intersection over union from which two boxes are about the same thing."""


class Detector(Protocol):
    """Finder of what phrases name in a picture, such as `networks.grounding_dino.GroundingDino`."""

    def __call__(self, image: Image, phrases: Sequence[str]) -> tuple[Floats, Floats]:
        """Return boxes, `[N, 4]`, XYXY in pixels, and the score of each phrase for them, `[N, P]`."""


class Hit(NamedTuple):
    """A thing that was found."""

    prompt: Prompt
    phrase: str
    score: float
    """0 to 1."""


def split_phrases(words: str) -> tuple[str, ...]:
    """Return the phrases of a text, lower case, each once; commas and full stops are between them.

    Raises InputError for a text without any, or with more than `MOST_LETTERS`.
    """
    if len(words) > MOST_LETTERS:
        raise InputError("words.too_long", most=MOST_LETTERS)
    parts = (" ".join(part.lower().split()) for part in re.split(r"[.,;:?!\n]", words))
    phrases = tuple(dict.fromkeys(part for part in parts if any(map(str.isalnum, part))))
    if not phrases:
        raise InputError("words.needed")
    return phrases


def check_threshold(threshold: float) -> None:
    """Raise InputError for a threshold that no score, or every one, reaches."""
    if not 0 < threshold < 1:
        raise InputError("words.threshold")


def find_boxes(
    image: Image, phrases: Sequence[str], detect: Detector, threshold: float
) -> list[tuple[Box, int, float]]:
    """Return box, number of the phrase, and score of each thing in a picture, by phrase, best first.

    Boxes are in whole pixels within the picture; of those that overlap much the best stays.
    """
    height, width = image.shape[:2]
    corners, scores = detect(image, phrases)
    corners = np.clip(np.round(corners), 0, (width, height, width, height))
    kept: list[tuple[Box, int, float]] = []
    for k in np.argsort(-scores.max(1), kind="stable"):
        phrase, box = int(scores[k].argmax()), Box(*map(float, corners[k]))
        score = float(scores[k, phrase])
        if score < threshold or len(kept) == MOST_OBJECTS:
            break
        large = box.x1 - box.x0 >= 1 and box.y1 - box.y0 >= 1
        if large and all(_overlap(box, other) < _OVERLAP for other, _, _ in kept):
            kept.append((box, phrase, score))
    return sorted(kept, key=lambda hit: hit[1])


def _overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    shared = max(0.0, width) * max(0.0, height)
    both = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in (a, b))
    return shared / (both - shared)
