"""Figures with every kind of soft edge, whose own colours are known as well as their alphas."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from tests.rendered import _background, _texture

EDGES = ("soft", "hair", "motion", "defocus")
"""A few pixels wide; strands; smeared by motion; wide out of focus."""

_FINER = 4  # the figure is drawn so many times larger, and scaled down to its exact share of each pixel


@dataclass(frozen=True)
class Shot:
    """One frame: `image` and `colours` are `[H, W, 3]` uint8, `alpha` is `[H, W]` uint8.

    `image` is `colours` laid over a background by `alpha`, with a little grain.
    """

    image: np.ndarray
    alpha: np.ndarray
    colours: np.ndarray


def shots(edge: str, frames: int = 6, width: int = 640, height: int = 360) -> Iterator[Shot]:
    """A warm figure that moves by fractions of a pixel before a cool, contrasting, shaken room."""
    random = np.random.default_rng(EDGES.index(edge))
    wall = _contrasting(_background(random, width, height))
    cloth = _texture(random, width * 2, height * 2, dark=(90, 20, 10), light=(250, 180, 120))
    strands = random.normal(0, 1, (260, 4))
    for n in range(frames):
        shake = 1 + 0.6 * np.sin([0.9 * n, 0.7 * n + 1])
        camera = np.array([[1, 0, -shake[0]], [0, 1, -shake[1]]])
        behind = cv2.warpAffine(wall, camera, (width, height))
        # What moves fast is seen at many places of its way, with equal shares.
        times = np.linspace(n, n + 0.6, 9) if edge == "motion" else [float(n)]
        seen = [_figure(edge, t, strands, cloth, width, height) for t in times]
        alpha = np.mean([share for share, _ in seen], 0)
        lit = np.mean([share[..., None] * colour for share, colour in seen], 0)
        if edge == "defocus":
            alpha, lit = (cv2.GaussianBlur(what, (0, 0), height / 45) for what in (alpha, lit))
        elif edge == "soft":
            alpha, lit = (cv2.GaussianBlur(what, (0, 0), height / 300) for what in (alpha, lit))
        colours = np.where(alpha[..., None] > 1e-4, lit / np.maximum(alpha, 1e-4)[..., None], 0)
        matte = np.rint(255 * alpha).clip(0, 255).astype(np.uint8)
        share = matte[..., None] / 255
        grain = random.normal(0, 1.5, (height, width, 1))
        image = share * colours + (1 - share) * behind + grain
        yield Shot(
            np.rint(image).clip(0, 255).astype(np.uint8),
            matte,
            np.rint(colours).clip(0, 255).astype(np.uint8),
        )


def _figure(
    edge: str, t: float, strands: np.ndarray, cloth: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Its share of each pixel, `[H, W]` from 0 to 1, and its colours `[H, W, 3]`, both float32."""
    speed = 40 if edge == "motion" else 3.3
    x = width * 0.45 + height / 360 * speed * np.sin(0.8 * t) * 2
    y = height * (0.45 + 0.01 * np.sin(0.5 * t))
    unit = height * 0.27

    def place(across: float, down: float) -> tuple[int, int]:
        return round((x + across * unit) * _FINER), round((y + down * unit) * _FINER)

    large = np.zeros((height * _FINER, width * _FINER), np.uint8)
    head = round(unit * _FINER * 0.8), round(unit * _FINER)
    cv2.ellipse(large, place(0, 0), head, 0, 0, 360, 255, cv2.FILLED)
    cv2.ellipse(
        large, place(0, 2.2), (round(head[0] * 1.7), round(head[1] * 1.5)), 0, 0, 360, 255, cv2.FILLED
    )
    if edge == "hair":
        for lean, length, bend, turn in strands:
            root = np.pi * (1.5 + 0.55 * np.tanh(lean))
            way = np.linspace(0, 1, 12)
            out = 0.75 + (0.45 + 0.12 * abs(length)) * way
            angle = root + 0.25 * bend * way**2 + 0.03 * np.sin(t + turn)
            points = [place(0.8 * o * np.cos(a), o * np.sin(a)) for o, a in zip(out, angle, strict=True)]
            thick = max(1, round(_FINER * height / 360 * (0.5 + 0.3 * abs(turn))))
            cv2.polylines(large, [np.array(points)], False, 255, thick)
    share = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shift = np.array([[1, 0, x - width], [0, 1, y - height]])
    colour = cv2.warpAffine(cloth, shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    return share, colour


def _contrasting(wall: np.ndarray) -> np.ndarray:
    """The same with more light and more shade, as before a window."""
    lit = np.array([200, 250, 255], np.float32) * (
        cv2.GaussianBlur(wall, (0, 0), 6).mean(2, keepdims=True) > 95
    )
    return np.asarray(cv2.GaussianBlur(np.asarray(0.25 * wall + 0.75 * lit, np.float32), (0, 0), 3))
