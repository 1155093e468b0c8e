"""The models, one file each. Importing this package loads no weights and no torch.

A file becomes a model by declaring `CARDS`, a tuple of `Card`; the page, the command line and the
README's table are made from them. Anything heavy is imported inside `Card.load`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.prompts import Prompt

Image = NDArray[np.uint8]
"""One frame, `[H, W, 3]`, RGB, 0 to 255."""

Matte = NDArray[np.uint8]
"""One alpha image, `[H, W]`, 0 (background) to 255 (subject)."""


class Still(NamedTuple):
    """One frame as a model is given it, with the marks on it, if any."""

    image: Image
    prompt: Prompt | None = None


class Model(Protocol):
    """A stream transformer: stills in, mattes out, in order and one for one."""

    def mattes(self, stills: Iterator[Still]) -> Iterator[Matte]:
        """Yield one matte for each still.

        The first still's marks say what the subject is (`Prompt.starts`); where they do not, the model finds
        it by itself, if it can. Marks on the first still beyond that, and points on a later one, correct
        what the model has there and from there on. A stream may run backwards in time; the model need
        not know. Batches, look-ahead and memory are the model's own and live in this generator only.
        """
        ...


@dataclass(frozen=True)
class Card:
    """What a model says of itself."""

    key: str
    label: str
    purpose: str
    """One sentence: what it is good for."""
    points: bool
    """Takes points to keep and to remove."""
    box: bool
    """Takes a box."""
    automatic: bool
    """Finds a subject without any prompt."""
    licence: str
    licence_url: str
    load: Callable[[str], Model]
    """`load(device)` with "auto", "cpu", "cuda" or "cuda:N"; may be slow."""
    version: int = 1
    """Raised when the same input would give another matte, so that kept mattes are not reused."""

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "load"}


@cache
def cards() -> dict[str, Card]:
    """Every model by its key, in the order of the file names."""
    found: dict[str, Card] = {}
    for module in pkgutil.iter_modules(__path__):
        for card in getattr(importlib.import_module(f"{__name__}.{module.name}"), "CARDS", ()):
            found[card.key] = card
    return found


def card(key: str) -> Card:
    """The card of one model; raises InputError for a key that is none."""
    try:
        return cards()[key]
    except KeyError:
        raise InputError(f"There is no model called {key!r}. There are: {', '.join(cards())}.") from None


@cache
def loaded(key: str, device: str) -> Model:
    """The model of a key on a device, loaded once; its streams keep their own state."""
    return card(key).load(device)
