"""Clips of a subject that throws a known shadow on the ground."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np


class Shadowed(NamedTuple):
    """Frames with all that they were made of."""

    frames: list[np.ndarray]
    """`[H, W, 3]` uint8."""
    alphas: list[np.ndarray]
    """`[H, W]` uint8."""
    shades: list[np.ndarray]
    """Darkening of the ground in the frame's values: `[H, W]`, 0 to 1."""
    subject: list[np.ndarray]
    """The subject alone, `[H, W, 3]` uint8."""
    ground: np.ndarray
    """The ground of the first frame without it, `[H, W, 3]` uint8."""


def shadowed_clip(
    frames: int = 24, width: int = 480, height: int = 270, pan: float = 0.0, strength: float = 0.45
) -> Shadowed:
    """A figure that walks across textured ground under a low sun; `pan`: the camera's pixels a frame."""
    random = np.random.default_rng(5)
    margin = int(abs(pan) * frames) + 2
    ground = _ground(random, width + margin, height)
    result = Shadowed([], [], [], [], np.rint(ground[:, :width]).astype(np.uint8))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for n in range(frames):
        left = 0.25 * width + 0.5 * width * n / max(1, frames - 1)
        foot, tall = 0.8 * height, 0.5 * height
        u, v = (x - left) / (0.13 * tall), (foot - y) / tall
        edge = np.minimum(1 - np.abs(u), np.minimum(v, 1 - v) * 8) * 0.13 * tall
        alpha = np.clip(edge / 2 + 0.5, 0, 1)
        # The same figure, laid on the ground behind it to the right.
        along = (foot - y) / (0.3 * tall)
        across = (x - left - 0.7 * (foot - y) / 0.3) / (0.13 * tall)
        shade = np.clip(np.minimum(1 - np.abs(across), np.minimum(along + 0.1, 1 - along) * 3) * 3, 0, 1)
        shade = strength * cv2.GaussianBlur(shade, (0, 0), 0.012 * height)
        cloth = np.dstack([150 + 60 * np.sin(7 * v + 2), 60 + 30 * np.cos(9 * u), np.full_like(u, 70)])
        start = pan * n
        moved = cv2.warpAffine(ground, np.float32([[1, 0, -start], [0, 1, 0]]), (width, height))
        lit = moved * (1 - shade[..., None])
        noise = random.normal(0, 1.5, (height, width, 3))
        seen = alpha[..., None] * cloth + (1 - alpha[..., None]) * lit + noise
        result.frames.append(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
        result.alphas.append(np.rint(alpha * 255).astype(np.uint8))
        result.shades.append(shade.astype(np.float32))
        result.subject.append(np.clip(np.rint(cloth), 0, 255).astype(np.uint8))
    return result


def _ground(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Gravel in a few colours, `[H, W, 3]` float32, with landmarks."""
    total = np.zeros((height, width, 3), np.float32)
    for cells in (6, 20, 60, 130):
        rough = random.random((cells, cells * width // height, 3), np.float32) - 0.5
        total += cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC) * (
            60 if cells < 50 else 45
        )
    picture = 140 + total
    for _ in range(60):
        centre = random.integers((0, 0), (width, height)).tolist()
        colour = random.integers(70, 210, 3).tolist()
        cv2.circle(picture, centre, int(random.integers(2, 7)), colour, cv2.FILLED, cv2.LINE_AA)
    return np.clip(picture, 20, 235)
