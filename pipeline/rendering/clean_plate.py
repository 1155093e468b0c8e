"""Clean plate of a clip in its own size: what stands behind the subject, made of the frames that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.arrays import Homography, Image, Mask, Matte
from pipeline.clip import Clip
from pipeline.compositing.images import save_png
from pipeline.compositing.plate import bounds, choose_brighter, grid_size, register_all, shift, shrink
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.rendering.survey import choose_evenly, sample_pts

_MOST_FRAMES = 24
_MOST_BYTES = 400 * 2**20
"""Frames that a plate is made of: at most `_MOST_FRAMES`, and of so many bytes together."""

_ROWS = 16
"""Rows merged at a time, so that intermediate arrays stay small."""


@dataclass(frozen=True)
class CleanPlate:
    """Clean plate of frames that are brought upon the middle one of them."""

    picture: Image
    """`[h, w, 3]`; black where nothing is known."""
    known: Mask
    """`[h, w]`."""
    origin: tuple[int, int]
    """Place of the middle frame's top left in it: x and y."""
    reference: Image
    """The middle frame, on the grid of `shrink`."""
    still: bool
    """True if the camera stands."""


def write_plate(job: Job, clip: Clip, matte_file: MatteFile, path: Path) -> None:
    """Write the clean plate of a job's range as a PNG with alpha, which is 0 where nothing was seen.

    It shows what the middle one of its frames does. Raises InputError where the frames do not register, as
    those of several scenes.
    """
    chosen = choose_frames(sample_pts(job, clip), clip)
    pairs = [(frame.image, matte) for frame, matte in matte_file.read_at(clip, chosen)]
    plate = make_plate(pairs)
    if plate is None:
        raise InputError("writing.no_plate", clip=clip.name)
    save_png(np.dstack((plate.picture, np.where(plate.known, 255, 0).astype(np.uint8))), path)


def choose_frames(pts: Sequence[int], clip: Clip, area: int = 1) -> list[int]:
    """Return those of some frames that a plate is made of, evenly spaced; `area` is that of it, in frames."""
    most = _MOST_BYTES // (4 * clip.width * clip.height * area)
    return choose_evenly(pts, min(_MOST_FRAMES, max(4, most)))


def make_plate(pairs: Sequence[tuple[Image, Matte]], wide: bool = False) -> CleanPlate | None:
    """Return the clean plate of frames, `[H, W, 3]` uint8, with their mattes, `[H, W]` uint8.

    It has the size of a frame or, `wide`, holds all of them, as far as they reach to twice its sides. None
    where the frames do not register.
    """
    ways = register_all([shrink(image, matte) for image, matte in pairs])
    if ways is None:
        return None
    image, matte = pairs[len(pairs) // 2]
    kept = [(pair, enlarge_way(way, matte)) for pair, way in zip(pairs, ways, strict=True) if way is not None]
    height, width = matte.shape
    left, top, right, bottom = 0, 0, width, height
    if wide:
        left, top, right, bottom = bounds([way for _, way in kept], width, height)
    size = right - left, bottom - top
    moved = [_bring(*pair, shift(-left, -top) @ way, size) for pair, way in kept]
    picture, known = np.zeros((size[1], size[0], 3), np.uint8), np.zeros((size[1], size[0]), np.bool_)
    for begin in range(0, size[1], _ROWS):
        rows = slice(begin, begin + _ROWS)
        colours, found = choose_brighter(
            np.stack([image[rows] for image, _ in moved]),
            np.stack([beside[rows] > 0 for _, beside in moved]),
        )
        picture[rows] = np.where(found[..., None], np.rint(colours), 0)
        known[rows] = found
    still = all(np.array_equal(way, np.eye(3)) for _, way in kept)
    return CleanPlate(picture, known, (-left, -top), shrink(image, matte)[0], still)


def enlarge_way(way: Homography, matte: Matte) -> Homography:
    """Return a homography between frames on the grid as one between frames of the matte's size."""
    height, width = matte.shape
    columns, rows = grid_size(width, height)
    across, down = columns / width, rows / height
    # Pixels' centres lie half a pixel from their corners, on either grid.
    onto = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(onto) @ way @ onto, np.float64)


def _bring(image: Image, matte: Matte, way: Homography, size: tuple[int, int]) -> tuple[Image, Matte]:
    """Return a frame as it lies on the plate, and 1 where it shows what is beside its subject."""
    reach = max(3, len(matte) // 60) | 1
    beside = np.asarray(cv2.dilate(matte, np.ones((reach, reach), np.uint8)) < 8, np.uint8)
    if np.array_equal(way, np.eye(3)) and size == matte.shape[::-1]:
        return image, beside
    moved = np.asarray(cv2.warpPerspective(image, way, size), np.uint8)
    return moved, np.asarray(cv2.warpPerspective(beside, way, size, flags=cv2.INTER_NEAREST))
