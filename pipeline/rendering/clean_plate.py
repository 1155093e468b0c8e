"""Clean plate of a clip as a picture: what stands behind the subject, in the clip's own size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from pipeline.arrays import Homography, Image, Matte
from pipeline.clip import Clip
from pipeline.compositing.plate import choose_brighter, register_all, shrink
from pipeline.errors import InputError
from pipeline.files import replacing
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.rendering.survey import sample_pts

_MOST_FRAMES = 24
_MOST_BYTES = 400 * 2**20
"""Frames that a plate is made of: at most so many, and of so many bytes together."""

_ROWS = 16
"""Rows merged at a time, so that intermediate arrays stay small."""


def write_plate(job: Job, clip: Clip, matte_file: MatteFile, path: Path) -> None:
    """Write the clean plate of a job's range as a PNG with alpha, which is 0 where nothing was seen.

    It shows what the middle one of its frames does. Raises InputError where the frames do not register, as
    those of several scenes.
    """
    pairs = [(frame.image, matte) for frame, matte in matte_file.read_at(clip, _choose_frames(job, clip))]
    ways = register_all([shrink(image, matte) for image, matte in pairs])
    if ways is None:
        raise InputError("writing.no_plate", clip=clip.name)
    merged = [_bring(*pair, way) for pair, way in zip(pairs, ways, strict=True) if way is not None]
    plate = np.zeros((clip.height, clip.width, 4), np.uint8)
    for top in range(0, clip.height, _ROWS):
        rows = slice(top, top + _ROWS)
        colours, known = choose_brighter(
            np.stack([image[rows] for image, _ in merged]),
            np.stack([beside[rows] > 0 for _, beside in merged]),
        )
        plate[rows, :, :3] = np.where(known[..., None], np.rint(colours), 0)
        plate[rows, :, 3] = np.where(known, 255, 0)
    with replacing(path) as part:
        PIL.Image.fromarray(plate).save(part, format="PNG")


def _choose_frames(job: Job, clip: Clip) -> list[int]:
    """Return the pts of the frames that a plate is made of, evenly spaced."""
    pts = sample_pts(job, clip)
    count = min(_MOST_FRAMES, max(4, _MOST_BYTES // (4 * clip.width * clip.height)), len(pts))
    return [pts[(2 * k + 1) * len(pts) // (2 * count)] for k in range(count)]


def _bring(image: Image, matte: Matte, way: Homography) -> tuple[Image, Matte]:
    """Return a frame as it lies on the reference, and 1 where it shows what is beside its subject."""
    reach = max(3, len(matte) // 60) | 1
    beside = np.asarray(cv2.dilate(matte, np.ones((reach, reach), np.uint8)) < 8, np.uint8)
    if np.array_equal(way, np.eye(3)):
        return image, beside
    height, width = matte.shape
    small = shrink(image, matte)[1].shape
    across, down = small[1] / width, small[0] / height
    # Pixels' centres lie half a pixel from their corners, on either grid.
    onto = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    full = np.linalg.inv(onto) @ way @ onto
    moved = np.asarray(cv2.warpPerspective(image, full, (width, height)), np.uint8)
    return moved, np.asarray(cv2.warpPerspective(beside, full, (width, height), flags=cv2.INTER_NEAREST))
