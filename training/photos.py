"""The data folder: photographs and their masks, and which of them are held out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""RGB, `[H, W, 3]`."""

Alpha = NDArray[np.uint8]
"""`[H, W]`, 0 to 255."""

SHARES = {"ecssd": 0.32, "ccp": 0.25, "davis": 0.25, "cat": 0.1, "horse": 0.08}
"""How often a photograph of each kind is drawn: things of all kinds are the rarest and the hardest."""

HELD_OUT = {"ecssd": 60, "ccp": 40, "cat": 40, "davis": 3}
"""The last so many photographs, of davis scenes, are for measuring."""

_SCENES = "davis"
"""The kind whose photographs are consecutive frames, named KIND_SCENE_FRAME."""


class Photo(NamedTuple):
    picture: Picture
    alpha: Alpha


class Photos:
    """A folder with `photos/NAME.jpg` and `masks/NAME.png`; NAME begins with its kind and an underscore."""

    def __init__(self, folder: Path, held_out: bool = False) -> None:
        """Those to learn from, or those held out. Raises ValueError for a folder without any."""
        self._folder = folder
        self.names: dict[str, list[str]] = {kind: [] for kind in SHARES}
        """The names of each kind, sorted."""
        self.scenes: dict[str, list[str]] = {}
        """The names of each scene's frames, in order."""
        groups: dict[str, dict[str, list[str]]] = {kind: {} for kind in SHARES}
        for path in sorted(folder.glob("photos/*.jpg")):
            kind, _, rest = path.stem.partition("_")
            if kind in groups:
                scene = rest.rpartition("_")[0] if kind == _SCENES else rest
                groups[kind].setdefault(scene, []).append(path.stem)
        for kind, group in groups.items():
            count = HELD_OUT.get(kind, 0)
            scenes = list(group)
            chosen = scenes[len(scenes) - count :] if held_out else scenes[: len(scenes) - count]
            self.names[kind] = [name for scene in chosen for name in group[scene]]
            if kind == _SCENES:
                self.scenes = {scene: group[scene] for scene in chosen}
        if not any(self.names.values()):
            raise ValueError(f"{folder}: there are no photos/KIND_*.jpg, KIND being one of {', '.join(SHARES)}.")

    def read(self, name: str) -> Photo:
        """Raises ValueError where the photograph or its mask cannot be read."""
        picture = cv2.imread(str(self._folder / "photos" / f"{name}.jpg"), cv2.IMREAD_COLOR)
        alpha = cv2.imread(str(self._folder / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        if picture is None or alpha is None or picture.shape[:2] != alpha.shape:
            raise ValueError(f"{name}: the photograph or its mask cannot be read, or they differ in size.")
        return Photo(np.ascontiguousarray(picture[..., ::-1], np.uint8), np.asarray(alpha, np.uint8))

    def draw(self, rng: np.random.Generator) -> tuple[str, str]:
        """The kind and the name of a photograph, drawn by `SHARES`."""
        kinds = [kind for kind in SHARES if self.names[kind]]
        shares = np.array([SHARES[kind] for kind in kinds])
        kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        return kind, self.names[kind][rng.integers(len(self.names[kind]))]
