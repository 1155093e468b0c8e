"""Models whose mattes are known beforehand, in place of the real ones.

`python -m tests.pipeline.stand_in ARGUMENTS` is the command line of the pipeline with them among its models;
SEGMENT_SECONDS in its environment is how often what was found is put by for good.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import models
from pipeline.__main__ import main
from pipeline.arrays import ClassMap, Image, Matte
from pipeline.models import Candidate, Card, Model, Prediction, PromptedFrame, classes
from pipeline.prompts import Prompt
from pipeline.propagation import spool
from pipeline.stream_state import State


class Threshold:
    """Keeps what is redder than blue, softly; every matte depends on its own frame alone."""

    def __init__(self) -> None:
        self.streams = 0
        self.frames = 0

    def predict(self, stills: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        self.streams += 1
        for image, _ in stills:
            self.frames += 1
            yield Prediction(threshold(image), state=dict)


def threshold(frame: Image) -> Matte:
    difference = frame[..., 0].astype(np.int16) - frame[..., 2]
    return (difference * 4).clip(0, 255).astype(np.uint8)


@dataclass
class Stream:
    """Frames that the carrying model was given in one call."""

    numbers: list[int] = field(default_factory=list)
    marks: dict[int, Prompt] = field(default_factory=dict)


class Carrying:
    """Writes down what it is given. Its mattes hold the number of the stream, a lane for each."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        self.streams.append(stream := Stream())
        value = len(self.streams)
        for image, prompt in stills:
            stream.numbers.append(number(image))
            if prompt is not None:
                stream.marks[number(image)] = prompt
            yield Prediction(np.full(image.shape[:2], value, np.uint8))


def numbered(count: int, width: int = 64, height: int = 64) -> list[np.ndarray]:
    """Frames that carry their own number, for `number` to read back after lossy coding."""
    frames = []
    for n in range(count):
        bits = np.array([(n >> bit) & 1 for bit in range(8)], np.uint8) * 255
        frames.append(np.repeat(np.repeat(bits[None, :, None], height, 0), width // 8, 1).repeat(3, 2))
    return frames


def number(frame: Image) -> int:
    lanes = frame[:, :, 1].reshape(frame.shape[0], 8, -1).mean((0, 2)) > 128
    return sum(1 << bit for bit, lit in enumerate(lanes) if lit)


class Doubting:
    """Knows every matte, and is sure of all but frames 5 to 8 and the 20th."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for n, (image, _) in enumerate(stills):
            yield Prediction(threshold(image), 0.2 if n in (5, 6, 7, 8, 20) else 0.9)


class Pointing:
    """Keeps a disc round each click, on every frame; a lone click means a small, a medium or a large one."""

    RADII = (6, 14, 30)
    SCORES = (0.55, 0.95, 0.75)

    def candidates(self, still: PromptedFrame) -> list[Candidate]:
        assert still.prompt is not None
        return [
            Candidate(self._discs(still.image, still.prompt, radius), score)
            for radius, score in zip(self.RADII, self.SCORES, strict=True)
        ]

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for n, (image, prompt) in enumerate(stills):
            if n == 0:
                started = prompt
            assert started is not None
            which = 1 if started.candidate is None else started.candidate
            yield Prediction(self._discs(image, started, self.RADII[which]))

    def _discs(self, image: Image, prompt: Prompt, radius: int) -> Matte:
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        matte = np.zeros(image.shape[:2], np.uint8)
        for point in prompt.points:
            matte[np.hypot(x - point.x, y - point.y) < radius] = 255 * point.keep
        return matte


class Failing:
    """Raises after three frames."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for done, still in enumerate(stills):
            if done == 3:
                raise ZeroDivisionError("a fault in a model")
            yield Prediction(threshold(still.image))


class Short:
    """Stops after three frames without a word."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for _ in range(3):
            yield Prediction(threshold(next(stills).image))


class Greedy:
    """Takes every frame and keeps the last two mattes to itself."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        results = [Prediction(threshold(still.image)) for still in stills]
        yield from results[:-2]


GATE = "GATE"
"""Variable of the environment with the path of a file; while it is there, gated models stop."""


@dataclass
class Each:
    """Finds the subject of each frame by itself, with grain that differs from one frame to the next."""

    gated: bool = False
    """Takes its time over each frame, and stops before a stream's fourth while the gate is closed."""

    def predict(self, stills: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        for done, (image, _) in enumerate(stills):
            if self.gated:
                time.sleep(0.1)
                while done == 3 and Path(os.environ[GATE]).exists():
                    time.sleep(0.02)
            level = int(image.astype(np.uint32).sum())
            grain = np.random.default_rng(level).integers(0, 60, image.shape[:2])
            yield Prediction((threshold(image) * 0.7 + grain).astype(np.uint8), level % 97 / 96, state=dict)


@dataclass
class Remembering:
    """Its mattes hang on every frame and mark that came before, in the last bit of a sum."""

    seconds: float = 0
    """Time that each frame takes."""
    frames: int = 0

    def predict(self, stills: Iterator[PromptedFrame], state: State | None = None) -> Iterator[Prediction]:
        known = {"mean": None, "marks": 1} if state is None else state
        for image, prompt in stills:
            time.sleep(self.seconds)
            self.frames += 1
            grey = image.mean(2) / 255
            known["marks"] += bool(prompt)
            known["mean"] = grey if known["mean"] is None else 0.7 * known["mean"] + 0.3 * grey
            matte = np.rint(known["mean"] * 255 * 97 / known["marks"]) % 256
            confidence = float(known["mean"].mean()) % 1
            yield Prediction(matte.astype(np.uint8), confidence, state=lambda: known)


class Small:
    """Returns mattes of another size."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for image, _ in stills:
            yield Prediction(threshold(image)[::2, ::2])


class Slow:
    """Takes its time over each frame."""

    SECONDS = 0.1

    def __init__(self) -> None:
        self.frames = 0

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for image, _ in stills:
            time.sleep(self.SECONDS)
            self.frames += 1
            yield Prediction(threshold(image))


@contextmanager
def stopped_within(seconds: float) -> Iterator[None]:
    """Check that a run with the slow model ends in the block, and within so many seconds of the model's own.

    They are counted in its frames: those of a clock are longer where a machine does other work as well.
    """
    model: Any = models.load("slow", "auto")
    before = model.frames
    yield
    done = model.frames - before
    assert done <= seconds / model.SECONDS, f"{done} frames were made after it was to stop"


class Hanging:
    """Does three frames, and then nothing for ever."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for done, (image, _) in enumerate(stills):
            if done == 3:
                threading.Event().wait()
            yield Prediction(threshold(image))


class Mapping:
    """Knows two classes: a dog in the left half, and a person in the right one."""

    def choose(self, chosen: Sequence[str]) -> Model:
        return self

    def find_map(self, image: Image) -> ClassMap:
        dog, person = (classes.ALL.index(name) for name in ("dog", "person"))
        found = np.full(image.shape[:2], person, np.uint8)
        found[:, : image.shape[1] // 2] = dog
        return found

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for image, _ in stills:
            yield Prediction(threshold(image))


def card(key: str, load: Callable[[], Model], **changed: Any) -> Card:
    fields = {"points": True, "box": True, "automatic": True} | changed
    return Card(
        key, key.capitalize(), "For tests.", licence="-", licence_url="-", load=lambda *_: load(), **fields
    )


CARDS = (
    card("threshold", Threshold),
    card("carrying", Carrying, has_memory=True),
    card("doubting", Doubting, has_memory=True),
    card("pointing", Pointing, box=False, automatic=False, candidates=True, slow_encoder=True),
    card("failing", Failing),
    card("short", Short),
    card("greedy", Greedy),
    card("small", Small),
    card("slow", Slow),
    card("remembering", Remembering),
    card("dwelling", lambda: Remembering(0.04)),
    card("each", Each, per_frame=True),
    card("gated", lambda: Each(gated=True), per_frame=True),
    card("hanging", Hanging),
    card("shy", Threshold, automatic=False),
    card("blind", Threshold, points=False, box=False),
    card("mapping", Mapping, points=False, box=False, classes=("dog", "person")),
)


def register() -> None:
    """Put the stand-ins among the models of this process."""
    models.cards().update({card.key: card for card in CARDS})


@contextmanager
def registered() -> Iterator[None]:
    """Put the stand-ins among the models, freshly loaded, and take them away again."""
    models.unload()
    register()
    try:
        yield
    finally:
        for card in CARDS:
            models.cards().pop(card.key, None)
        models.unload()


if __name__ == "__main__":
    spool.CHUNK_SECONDS = float(os.environ.get("SEGMENT_SECONDS", spool.CHUNK_SECONDS))
    with registered():
        status = main()
    sys.exit(status)
