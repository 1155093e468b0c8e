"""Walls, cloths and lights for `assets.make_backgrounds`, computed from seeded noise, without photographs.

Each function returns linear light, `[H, W, 3]` float32, of the size that its coordinates have.
"""

import cv2
import numpy as np

from assets.make_sample import blur, linear


def light(*colour: int) -> np.ndarray:
    """Return an sRGB colour, 0 to 255, as linear light."""
    return linear(np.array(colour, np.float32) / 255)


def mix(share: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `first` where `share` is 0, `second` where it is 1, and between them a mixture."""
    return np.asarray((1 - share) * first + share * second, np.float32)


def noise(seed: int, shape: tuple[int, int], across: float, down: float) -> np.ndarray:
    """Return smooth noise, `[H, W, 1]`, mean 0, deviation 1, with `across` and `down` pixels to a wave."""
    height, width = shape
    cells = max(4, round(height / down)), max(4, round(width / across))
    coarse = np.random.default_rng(seed).standard_normal(cells).astype(np.float32)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((fine - fine.mean()) / fine.std(), np.float32)[..., None]


def clouds(seed: int, shape: tuple[int, int], size: float, octaves: int = 4) -> np.ndarray:
    """Return noise of several scales, `[H, W, 1]`, each half as large and as strong as the one before."""
    layers = [0.5**n * noise(seed + n, shape, size / 2**n, size / 2**n) for n in range(octaves)]
    total = np.sum(layers, axis=0)
    return np.asarray(total / total.std(), np.float32)


def step(value: np.ndarray) -> np.ndarray:
    """Return a soft step from 0 to 1 about 0 (the logistic function)."""
    return np.asarray(0.5 + 0.5 * np.tanh(value / 2), np.float32)


def glow(x: np.ndarray, y: np.ndarray, at: tuple[float, float], reach: tuple[float, float]) -> np.ndarray:
    """Return the light of a lamp on a wall: 1 at its place, falling off softly."""
    return np.exp(-(((x - at[0]) / reach[0]) ** 2) - ((y - at[1]) / reach[1]) ** 2)


def paper(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return cream paper that hangs down and runs out over the floor, with a lamp from the left."""
    shape = x.shape[:2]
    lit = 0.5 + 0.55 * glow(x, y, (0.3, 0.3), (0.6, 0.7))
    bend = 1 - 0.1 * np.exp(-(((y - 0.84) / 0.07) ** 2)) + 0.05 * step((y - 0.9) / 0.03)
    return light(242, 230, 208) * lit * bend * (1 + 0.006 * clouds(21, shape, 90))


def blush(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a seamless studio wall in a warm pink."""
    lamp = glow(x, y, (0.62, 0.4), (0.5, 0.6))
    floor = step((y - 0.87) / 0.03)
    return mix(lamp, light(176, 104, 98), light(250, 208, 196)) * (1 - 0.22 * floor)


def dusk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sky behind the sun that has just set over a plain."""
    shape = x.shape[:2]
    stops = np.array([0, 0.32, 0.58, 0.72, 1], np.float32)
    colours = np.stack(
        [
            light(30, 38, 84),
            light(112, 84, 138),
            light(236, 140, 116),
            light(255, 206, 138),
            light(96, 62, 70),
        ]
    )
    height = y + 0.008 * noise(41, shape, 700, 200)
    bands = [np.interp(height, stops, colours[:, n]) for n in range(3)]
    air = np.concatenate(bands, axis=2).astype(np.float32)
    land = step((y - 0.78 - 0.012 * noise(43, shape, 420, 2000)) / 0.004)
    sun = glow(x, y, (0.66, 0.74), (0.4, 0.2))
    return mix(land, air + 0.35 * sun * light(255, 190, 120), light(38, 28, 42) * (1 + 0.8 * sun))


def wood(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a wall of upright oak boards."""
    shape = x.shape[:2]
    boards = 8
    number = np.floor(x * boards * 0.999).astype(int)
    random = np.random.default_rng(51)
    shade = random.uniform(0.84, 1.1, boards)[number]
    shift = random.uniform(0, 9, boards)[number]
    rings = 17 * x + 0.16 * noise(53, shape, 190, 1300) + 0.05 * noise(54, shape, 40, 900) + shift
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings) * (0.7 + 0.2 * noise(56, shape, 500, 700))
    fibre = noise(55, shape, 5, 420)
    gap = 1 - 0.7 * np.exp(-(((np.abs(x * boards - number - 0.5) - 0.5) / 0.014) ** 2))
    board = mix(0.3 * grain + 0.35, light(150, 100, 60), light(204, 154, 104)) * (1 + 0.02 * fibre)
    lit = board * shade * gap * (0.42 + 0.78 * glow(x, y, (0.4, 0.35), (0.6, 0.8)))
    return blur(np.ascontiguousarray(lit), 1.2)


def curtain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a heavy curtain in dark green that hangs in folds."""
    shape = x.shape[:2]
    spread, uneven = noise(61, shape, 300, 300)[:1], noise(62, shape, 260, 260)[:1]  # alike at all heights
    phase = 9 * (x + 0.012 * y**2 * spread) + 0.3 * uneven
    folds = 0.5 + 0.32 * np.sin(2 * np.pi * phase) + 0.18 * np.sin(4 * np.pi * phase + 1)
    cloth = mix(np.clip(folds, 0, 1) ** 1.4, light(16, 40, 36), light(58, 104, 92))
    lit = cloth * (0.4 + 0.9 * glow(x, y, (0.5, 0.3), (0.6, 0.8))) * (1 - 0.25 * y)
    return blur(np.ascontiguousarray(lit), 3)


def window(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a white wall on which the afternoon's sun falls through a window with leaves before it."""
    shape = x.shape[:2]
    u = x + 0.22 * y
    panes = np.zeros_like(u)
    for column in range(3):
        for row in range(2):
            left, top = 0.42 + 0.14 * column, 0.12 + 0.32 * row
            inside = np.minimum.reduce([u - left, left + 0.125 - u, y - top, top + 0.29 - y])
            panes = np.maximum(panes, step(inside / 0.006))
    leaves = step(3 * (clouds(71, shape, 220, 3) + 0.9 - 1.6 * glow(x, y, (0.8, 0.1), (0.4, 0.5))))
    sun = panes * (0.25 + 0.75 * blur(np.ascontiguousarray(leaves), 9)[..., None])
    wall = light(190, 184, 178) * (0.62 + 0.12 * (1 - y))
    return (wall + 0.62 * sun * light(255, 226, 178)) * (1 + 0.008 * clouds(72, shape, 60, 3))


def concrete(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a wall of cast concrete with joints, lit from above."""
    shape = x.shape[:2]
    stains = 0.05 * clouds(81, shape, 520, 5) + 0.02 * noise(85, shape, 40, 420)
    joints = np.ones_like(x)
    for place, line in ((x, (0.24, 0.76)), (y, (0.52,))):
        for at in line:
            joints = joints * (1 - 0.35 * np.exp(-(((place - at) / 0.0016) ** 2)))
    lit = 0.42 + 0.75 * glow(x, y, (0.5, 0.12), (0.62, 0.75))
    return light(168, 168, 164) * (1 + stains) * joints * lit


def lights(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return strings of warm lamps at night, far out of focus."""
    height, width = x.shape[:2]
    random = np.random.default_rng(91)
    canvas = mix(np.clip(y, 0, 1), light(12, 13, 22), light(40, 27, 26)) * np.ones_like(x)
    for string in range(6):
        sag, top, lean = random.uniform(0.04, 0.14), 0.02 + 0.15 * string, random.uniform(-0.08, 0.08)
        radius = random.uniform(20, 52) * width / 1920
        for along in np.arange(random.uniform(-0.05, 0), 1.05, random.uniform(0.06, 0.1)):
            place = along + random.uniform(-0.012, 0.012)
            hang = top + sag * (1 - 4 * (place - 0.5) ** 2) + lean * (place - 0.5)
            column, row = width * place, height * (hang + random.uniform(-0.012, 0.012))
            _add_lamp(canvas, column, row, radius, light(255, 186, 102) * random.uniform(0.06, 0.6) ** 1.4)
    return blur(np.ascontiguousarray(canvas), 1.5) + 0.3 * blur(np.ascontiguousarray(canvas), 70)


def _add_lamp(canvas: np.ndarray, column: float, row: float, radius: float, colour: np.ndarray) -> None:
    """Add a disc of light, a little brighter at its rim."""
    height, width = canvas.shape[:2]
    left, right = np.clip([int(column - radius - 3), int(column + radius + 4)], 0, width)
    upper, lower = np.clip([int(row - radius - 3), int(row + radius + 4)], 0, height)
    rows, columns = np.mgrid[upper:lower, left:right].astype(np.float32)
    away = np.hypot(columns - column, rows - row)
    body = np.clip((radius - away) / 3 + 0.5, 0, 1) * (0.7 + 0.3 * np.clip(away / radius, 0, 1) ** 6)
    canvas[upper:lower, left:right] += body[..., None] * colour


SURFACES = {
    "paper": paper,
    "blush": blush,
    "concrete": concrete,
    "window": window,
    "wood": wood,
    "curtain": curtain,
    "lights": lights,
    "dusk": dusk,
}
