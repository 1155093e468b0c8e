"""The protocol of a model: prompted frames in, predictions out, and the card that declares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pipeline.arrays import Image, Matte
from pipeline.prompts import Box, Prompt
from pipeline.stream_state import State
from pipeline.weights import licences, locate
from pipeline.weights.spec import Weights

LOW_CONFIDENCE = 0.5
"""Frames whose confidence is below this are shown to a person for review."""


class PromptedFrame(NamedTuple):
    """A frame as it is given to a model, with the marks on it, if any."""

    image: Image
    prompt: Prompt | None = None


class Prediction(NamedTuple):
    """A model's answer on one frame."""

    matte: Matte
    """Of the frame's height and width."""
    confidence: float = 1.0
    """0 to 1: how sure the model is that it still has its subject."""
    prompted: bool = True
    """False: no model was asked, because nothing says what is to be kept in this scene."""
    state: Callable[[], State] | None = None
    """Returns what a stream needs to go on behind this frame; to be called before the next one is asked for.
    None: it cannot go on just here."""


class Model(Protocol):
    """A stream transformer: prompted frames in, predictions out, in order and one for one."""

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        """Yield a prediction for each frame.

        With `state`, which `Prediction.state` gave, the stream goes on behind the frame on which that was
        given, and predicts just what it would have, had it not been left: the first frame is the next one. A
        model without memory gives an empty state; a stream whose model gives none starts from the beginning.

        A stream is about one object. The first frame's marks say what it is (`Prompt.initialises`); where
        they do not, the model finds a subject by itself, if it can. Further marks on the first frame, and
        points on a later one, correct what the model has there and from there on. A stream may run backwards
        in time; the model need not know. Batches, look-ahead and memory are the model's own and live in this
        generator only; what depends on a frame alone, such as its embedding, may be kept for other streams.
        """
        ...


class Candidate(NamedTuple):
    """One of several masks that a click may mean."""

    matte: Matte
    score: float
    """The model's own estimate of how good the mask is, 0 to 1."""


@runtime_checkable
class OffersCandidates(Protocol):
    """A model that has several answers to a lone click; `Prompt.candidate` chooses one."""

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """Return what the frame's lone click may mean, in the order that `Prompt.candidate` counts in."""
        ...


class Proposal(NamedTuple):
    """A frame of a scene without marks, and the box around the subject that a model finds on it."""

    number: int
    """Of the frame, among those that were looked at."""
    box: Box
    """Around the subject, in the frame's pixels."""


@runtime_checkable
class Proposer(Protocol):
    """A model that tracks a mask and can say on which frames of a scene to start."""

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """Return the frames on which the subject is sure, the surest one first; empty: nothing was found.

        `pairs` are some frames of one scene, in order, each with the frame behind it, so that what moves by
        itself can be detected. They are taken one at a time and not kept.
        """
        ...


@dataclass(frozen=True)
class Card:
    """A model's declaration of itself."""

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
    """Files to download before it can be loaded; None: nothing."""
    restriction: str = ""
    """Restriction of the licence, in a sentence that the user has to acknowledge once; empty: none."""
    candidates: bool = False
    """Implements `OffersCandidates`."""
    slow_encoder: bool = False
    """Encodes a frame first, slowly, and then answers marks on it fast."""
    has_memory: bool = False
    """Recognises its subject in another scene; a model that does not ends with its scene."""
    per_frame: bool = False
    """Predicts each frame by itself, so that consecutive mattes need deflickering."""
    preview_frames: int = 24
    """At most so many frames lie between a mark and a preview; few where each of them is slow."""
    version: int = 1
    """Raised when the same input would give another matte, so that kept mattes are not reused."""

    @property
    def present(self) -> bool:
        """True if its weights are on this machine, or it needs none."""
        return self.weights is None or locate.are_present(self.weights)

    @property
    def acknowledged(self) -> bool:
        """True if the user has acknowledged what its licence forbids, or it forbids nothing."""
        return not self.restriction or licences.is_acknowledged(self.key)

    def to_json(self) -> dict[str, Any]:
        """Return it as the `models` command prints it; some keys there differ from the attributes."""
        data = {_WRITTEN.get(k, k): v for k, v in vars(self).items() if k not in ("load", "weights")}
        return data | {"weights": None if self.weights is None else self.weights.to_json()}


_WRITTEN = {
    "slow_encoder": "reads",
    "has_memory": "remembers",
    "per_frame": "flickers",
    "preview_frames": "steps",
}
"""JSON keys that differ from the attributes: scripts outside read them, so they stay."""
