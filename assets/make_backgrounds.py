"""Makes the pictures in backgrounds/: `python -m assets.make_backgrounds [FOLDER]`.

Each is what stands far behind a person: soft, calm in the middle, darker towards the corners. README.md here
names the one photograph among them and its terms.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from assets.make_sample import blur, encoded, linear, out_of_focus, photograph
from assets.surfaces import SURFACES

WIDTH, HEIGHT = 1920, 1080


def light(*colour: int) -> np.ndarray:
    """An sRGB colour, as light."""
    return linear(np.array(colour, np.float32) / 255)


def places() -> tuple[np.ndarray, np.ndarray]:
    """Across and down, each `[HEIGHT, WIDTH, 1]`: from 0 to 1."""
    x, y = np.meshgrid(
        np.linspace(0, 1, WIDTH, dtype=np.float32), np.linspace(0, 1, HEIGHT, dtype=np.float32)
    )
    return x[..., None], y[..., None]


def between(share: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray((1 - share) * first + share * second, np.float32)


def studio() -> np.ndarray:
    """A paper backdrop with a lamp on it, rolled out over the floor."""
    x, y = places()
    lamp = np.exp(-(((x - 0.42) / 0.42) ** 2) - ((y - 0.36) / 0.5) ** 2)
    paper = between(lamp, light(58, 70, 84), light(206, 212, 214))
    floor = 1 / (1 + np.exp(-(y - 0.86) / 0.035))
    return paper * (1 - 0.28 * floor)


def discs(
    random: np.random.Generator, count: int, radius: tuple[int, int], top: float, bottom: float
) -> np.ndarray:
    """Draw the places of lights out of focus, `[count, 3]`: x, y, radius."""
    x = random.uniform(0, 1, count) * WIDTH
    y = random.uniform(top, bottom, count) * HEIGHT
    return np.stack([x, y, random.uniform(*radius, count)], axis=1)


def add_disc(canvas: np.ndarray, disc: np.ndarray, glow: np.ndarray) -> None:
    """Add one light, a little brighter at its rim as lenses draw it."""
    x0, y0, radius = disc
    left, right = max(0, int(x0 - radius - 3)), min(WIDTH, int(x0 + radius + 4))
    upper, lower = max(0, int(y0 - radius - 3)), min(HEIGHT, int(y0 + radius + 4))
    y, x = np.mgrid[upper:lower, left:right]
    away = np.hypot(x - x0, y - y0)
    body = np.clip((radius - away) / 3 + 0.5, 0, 1) * (0.75 + 0.25 * (away / radius) ** 6)
    canvas[upper:lower, left:right] += body[..., None].astype(np.float32) * glow


def city() -> np.ndarray:
    """A street at night, far out of focus."""
    random = np.random.default_rng(11)
    _, y = places()
    canvas = between(np.clip(y * 1.2, 0, 1), light(13, 18, 40), light(46, 30, 44))
    lamps = [
        light(255, 178, 84),
        light(255, 214, 150),
        light(255, 96, 70),
        light(90, 190, 255),
        light(150, 255, 220),
    ]
    for disc in discs(random, 130, (30, 58), 0.26, 0.98):
        lamp = lamps[random.choice(len(lamps), p=(0.36, 0.26, 0.16, 0.14, 0.08))]
        add_disc(canvas, disc, lamp * random.uniform(0.05, 0.5))
    return blur(canvas, 1.5) + 0.25 * blur(canvas, 60)


def garden() -> np.ndarray:
    """Leaves with the sun behind them, far out of focus."""
    random = np.random.default_rng(5)
    x, y = places()
    sun = np.exp(-(((x - 0.72) / 0.45) ** 2) - ((y - 0.1) / 0.55) ** 2)
    canvas = between(sun, light(28, 60, 34), light(206, 214, 128))
    leaves = [light(64, 110, 44), light(110, 150, 60), light(30, 70, 40), light(170, 180, 80)]
    for disc in discs(random, 240, (40, 150), 0, 1):
        leaf = leaves[random.integers(len(leaves))]
        column, row = disc[:2].astype(int)
        add_disc(canvas, disc, leaf * random.uniform(-0.25, 0.5) * (0.3 + sun[row, column]))
    for disc in discs(random, 36, (18, 52), 0, 0.5):
        column, row = disc[:2].astype(int)
        add_disc(canvas, disc, light(255, 246, 190) * 0.5 * sun[row, column])
    return blur(np.clip(canvas, 0, None), 5)


def brick() -> np.ndarray:
    """A brick wall, lit from one side."""
    x, y = places()
    wall = np.rot90(photograph("brick.png")[..., 0])  # photographed standing on end
    wall = cv2.resize(np.ascontiguousarray(wall[60:348, :]), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wall = np.clip((wall[..., None] - 0.2) / 0.5, 0, 1)
    lit = between(wall**1.5, light(176, 74, 50), light(214, 186, 164)) * (0.35 + 0.65 * wall)
    lamp = 0.12 + 1.9 * np.exp(-(((x - 0.3) / 0.36) ** 2) - ((y - 0.3) / 0.6) ** 2)
    return out_of_focus(np.ascontiguousarray(lit * lamp, np.float32), 10)


PICTURES = {"studio": studio, "city": city, "garden": garden, "brick": brick}

_QUALITY, _SURFACE_QUALITY = 88, 82
"""Of the JPEG: what is as calm as the surfaces shows no blocks at the lower one."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("backgrounds")
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    x, y = places()
    corners = 1 - 0.55 * np.clip(np.hypot(x - 0.5, (y - 0.5) * 0.8) - 0.2, 0, 1)
    for name in (*PICTURES, *SURFACES):
        light, quality = (
            (PICTURES[name](), _QUALITY) if name in PICTURES else (SURFACES[name](x, y), _SURFACE_QUALITY)
        )
        # A grain of less than a step keeps the soft gradients from showing their steps.
        picture = encoded(light * corners) * 255 + random.normal(0, 0.8, (HEIGHT, WIDTH, 1))
        pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)[..., ::-1]
        path = folder / f"{name}.jpg"
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
