"""The data folder: photographs and their masks, and which of them are held out."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.arrays import Image, Matte
from pipeline.errors import InputError


class Kind(NamedTuple):
    """Properties of the photographs whose names begin with one word."""

    share: float
    """Frequency with which one of them is drawn, relative to the other kinds."""
    step: int = 0
    """The most frames between two that follow each other, where the photographs are frames of videos, named
    KIND_SCENE_FRAME; 0: each stands alone."""
    held_out: int = 0
    """The last so many photographs, or scenes where there are any, are for measuring."""
    unmarked: float = 1
    """Factor of the share where the subject is to be found without a mark."""


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
"""Things of all kinds are the rarest and the hardest; what only a mark singles out is learnt with marks."""


class Photo(NamedTuple):
    """A picture, and how much of each of its pixels is the subject's."""

    picture: Image
    alpha: Matte


def scene_of(name: str) -> str:
    """The scene that a frame of a video is of."""
    return name.partition("_")[2].rpartition("_")[0]


class Photos:
    """A folder with `photos/NAME.jpg`, and `alphas/NAME.png` (soft) or `masks/NAME.png` (hard) for each.

    NAME begins with its kind and an underscore. Where there are both, the alpha is what is learnt.
    """

    def __init__(self, folder: Path, held_out: bool = False) -> None:
        """Those to learn from, or those held out. Raises InputError for a folder that has none of them."""
        self._folder = folder
        groups: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
        for path in sorted(folder.glob("photos/*.jpg")):
            kind = path.stem.partition("_")[0]
            if kind in groups:  # the frames of a scene stay together, other photographs stand alone
                group = scene_of(path.stem) if KINDS[kind].step else path.stem
                groups[kind].setdefault(group, []).append(path.stem)
        parts = {kind: _part(group, KINDS[kind].held_out, held_out) for kind, group in groups.items()}
        self.scenes = {kind: part for kind, part in parts.items() if KINDS[kind].step}
        """The names of each scene's frames, in order, by kind and scene."""
        self.names = {
            kind: [name for names in part.values() for name in names] for kind, part in parts.items()
        }
        """The names of each kind, sorted."""
        if not any(self.names.values()):
            raise InputError(
                f"{folder.name} has too few photos/KIND_*.jpg to {'measure' if held_out else 'learn'} by, "
                f"KIND being one of . Name the folder of the training data."
            )

    def read(self, name: str, hard: bool = False) -> Photo:
        """Its alpha, or its mask; `hard`: the mask if there is one, as whoever marked it left it.

        Raises InputError where one of them cannot be read.
        """
        picture = cv2.imread(str(self._folder / "photos" / f"{name}.jpg"), cv2.IMREAD_COLOR)
        paths = [self._folder / part / f"{name}.png" for part in ("alphas", "masks")]
        path = next((path for path in (paths[::-1] if hard else paths) if path.exists()), paths[-1])
        alpha = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None or alpha is None or picture.shape[:2] != alpha.shape:
            raise InputError(
                f"The photograph {name}.jpg or its mask {name}.png cannot be read, or they differ in size. "
                "Put both there, or neither."
            )
        return Photo(np.ascontiguousarray(picture[..., ::-1], np.uint8), np.asarray(alpha, np.uint8))

    def draw(self, rng: np.random.Generator, marked: bool = True) -> tuple[str, str]:
        """The kind and the name of a photograph, drawn by the kinds' shares.

        `marked`: a mark will tell its subject, which need not be found without.
        """
        shares = {
            kind: (1 if marked else KINDS[kind].unmarked) * KINDS[kind].share * bool(names)
            for kind, names in self.names.items()
        }
        chances = np.array([*shares.values()])
        kind = [*shares][rng.choice(len(shares), p=chances / chances.sum())]
        return kind, self.names[kind][rng.integers(len(self.names[kind]))]


def _part(groups: dict[str, list[str]], count: int, held_out: bool) -> dict[str, list[str]]:
    """The last `count` groups, or all others."""
    first = max(0, len(groups) - count)
    return dict(islice(groups.items(), first, None) if held_out else islice(groups.items(), first))
