"""The models, one module or package each. Importing this package loads no weights and no torch.

A module becomes a model by declaring `CARDS`, a tuple of `Card`; the page, the command line and the README's
table are made from them. Anything heavy is imported inside `Card.load`.
"""

from pipeline.models.base import (
    LOW_CONFIDENCE,
    Candidate,
    Card,
    ChoosesClasses,
    FindsThings,
    HasNotes,
    MapsClasses,
    Model,
    OffersCandidates,
    Prediction,
    PromptedDeviceFrame,
    PromptedFrame,
    Proposal,
    Proposer,
)
from pipeline.models.loading import (
    check_licence,
    check_loadable,
    identify_weights,
    licence_error,
    load,
    unload,
)
from pipeline.models.registry import AUTOMATIC, card, cards, choose_default

__all__ = [
    "AUTOMATIC",
    "LOW_CONFIDENCE",
    "Candidate",
    "Card",
    "ChoosesClasses",
    "FindsThings",
    "HasNotes",
    "MapsClasses",
    "Model",
    "OffersCandidates",
    "Prediction",
    "PromptedDeviceFrame",
    "PromptedFrame",
    "Proposal",
    "Proposer",
    "card",
    "cards",
    "check_licence",
    "check_loadable",
    "choose_default",
    "identify_weights",
    "licence_error",
    "load",
    "unload",
]
