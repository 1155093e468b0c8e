"""The data folder: photographs and their masks, and which of them are held out."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Picture = NDArray[np.uint8]
"""RGB, `[H, W, 3]`."""

Alpha = NDArray[np.uint8]
"""`[H, W]`, 0 to 255."""

SHARES = {"ecssd": 0.32, "ccp": 0.25, "davis": 0.25, "cat": 0.1, "horse": 0.08}
"""How often a photograph of each kind is drawn: things of all kinds are the rarest and the hardest."""

CONSECUTIVE = "davis"
"""The kind whose photographs are the frames of videos, named KIND_SCENE_FRAME."""

HELD_OUT = {"ecssd": 60, "ccp": 40, "cat": 40, CONSECUTIVE: 3}
"""The last so many photographs of a kind, or scenes where they are consecutive, are for measuring."""


class Photo(NamedTuple):
    """A picture, and how much of each of its pixels is the subject's."""

    picture: Picture
    alpha: Alpha


def scene_of(name: str) -> str:
    """The scene that a consecutive frame is of."""
    return name.partition("_")[2].rpartition("_")[0]


class Photos:
    """A folder with `photos/NAME.jpg` and `masks/NAME.png`; NAME begins with its kind and an underscore."""

    def __init__(self, folder: Path, held_out: bool = False) -> None:
        """Those to learn from, or those held out. Raises InputError for a folder that has none of them."""
        self._folder = folder
        groups: dict[str, dict[str, list[str]]] = {kind: {} for kind in SHARES}
        for path in sorted(folder.glob("photos/*.jpg")):
            kind = path.stem.partition("_")[0]
            if kind in groups:  # the frames of a scene stay together, other photographs stand alone
                group = scene_of(path.stem) if kind == CONSECUTIVE else path.stem
                groups[kind].setdefault(group, []).append(path.stem)
        parts = {kind: _part(group, HELD_OUT.get(kind, 0), held_out) for kind, group in groups.items()}
        self.scenes = parts[CONSECUTIVE]
        """The names of each scene's frames, in order."""
        self.names = {
            kind: [name for names in part.values() for name in names] for kind, part in parts.items()
        }
        """The names of each kind, sorted."""
        if not any(self.names.values()):
            raise InputError(
                f"{folder.name} has too few photos/KIND_*.jpg to {'measure' if held_out else 'learn'} by, "
                f"KIND being one of {', '.join(SHARES)}. Name the folder of the training data."
            )

    def read(self, name: str) -> Photo:
        """Raises InputError where the photograph or its mask cannot be read."""
        picture = cv2.imread(str(self._folder / "photos" / f"{name}.jpg"), cv2.IMREAD_COLOR)
        alpha = cv2.imread(str(self._folder / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        if picture is None or alpha is None or picture.shape[:2] != alpha.shape:
            raise InputError(
                f"The photograph {name}.jpg or its mask {name}.png cannot be read, or they differ in size. "
                "Put both there, or neither."
            )
        return Photo(np.ascontiguousarray(picture[..., ::-1], np.uint8), np.asarray(alpha, np.uint8))

    def draw(self, rng: np.random.Generator) -> tuple[str, str]:
        """The kind and the name of a photograph, drawn by `SHARES`."""
        kinds = [kind for kind in SHARES if self.names[kind]]
        shares = np.array([SHARES[kind] for kind in kinds])
        kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        return kind, self.names[kind][rng.integers(len(self.names[kind]))]


def _part(groups: dict[str, list[str]], count: int, held_out: bool) -> dict[str, list[str]]:
    """The last `count` groups, or all others."""
    first = max(0, len(groups) - count)
    return dict(islice(groups.items(), first, None) if held_out else islice(groups.items(), first))
