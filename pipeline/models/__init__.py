"""The models, one file each. Importing this package loads no weights and no torch.

A file becomes a model by declaring `CARDS`, a tuple of `Card`; the page, the command line and the
README's table are made from them. Anything heavy is imported inside `Card.load`.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pipeline import weights
from pipeline.arrays import Image, Matte
from pipeline.errors import InputError, WeightsError
from pipeline.prompts import Box, Prompt
from pipeline.propagation.stream_state import State
from pipeline.weights import Weights


class PromptedFrame(NamedTuple):
    """One frame as a model is given it, with the marks on it, if any."""

    image: Image
    prompt: Prompt | None = None


class Prediction(NamedTuple):
    """What a model finds on one still."""

    matte: Matte
    confidence: float = 1.0
    """0 to 1: how sure the model is that it still has its subject.
    Below `LOW_CONFIDENCE` a person should look."""
    prompted: bool = True
    """False: no model was asked, for nothing says what is to be kept in this scene."""
    state: Callable[[], State] | None = None
    """Gives what a stream needs to go on behind this still; to be called before the next one is asked for.
    None: it cannot go on just here."""


LOW_CONFIDENCE = 0.5


class Model(Protocol):
    """A stream transformer: stills in, mattes out, in order and one for one."""

    def predict(self, stills: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        """Yield what is found on each still.

        With `state`, which `Prediction.state` gave, the stream goes on: the first still follows the one
        on which it was given, and what is found is just what would have been, had the stream not been left. A
        model without memory gives an empty state; one that gives none is begun anew.

        A stream is about one object. The first still's marks say what it is (`Prompt.starts`); where they do
        not, the model finds a subject by itself, if it can. Marks on the first still beyond that, and points
        on a later one, correct what the model has there and from there on. A stream may run backwards in
        time; the model need not know. Batches, look-ahead and memory are the model's own and live in this
        generator only; what depends on a frame alone, such as its embedding, may be kept for other streams.
        """
        ...


class Candidate(NamedTuple):
    """One reading of a click that has several."""

    matte: Matte
    score: float
    """The model's own estimate of how good the mask is, 0 to 1."""


@runtime_checkable
class OffersCandidates(Protocol):
    """A model that has several answers to a lone click; `Prompt.candidate` chooses one."""

    def candidates(self, still: PromptedFrame) -> list[Candidate]:
        """The readings of the still's lone click, in the order that `Prompt.candidate` counts in."""
        ...


class Proposal(NamedTuple):
    """A frame of a scene without marks, and the box around the subject that a model finds there."""

    number: int
    """Of the frame, among those that were looked at."""
    box: Box
    """Around the subject, in the frame's pixels."""


@runtime_checkable
class Proposer(Protocol):
    """A model that carries a mask, and can say on which frames of a scene to start."""

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """The frames on which the subject is sure, the surest one first; empty: nothing is found.

        `pairs` are some frames of one scene, in order, each with the frame behind it, so that what moves by
        itself can be told. They are taken one at a time and not kept.
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
    load: Callable[[str, list[Path]], Model]
    """`load(device, files)` with "auto", "cpu", "cuda" or "cuda:N" and a file for each of `weights.files`;
    may be slow. Raises WeightsError for files that do not fit, InputError for a device that is not there."""
    weights: Weights | None = None
    """What has to be fetched before it can be loaded; None: nothing."""
    restriction: str = ""
    """What the licence forbids, in a sentence that the user has to acknowledge once; empty: nothing."""
    candidates: bool = False
    """Whether it is `OffersCandidates`."""
    slow_encoder: bool = False
    """Whether it reads a frame first, slowly, and then answers marks on it fast."""
    has_memory: bool = False
    """Whether it knows its subject again in another scene; one that does not ends with its scene."""
    per_frame: bool = False
    """Whether it finds each frame's matte by itself, so that consecutive ones want to be calmed."""
    preview_frames: int = 24
    """At most so many frames lie between a mark and a preview; few where each of them is slow."""
    version: int = 1
    """Raised when the same input would give another matte, so that kept mattes are not reused."""

    @property
    def present(self) -> bool:
        """Whether its weights are on this machine, or it needs none."""
        return self.weights is None or weights.present(self.weights)

    @property
    def acknowledged(self) -> bool:
        """Whether the user has acknowledged what its licence forbids, or it forbids nothing."""
        return not self.restriction or weights.acknowledged(self.key)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, under the keys of the `models` command (`slow_encoder` is "reads" there)."""
        shown = {_WRITTEN.get(k, k): v for k, v in vars(self).items() if k not in ("load", "weights")}
        return shown | {"weights": None if self.weights is None else self.weights.to_json()}


_WRITTEN = {
    "slow_encoder": "reads",
    "has_memory": "remembers",
    "per_frame": "flickers",
    "preview_frames": "steps",
}
"""The keys of JSON that are named otherwise than the attributes: users' scripts know them."""


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


AUTOMATIC, OWN, WEIGHTLESS = "rmbg", "recorte", "grabcut"


def choose_default(
    marked: bool = False, accepts: Callable[[Card], bool] = lambda card: card.acknowledged
) -> tuple[str, str]:
    """The model for somebody who has chosen none, and why it is, in a sentence; `marked`: there are marks.

    `accepts` says whether they have acknowledged what a model's licence forbids.
    """
    best, spare = card(AUTOMATIC), card(OWN)
    if not spare.present:
        spare = card(WEIGHTLESS)
    if marked and not best.points:
        return spare.key, f"{spare.label} is used: it takes marks and needs no download."
    if not best.present:
        return spare.key, f"{spare.label} is used: the weights of {best.label} are not here."
    if not accepts(best):
        return spare.key, f"{spare.label} is used: the licence of {best.label} is not acknowledged yet."
    return best.key, f"{best.label} is used: its weights are here."


def check_loadable(card: Card, folder: Path | None = None) -> None:
    """Raise WeightsError where the model cannot be loaded: its weights or the user's word are missing."""
    if card.weights is not None:
        weights.located(card.weights, card.label, card.key, folder)
    check_licence(card)


def check_licence(card: Card) -> None:
    """Raise WeightsError where the user has not acknowledged what the licence forbids."""
    if not card.acknowledged:
        raise licence_error(card)


def licence_error(card: Card) -> WeightsError:
    """The error for who uses a model without having acknowledged what its licence forbids."""
    return WeightsError(
        f"{card.restriction} Read {card.licence_url}, then acknowledge it once: on the page, or with "
        "--accept-licence."
    )


def load(key: str, device: str, folder: Path | None = None) -> Model:
    """The model of a key on a device, loaded once; its streams keep their own state.

    `folder` (or a file) is where its weights are; None: where `pipeline.weights` looks. Raises WeightsError
    where they or the user's word are missing, or they are not what they should be.
    """
    asked = card(key)
    check_licence(asked)
    files: list[Path] = []
    if asked.weights is not None:
        files = weights.located(asked.weights, asked.label, key, folder)
    which = key, device, tuple(files)
    with _loading.setdefault(which, threading.Lock()):  # two that ask at once are to have the same one
        if asked.weights is not None and folder is None:
            weights.verified(asked.weights, files)
        return _load(*which)


_loading: dict[tuple[str, str, tuple[Path, ...]], threading.Lock] = {}


def identify_weights(card: Card, folder: Path | None = None) -> list[str]:
    """Names the weights that the card itself does not: the user's own, and those of no known SHA-256.

    Those of the hub as well, which were of no known one: mattes that were made with them are kept under it.
    """
    if card.weights is None:
        return []
    if folder is not None:
        return [weights.identity(folder)]
    if not card.present:
        return []
    paths = weights.located(card.weights, card.label, card.key)
    found = zip(card.weights.files, paths, strict=True)
    return [weights.identity(path) for file, path in found if file.on_hub or not file.sha256]


def unload() -> None:
    """Let go of the models that are loaded; streams that run keep theirs."""
    _load.cache_clear()


@lru_cache(maxsize=2)  # the largest take gigabytes
def _load(key: str, device: str, files: tuple[Path, ...]) -> Model:
    return card(key).load(device, list(files))
