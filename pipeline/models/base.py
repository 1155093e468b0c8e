"""The protocol of a model: prompted frames in, predictions out, and the card that declares it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

from pipeline.arrays import ClassMap, DeviceImage, Image, Matte
from pipeline.languages.messages import Message
from pipeline.prompts import Box, Point, Prompt
from pipeline.stream_state import State
from pipeline.weights import licences, locate
from pipeline.weights.spec import Weights

LOW_CONFIDENCE = 0.5
"""Frames whose confidence is below this are shown to a person for review."""


class PromptedFrame(NamedTuple):
    """A frame as it is given to a model, with the marks on it, if any."""

    image: Image
    prompt: Prompt | None = None


class PromptedDeviceFrame(PromptedFrame):
    """A prompted frame whose image is on a device as well, for models that compute there."""

    tensor: DeviceImage

    @classmethod
    def of(cls, image: Image, prompt: Prompt | None, tensor: DeviceImage) -> Self:
        """Return the frame; `tensor` is its image on the device."""
        frame = cls(image, prompt)
        frame.tensor = tensor
        return frame


class Prediction(NamedTuple):
    """Prediction of a model for one frame."""

    matte: Matte
    """Of the frame's height and width."""
    confidence: float = 1.0
    """Confidence that the mask is the subject, 0 to 1."""
    prompted: bool = True
    """False: the model was not run, because no prompt initialises an object in this scene."""
    state: Callable[[], State] | None = None
    """Returns the state from which a stream continues behind this frame; to be called before the next
    prediction is requested. None: a stream cannot be continued from this frame."""
    objects: tuple[Matte, ...] = ()
    """Mattes of the objects whose union the matte is, in the plan's order; empty unless asked for."""


class Model(Protocol):
    """A stream transformer: prompted frames in, predictions out, in order and one for one."""

    def predict(self, frames: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        """Yield a prediction for each frame.

        With `state`, a value of `Prediction.state`, the stream continues behind that prediction's frame, bit
        for bit as if it had not been interrupted: the first of `frames` is the next one. A model without
        memory returns an empty state; a stream whose model returns none restarts from the beginning.

        A stream has one object, which the first frame's prompt initialises (`Prompt.initialises`); without
        one, an automatic model detects a subject. Further points on the first frame, and those on later ones,
        correct the mask from that frame on. A stream may run backwards in time. Batches, look-ahead and
        memory are local to this generator; data that depend on a frame only, such as its embedding, may be
        cached for other streams.
        """
        ...


CandidateName = Literal["one", "part", "more", "all", ""]
"""The thing that a click lies on most likely, a part of it, the thing and more, all that the model takes for
the subject; empty: the model does not tell."""


class Candidate(NamedTuple):
    """Candidate mask for an ambiguous click."""

    matte: Matte
    score: float
    """Quality of the mask as estimated by the model, 0 to 1; without a choice the best one is taken."""
    name: CandidateName = ""


@runtime_checkable
class OffersCandidates(Protocol):
    """Model that predicts several masks for a single click; `Prompt.candidate` chooses one."""

    def candidates(self, frame: PromptedFrame) -> list[Candidate]:
        """Return the candidates for the frame's single click; `Prompt.candidate` is an index into them."""
        ...


@runtime_checkable
class FindsThings(Protocol):
    """Model that tells what a click takes which stands for the whole of a thing (`Point.whole`).

    Not GrabCut: what a click on it takes is found in 1 to 5 seconds (720p, two busy cores), too late for a
    mouse that moves on. Not SAM: its decoder answers in under a second, but only on a frame that is embedded;
    that takes a processor many seconds, and no frame is before an object's first click.
    """

    def find_thing(self, image: Image, point: Point) -> Generator[None, None, Matte | None]:
        """Find the thing that a point to keep lies on, in steps of a few evaluations of the network each.

        `image` is `[H, W, 3]` uint8, the thing's matte `[H, W]` uint8. None: the point is on no clear thing.
        """
        ...


class Proposal(NamedTuple):
    """Proposed initial frame of a scene without prompts, with a box around its subject."""

    number: int
    """Index of the frame among those given to `propose`."""
    box: Box
    """Around the subject, in the frame's pixels."""


@runtime_checkable
class Proposer(Protocol):
    """Model that can propose the initial frames of a scene."""

    def propose(self, pairs: Iterator[tuple[Image, Image]]) -> list[Proposal]:
        """Return the frames on which the subject is certain, the most certain first; empty: none was found.

        `pairs` are some frames of one scene, in order, each with the frame behind it, so that what moves by
        itself can be detected. They are consumed one at a time and not stored.
        """
        ...


@runtime_checkable
class ChoosesClasses(Protocol):
    """Model that finds all things of some classes (`Card.classes`)."""

    def choose(self, chosen: Sequence[str]) -> Model:
        """Return the model whose subject is all that belongs to these classes."""
        ...


@runtime_checkable
class MapsClasses(Protocol):
    """Model that tells the class of each pixel (`Card.classes`)."""

    def find_map(self, image: Image) -> ClassMap:
        """Return the likeliest class of each pixel of a frame, `[H, W]` uint8, whatever is chosen."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    """Model that could not be loaded as a setting asks for."""

    notes: tuple[Message, ...]
    """Reasons, in sentences for the user; empty: it was."""


@dataclass(frozen=True)
class Card:
    """Declaration of a model: its capabilities, licence, weights and loader."""

    key: str
    label: str
    purpose: str
    """Purpose, in one sentence."""
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
    splits: bool = False
    """Tells things from each other by `Point.whole`: new clicks stand for the things that they lie on."""
    slow_encoder: bool = False
    """Encodes a frame first, slowly, and then answers marks on it fast."""
    has_memory: bool = False
    """Recognises its subject in another scene; a model that does not ends with its scene."""
    per_frame: bool = False
    """Predicts each frame by itself, so that consecutive mattes need deflickering."""
    classes: tuple[str, ...] = ()
    """Names of the classes that a job may choose; empty: it knows none. With them it has `choose`."""
    given: bool = False
    """Stands for the mattes of another tool, which are left as they are: there is nothing to load."""
    tracker: str = ""
    """Key of the model that segments and follows what is marked, for one that only finds what stands out;
    empty: there is none."""
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

    @property
    def deflickers(self) -> bool:
        """True if its consecutive mattes are deflickered, where a job asks for it."""
        return self.per_frame and not self.given

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
