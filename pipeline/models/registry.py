"""The registry of models: their cards by key, and which one is the default."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from pipeline.errors import InputError
from pipeline.models.base import Card

PACKAGE = "pipeline.models"

AUTOMATIC, OWN, WEIGHTLESS = "rmbg", "recorte", "grabcut"
"""The models that may be the default: one that is downloaded, the application's own, one without weights.
Not IS-Net: without marks it finds the subject less often than the application's own."""


@cache
def cards() -> dict[str, Card]:
    """Return every model's card by its key, in the order of the file names.

    They are the `CARDS` of the modules and packages in `pipeline.models`.
    """
    by_key: dict[str, Card] = {}
    for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
        for card in getattr(importlib.import_module(f"{PACKAGE}.{module.name}"), "CARDS", ()):
            by_key[card.key] = card
    return by_key


def card(key: str) -> Card:
    """Return the card of one model; raises InputError for an unknown key."""
    try:
        return cards()[key]
    except KeyError:
        raise InputError("choices.no_such_model", key=key, keys=", ".join(cards())) from None


def choose_default(
    marked: bool = False, accepts: Callable[[Card], bool] = lambda card: card.acknowledged
) -> tuple[str, str]:
    """Return the key of the model for a user who has chosen none, and a sentence that says why it is.

    `marked`: there are marks. `accepts` tests if the user has acknowledged what a model's licence forbids.
    """
    best, spare = card(AUTOMATIC), card(OWN)
    if not spare.present:
        spare = card(WEIGHTLESS)
    if marked:
        return spare.key, f"{spare.label} is used: it takes marks and needs no download."
    if not best.present:
        return spare.key, f"{spare.label} is used: the weights of {best.label} are not here."
    if not accepts(best):
        return spare.key, f"{spare.label} is used: the licence of {best.label} is not acknowledged yet."
    return best.key, f"{best.label} is used: its weights are here."
