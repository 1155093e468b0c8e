"""Training data: a folder of photographs with masks, split into training and held-out parts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.arrays import Image, Matte
from pipeline.errors import InputError
from pipeline.languages.messages import Message


class Kind(NamedTuple):
    """Properties of the photographs whose names begin with one word."""

    share: float
    """Frequency with which one of them is drawn, relative to the other kinds."""
    step: int = 0
    """Largest distance in frames between two consecutive ones, for frames of videos, named KIND_SCENE_FRAME;
    0: single photographs."""
    held_out: int = 0
    """Number of photographs, or of scenes of videos, at the end that are held out for evaluation."""
    unmarked: float = 1
    """Factor of the share for episodes without a prompt."""


KINDS = {
    "ecssd": Kind(0.24, held_out=60),
    "ccp": Kind(0.13, held_out=40),
    "davis": Kind(0.22, step=6, held_out=3),
    "cat": Kind(0.06, held_out=40),
    "horse": Kind(0.04),
    "mama": Kind(0.1, step=2, unmarked=0.7),
    "mamapart": Kind(0.03, step=2, unmarked=0),
    "dancer": Kind(0.05, step=3, held_out=4),
    "sbi": Kind(0.03, step=3, unmarked=0.1),
    "of": Kind(0.04, step=4, unmarked=0.1),
    "davis17": Kind(0.01, step=4, unmarked=0.3),
    "pumavos": Kind(0.01, step=4, unmarked=0),
    "desk": Kind(0.01, step=2, unmarked=0.1),
    "cow": Kind(0.01),
    "rgba": Kind(0.02),
    "clip": Kind(0.05, step=2),
}
"""Photographs whose subject only a prompt can single out have a low `unmarked`."""


class Photo(NamedTuple):
    """A picture, `[H, W, 3]` RGB uint8, and its subject's alpha, `[H, W]` uint8."""

    picture: Image
    alpha: Matte


def scene_name(name: str) -> str:
    """Return the scene of a video frame from its name, KIND_SCENE_FRAME."""
    return name.partition("_")[2].rpartition("_")[0]


class Photos:
    """A folder with `photos/NAME.jpg`, and `alphas/NAME.png` (soft) or `masks/NAME.png` (hard) for each.

    NAME begins with its kind and an underscore. Of alpha and mask, the alpha is the training target.
    """

    def __init__(self, folder: Path, held_out: bool = False) -> None:
        """Open the training part, or the held-out one. Raises InputError if it is empty."""
        self._folder = folder
        groups: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
        for path in sorted(folder.glob("photos/*.jpg")):
            kind = path.stem.partition("_")[0]
            if kind in groups:  # the frames of a scene stay together, other photographs stand alone
                group = scene_name(path.stem) if KINDS[kind].step else path.stem
                groups[kind].setdefault(group, []).append(path.stem)
        parts = {kind: _split(group, KINDS[kind].held_out, held_out) for kind, group in groups.items()}
        self.scenes = {kind: part for kind, part in parts.items() if KINDS[kind].step}
        """The names of each scene's frames, in order, by kind and scene."""
        self.names = {
            kind: [name for names in part.values() for name in names] for kind, part in parts.items()
        }
        """The names of each kind, sorted."""
        if not any(self.names.values()):
            raise InputError(
                "training.too_few_photos",
                folder=folder.name,
                purpose=Message("training.measure") if held_out else Message("training.learn"),
                kinds=", ".join(KINDS),
            )

    def read(self, name: str, hard: bool = False) -> Photo:
        """Read a photograph with its alpha or, without one, its mask; `hard`: the mask first.

        Raises InputError if picture or mask cannot be read, or if they differ in size.
        """
        picture = cv2.imread(str(self._folder / "photos" / f"{name}.jpg"), cv2.IMREAD_COLOR)
        paths = [self._folder / part / f"{name}.png" for part in ("alphas", "masks")]
        path = next((path for path in (paths[::-1] if hard else paths) if path.exists()), paths[-1])
        alpha = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None or alpha is None or picture.shape[:2] != alpha.shape:
            raise InputError("training.photo", name=name)
        return Photo(np.ascontiguousarray(picture[..., ::-1], np.uint8), np.asarray(alpha, np.uint8))

    def draw(self, rng: np.random.Generator, marked: bool = True) -> tuple[str, str]:
        """Draw a photograph by the shares of the kinds; returns its kind and name.

        `marked`: the episode will have a prompt.
        """
        shares = {
            kind: (1 if marked else KINDS[kind].unmarked) * KINDS[kind].share * bool(names)
            for kind, names in self.names.items()
        }
        chances = np.array([*shares.values()])
        kind = [*shares][rng.choice(len(shares), p=chances / chances.sum())]
        return kind, self.names[kind][rng.integers(len(self.names[kind]))]


def _split(groups: dict[str, list[str]], count: int, held_out: bool) -> dict[str, list[str]]:
    """Return the last `count` groups if `held_out`, else all others."""
    start = max(0, len(groups) - count)
    return dict(islice(groups.items(), start, None) if held_out else islice(groups.items(), start))
