"""Networks that find what words name: their keys, names and thresholds, and which of them are ready."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import InputError
from pipeline.imaging import detection
from pipeline.models import helpers, registry
from pipeline.models.base import Card

GROUNDING_DINO, SAM3 = "grounding-dino", "sam3"
NETWORKS = (GROUNDING_DINO, SAM3)
"""Their keys: of a helper, and of a model whose file holds a detector as well. The first is the default."""

THRESHOLDS = {GROUNDING_DINO: detection.THRESHOLD, SAM3: 0.5}
"""Least score of a hit, as published for each network."""


def find_label(network: str) -> str:
    """Return the name of a network. Raises InputError for an unknown key."""
    if network not in NETWORKS:
        raise InputError("choices.no_such_model", key=network, keys=", ".join(NETWORKS))
    return registry.card(network).label if network == SAM3 else helpers.GROUNDING_DINO.label


def list_ready(accepts: Callable[[Card], bool] = lambda card: card.acknowledged) -> tuple[str, ...]:
    """Return the keys of the networks whose weights are here.

    `accepts` tests if the user has acknowledged what a licence forbids.
    """
    card = registry.card(SAM3)
    ready = {GROUNDING_DINO: helpers.GROUNDING_DINO.present, SAM3: card.present and accepts(card)}
    return tuple(network for network in NETWORKS if ready[network])
