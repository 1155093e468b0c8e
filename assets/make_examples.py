"""Makes the clips in examples/: `python -m assets.make_examples [FOLDER]`.

Short ones of different kinds, to try the application with, and `welcome.mp4`: the sample before and after,
with a line between the two that moves. assets/README.md names the photographs in them and their terms.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from assets import make_sample
from assets.make_sample import (
    add_video,
    blur,
    encoded,
    linear,
    mux_frames,
    out_of_focus,
    photograph,
    portrait,
    pose,
    sway,
)
from pipeline.compositing.background import Picture
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.reading.frames import read_frames

WIDTH, HEIGHT = 640, 360
RATE = Fraction(24)
FRAMES = 72
POSTER_WIDTH = 320
ASSETS = Path(__file__).parent

Moment = Callable[[float], np.ndarray]
"""The light of one moment, `[HEIGHT, WIDTH, 3]` float32, by its time in seconds."""


def hand(seconds: float) -> tuple[float, float]:
    """Return by how many pixels a hand that holds a camera moves it."""
    return 5 * sway(seconds, 0.5, 1.3), 4 * sway(seconds, 0.7, 1.9)


def film(light: np.ndarray) -> Moment:
    """Film a larger picture by hand: the camera comes nearer to its middle."""
    height, width = light.shape[:2]
    # As wide as leaves the hand some room, whatever the picture's shape.
    room = max((WIDTH + 28) / width, (HEIGHT + 24) / height)

    def moment(seconds: float) -> np.ndarray:
        near = room * (1.02 + 0.06 * (0.5 - 0.5 * np.cos(np.pi * seconds * RATE / FRAMES)))
        dx, dy = hand(seconds)
        roll = np.radians(0.6 * sway(seconds, 0.4, 1.1))
        turn = near * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        shift = np.array([WIDTH / 2 + dx, HEIGHT / 2 + dy]) - turn @ (width / 2, height / 2)
        return cv2.warpAffine(
            light,
            np.hstack([turn, shift[:, None]]),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_AREA if near < 1 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )

    return moment


def person_before(behind: Moment, spill: float) -> Moment:
    """Set the portrait before something; `spill` of its light falls round the edge."""
    person = portrait()
    person[..., :3] *= 1.25  # by day
    scale = WIDTH / make_sample.WIDTH

    def moment(seconds: float) -> np.ndarray:
        wall = behind(seconds)
        u, v = pose(seconds + 1.5)
        front = cv2.remap(person, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        front = cv2.resize(front, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        opacity = np.clip(front[..., 3:], 0, 1)
        wrap = spill * opacity * np.clip(1 - blur(opacity, 4)[..., None], 0, 1) * blur(wall, 7)
        return np.asarray(np.clip(front[..., :3], 0, None) + wrap + (1 - opacity) * wall)

    return moment


def garden() -> Moment:
    found = cv2.imread(str(ASSETS / "backgrounds" / "garden.jpg"))
    assert found is not None
    light = linear(found[..., ::-1].astype(np.float32) / 255)
    return person_before(film(cv2.resize(light, (960, 540), interpolation=cv2.INTER_AREA)), 0.25)


def green_screen() -> Moment:
    """A cloth with folds, lit unevenly, as in a living room."""
    random = np.random.default_rng(8)
    y, x = np.mgrid[:420, :740].astype(np.float32)
    folds = sum(
        0.05 * np.sin(x / random.uniform(24, 60) + 0.4 * np.sin(y / 90) + random.uniform(0, 6))
        for _ in range(5)
    )
    lamp = 0.55 + 0.6 * np.exp(-(((x - 250) / 330) ** 2) - ((y - 150) / 260) ** 2)
    cloth = linear(np.array((30, 165, 62), np.float32) / 255) * ((1 + folds) * lamp)[..., None]
    return person_before(film(np.asarray(cloth, np.float32)), 0.3)


def cat() -> Moment:
    return film(linear(photograph("chelsea.png")))


def cup() -> Moment:
    return film(linear(photograph("coffee.png")))


def balls() -> Moment:
    """Two striped balls that roll over a table, before a room far out of focus."""
    random = np.random.default_rng(4)
    wood = photograph("brick.png")[..., 0].mean()
    grain = blur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), 1) * 0.3
    grain = cv2.blur(grain, (161, 1)) * 6
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    table = linear(np.array((150, 104, 66), np.float32) / 255) * (0.75 + wood / 3 + grain)[..., None]
    table *= np.clip(0.55 + (y - 210) / 260, 0, 1.2)[..., None]
    room = np.full((HEIGHT, WIDTH, 3), linear(np.array((86, 98, 112), np.float32) / 255), np.float32)
    for _ in range(26):
        colour = linear(random.uniform(0.2, 0.95, 3).astype(np.float32))
        left, top = random.uniform(-40, WIDTH), random.uniform(0, 190)
        wide, high = random.uniform(20, 90), random.uniform(30, 140)
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
        room[inside] = 0.6 * room[inside] + 0.4 * colour
    room = out_of_focus(room, 11)
    edge = np.clip((y - 214) / 6, 0, 1)[..., None]
    scene = np.asarray((1 - edge) * room + edge * table, np.float32)
    sun = np.array((-0.45, -0.75, 0.5)) / np.linalg.norm((-0.45, -0.75, 0.5))

    def ball(
        canvas: np.ndarray, place: tuple[float, float], radius: float, angle: float, inks: Any
    ) -> np.ndarray:
        u, v = (x - place[0]) / radius, (y - place[1]) / radius
        shadow = np.exp(-(((x - place[0] - 0.35 * radius) / (1.05 * radius)) ** 2))
        shadow = shadow * np.exp(-(((y - place[1] - 0.93 * radius) / (0.22 * radius)) ** 2))
        canvas = canvas * (1 - 0.65 * shadow * edge[..., 0])[..., None]
        w = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        across, along = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
        stripe = np.sin(6 * np.arctan2(along, np.hypot(across, w) + 0.2)) > 0
        ink = np.where(
            stripe[..., None], linear(np.array(inks[0], np.float32)), linear(np.array(inks[1], np.float32))
        )
        shade = 0.16 + 0.95 * np.clip(u * sun[0] + v * sun[1] + w * sun[2], 0, 1)
        half = sun + np.array((0, 0, 1))
        shine = np.clip((u * half[0] + v * half[1] + w * half[2]) / np.linalg.norm(half), 0, 1) ** 60
        body = ink * shade[..., None] + 0.7 * shine[..., None]
        cover = np.clip((1 - np.hypot(u, v)) * radius + 0.5, 0, 1)[..., None]
        return np.asarray(cover * body + (1 - cover) * canvas, np.float32)

    def moment(seconds: float) -> np.ndarray:
        way = 170 + 62 * seconds
        picture = ball(scene, (way, 236), 66, way / 66, ((0.86, 0.2, 0.16), (0.95, 0.9, 0.8)))
        back = 560 - 74 * seconds
        hop = abs(np.sin(2.4 * seconds)) * 54
        return ball(picture, (back, 276 - hop), 46, -back / 46, ((0.1, 0.32, 0.75), (0.97, 0.8, 0.2)))

    return moment


EXAMPLES = {"garden": garden, "greenscreen": green_screen, "cat": cat, "cup": cup, "balls": balls}


def shoot(moment: Moment) -> Iterator[np.ndarray]:
    """Yield the frames, `[HEIGHT, WIDTH, 3]` uint8."""
    random = np.random.default_rng(21)
    for n in range(FRAMES):
        light = np.mean([moment(float((n + 0.25 * k) / RATE)) for k in range(3)], axis=0)
        picture = encoded(light)
        picture += 0.008 * blur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), 0.7)[..., None]
        yield np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def write(path: Path, frames: list[np.ndarray], crf: int) -> None:
    """Write H.264 in an MP4, and its first frame beside it as a JPEG."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        mux_frames(container, add_video(container, WIDTH, HEIGHT, "veryslow", crf), frames)
    poster = cv2.resize(
        frames[len(frames) // 2], (POSTER_WIDTH, POSTER_WIDTH * HEIGHT // WIDTH), interpolation=cv2.INTER_AREA
    )
    cv2.imwrite(
        str(path.with_suffix(".jpg")),
        poster[..., ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, 84, cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    )
    print(f"{path}: {path.stat().st_size:,} bytes")


def welcome() -> list[np.ndarray]:
    """Cut the sample out with the application itself: left of the line is before, right of it after."""
    sample = ASSETS / "sample.mp4"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "after.mp4"
        job = Job(
            sample, made, model="recorte", background=Picture(ASSETS / "backgrounds" / "garden.jpg"), end=2.5
        )
        for _ in process(job):
            pass
        pairs = [
            [
                cv2.resize(frame.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
                for frame in read_frames(path)
            ][:60]
            for path in (sample, made)
        ]
    there_and_back = [*range(60), *range(58, 0, -1)]
    frames = []
    for n, k in enumerate(there_and_back):
        line = round(WIDTH * (0.5 + 0.36 * np.cos(2 * np.pi * n / len(there_and_back))))
        picture = np.hstack([pairs[0][k][:, :line], pairs[1][k][:, line:]])
        picture[:, line - 1 : line + 1] = 255
        frames.append(picture)
    return frames


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ASSETS / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in EXAMPLES.items():
        write(folder / f"{name}.mp4", list(shoot(scene())), 24)
    write(folder / "welcome.mp4", welcome(), 27)


if __name__ == "__main__":
    main()
