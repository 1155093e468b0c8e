"""Made photographs: a disc of a warm colour on cool ground, so that each pixel tells what it is."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Image, Matte

SIZE = 64, 80
"""Height and width, in pixels."""

GROUND = np.array([20, 60, 200])

COUNTS = {"ecssd": 3, "ccp": 3, "cat": 2, "horse": 2}
SCENES, LENGTH = 3, 4
"""Of the videos: how many, and of how many frames."""


def names() -> list[str]:
    """Those of all photographs."""
    stills = [f"{kind}_{n:02}" for kind, count in COUNTS.items() for n in range(count)]
    return stills + [f"davis_scene-{s}_{n:03}" for s in range(SCENES) for n in range(LENGTH)]


def colour(name: str) -> np.ndarray:
    """The subject's; one for all frames of a scene."""
    subjects = sorted({of.rpartition("_")[0] if of.startswith("davis") else of for of in names()})
    subject = name.rpartition("_")[0] if name.startswith("davis") else name
    return np.array([230, 10 + 10 * subjects.index(subject), 20])


def disc(height: int = SIZE[0], width: int = SIZE[1], right: float = 0) -> Matte:
    """A disc exactly in the middle, or `right` of it by so many pixels."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - (width - 1) / 2 - right, y - (height - 1) / 2)
    return np.where(away < min(height, width) / 4, 255, 0).astype(np.uint8)


def painted(alpha: Matte, subject: np.ndarray) -> Image:
    return np.where(alpha[..., None] > 127, subject, GROUND).astype(np.uint8)


def folder(path: Path) -> Path:
    """Write all of them."""
    for part in ("photos", "masks"):
        (path / part).mkdir()
    fine = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    for name in names():
        right = 3 * int(name.rpartition("_")[2]) if name.startswith("davis") else 0
        alpha = disc(right=right)
        picture = painted(alpha, colour(name))
        cv2.imwrite(str(path / "photos" / f"{name}.jpg"), picture[..., ::-1], fine)
        cv2.imwrite(str(path / "masks" / f"{name}.png"), alpha)
    return path
