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
    grounds: list[np.ndarray]
    """The ground of each frame without it."""


def shadowed_clip(
    frames: int = 24,
    width: int = 480,
    height: int = 270,
    pan: float = 0.0,
    strength: float = 0.45,
    *,
    shake: float = 0.0,
    rest: float = 0.0,
) -> Shadowed:
    """A figure that walks across textured ground under a low sun.

    `pan` is the camera's movement, in pixels a frame. `shake` is how far a hand that holds it sways, in
    pixels, with a turn and a zoom that move the corners alike. The figure stands still for the share `rest`
    of the clip before it walks.
    """
    random = np.random.default_rng(5)
    margin = int(abs(pan) * frames) + 2
    ground = _ground(random, width + margin, height)
    result = Shadowed([], [], [], [], np.rint(ground[:, :width]).astype(np.uint8), [])
    columns, lines = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for n in range(frames):
        view = _hand(shake, n, width, height)
        x = view[0, 0] * columns + view[0, 1] * lines + view[0, 2]
        y = view[1, 0] * columns + view[1, 1] * lines + view[1, 2]
        walked = max(0.0, (n / max(1, frames - 1) - rest) / (1 - rest))
        left = 0.25 * width + 0.5 * width * walked
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
        seen_from = view + np.float32([[0, 0, pan * n], [0, 0, 0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(
            ground, seen_from, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
        lit = moved * (1 - shade[..., None])
        noise = random.normal(0, 1.5, (height, width, 3))
        seen = alpha[..., None] * cloth + (1 - alpha[..., None]) * lit + noise
        result.frames.append(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
        result.alphas.append(np.rint(alpha * 255).astype(np.uint8))
        result.shades.append(shade.astype(np.float32))
        result.grounds.append(np.clip(np.rint(moved), 0, 255).astype(np.uint8))
        result.subject.append(np.clip(np.rint(cloth), 0, 255).astype(np.uint8))
    return result


def _hand(shake: float, n: int, width: int, height: int) -> np.ndarray:
    """Affine map of a frame's pixels to those of a camera that is held still, `[2, 3]` float32."""
    x, y, turn, zoom = (
        shake * np.sin(speed * n + phase)
        for speed, phase in ((0.31, 0.4), (0.47, 1.9), (0.23, 3.1), (0.17, 5.0))
    )
    half = width / 2
    scale, angle = 1 + zoom / half, turn / half
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([half, height / 2])
    return np.float32(np.column_stack([linear, centre - linear @ centre + (x, y)]))


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
