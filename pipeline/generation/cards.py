"""Cards of the networks that make pictures of words, and which one is the default."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from pipeline.errors import BackgroundError, InputError
from pipeline.models import helpers
from pipeline.models.helpers import Helper

_EXTRA = ("diffusers", "accelerate")
"""Packages of requirements-generate.txt."""


@dataclass(frozen=True)
class Generator:
    """Declaration of a network that makes pictures of words."""

    helper: Helper
    """Its key, label, licence and weights: those of a pipeline's folder as diffusers lays it out."""
    pipeline: str
    """Name of the pipeline's class in diffusers."""
    steps: int
    guidance: float
    inpaint: str = ""
    """Name of the class in diffusers that fills in a part of a picture, by the same files; empty: none."""
    pixels: int = 2**20
    """Pixels of the pictures that it was trained to make."""
    multiple: int = 16
    """Widths and heights are multiples of it."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further arguments of each call, by name."""

    @property
    def key(self) -> str:
        return self.helper.key

    def identify(self) -> list[Any]:
        """Return what a picture depends on beside words, seed and size."""
        return [*self.helper.identify(), self.steps, self.guidance]


# Steps and guidance as its authors recommend: it is distilled to four steps, without guidance.
FLUX2_KLEIN = Generator(
    helpers.FLUX2_KLEIN, "Flux2KleinPipeline", steps=4, guidance=1.0, inpaint="Flux2KleinInpaintPipeline"
)

GENERATORS = {card.key: card for card in (FLUX2_KLEIN,)}
"""By key; the first is the default."""


def find_card(key: str = "") -> Generator:
    """Return the card of a key; empty: the default one. Raises InputError for an unknown key."""
    if not key:
        return next(iter(GENERATORS.values()))
    if key not in GENERATORS:
        raise InputError("choices.no_such_model", key=key, keys=", ".join(GENERATORS))
    return GENERATORS[key]


def has_packages() -> bool:
    """Return True if the packages of requirements-generate.txt are installed; they are not imported."""
    return all(importlib.util.find_spec(name) is not None for name in _EXTRA)


def check_packages() -> None:
    """Raise BackgroundError where the packages of requirements-generate.txt are not installed."""
    if not has_packages():
        raise BackgroundError("background.words_packages")
