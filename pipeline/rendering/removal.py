"""Removal of the subject from the frames of a clip: its place shows the clean plate of the scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Floats, Homography, Image, Matte, Pixels, as_floats
from pipeline.clip import Clip
from pipeline.compositing.plate import measure_shadow, register, shift, shrink
from pipeline.languages.messages import Message
from pipeline.propagation.run import Step
from pipeline.rendering.clean_plate import CleanPlate, choose_frames, enlarge_way, make_plate
from pipeline.rendering.survey import SampleReader, Survey
from pipeline.video.reading.frames import Frame

_REACH = 0.012
"""Width of the band around the matte in which the plate is shown, in heights of the frame; it eases out."""

_FAINT, _CLEAR = 8, 40
"""Darkening, of 255, up to which there is no shadow, and from which on the plate is shown in its place."""

_LEAST_GAIN, _MOST_GAIN = 0.5, 2.0
"""Bounds of a frame's exposure against the plate."""

_WIDE = 4
"""Area of a moving camera's plate, in frames, at most."""


class SubjectRemover:
    """Shows in each frame what stands behind the subject, scene by scene; frames come in their order."""

    def __init__(self, clip: Clip, surveyed: Survey, samples: Sequence[int], read: SampleReader) -> None:
        """`samples` are the pts of the frames that the plates are made of, and `read` reads them.

        The plate of a scene is made once its first frame comes, and only the latest one is held.
        """
        self._clip = clip
        self._survey = surveyed
        self._samples = samples
        self._read = read
        self._number = -1
        self._plate: CleanPlate | None = None
        self._left = self._frames = 0
        """Number of frames that were left as they are, and of all so far."""

    def remove(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Yield the steps of a run, their frames without the subject."""
        for step in steps:
            if step.pair is not None:
                frame, prediction = step.pair
                step = step._replace(pair=(self(frame, prediction.matte), prediction))
            yield step

    def __call__(self, frame: Frame, matte: Matte) -> Frame:
        """Return the frame, on the host, without the subject; `matte` is `[H, W]` uint8.

        A frame is left as it is where its scene has no plate, or it does not register with it.
        """
        self._frames += 1
        number = self._survey.scene_at(frame.pts)
        if number != self._number:
            self._number, self._plate = number, self._make(number)
        plate, coarse = self._plate, self._survey.scenes[number].plate
        frame = frame.on_host()
        if not (matte >= 8).any():
            return frame
        way = None if plate is None else _find_way(frame.image, matte, plate)
        if plate is None or coarse is None or way is None:
            self._left += 1
            return frame
        weight = _find_place(matte, measure_shadow(frame.image, matte, coarse))
        behind = _bring_back(plate, way, matte.shape[::-1])
        behind *= _measure_gain(frame.image, behind, weight)
        image = _lay(frame.image, behind, weight, 1)
        deep = None if frame.image16 is None else _lay(frame.image16, behind, weight, 257)
        return replace(frame, image=np.asarray(image, np.uint8), image16=deep)

    @property
    def notes(self) -> tuple[Message, ...]:
        """Sentence on the frames that still show the subject, if there are any."""
        if not self._left:
            return ()
        return (Message("notes.not_removed", {"count": self._left, "total": self._frames}),)

    def _make(self, number: int) -> CleanPlate | None:
        coarse = self._survey.scenes[number].plate
        if coarse is None:
            return None
        own = [pts for pts in self._samples if self._survey.scene_at(pts) == number]
        chosen = choose_frames(own, self._clip, 1 if coarse.still else _WIDE)
        plate = make_plate([(frame.image, matte) for frame, matte in self._read(chosen)], wide=True)
        return None if plate is None else replace(plate, picture=_fill_unknown(plate))


def _fill_unknown(plate: CleanPlate) -> Image:
    """Return the plate's picture with what surrounds them in the places that were never seen.

    By the method of Telea (2004), on the grid: there is nothing to be seen in them but colours.
    """
    small, unknown = shrink(plate.picture, np.where(plate.known, 0, 255).astype(np.uint8))
    painted = cv2.inpaint(small, np.asarray(unknown > 0, np.uint8), 3, cv2.INPAINT_TELEA)
    large = cv2.resize(painted, plate.known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(plate.known[..., None], plate.picture, large), np.uint8)


def _find_way(image: Image, matte: Matte, plate: CleanPlate) -> Homography | None:
    """Return the homography from a frame to the plate; None where there is none."""
    if plate.still:
        return np.eye(3)
    way = register(*shrink(image, matte), plate.reference)
    return None if way is None else shift(*plate.origin) @ enlarge_way(way, matte)


def _find_place(matte: Matte, shade: Matte | None) -> Floats:
    """Return how far the plate is shown, `[H, W]`, 0 to 1: at the subject and in its shadow."""
    reach = max(2, round(_REACH * len(matte)))
    around = cv2.dilate(matte, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    weight: Any = np.clip(around.astype(np.float32) / 128, 0, 1)
    if shade is not None:
        shown = np.clip((shade.astype(np.float32) - _FAINT) / (_CLEAR - _FAINT), 0, 1)
        weight = np.maximum(weight, cv2.dilate(shown, np.ones((reach, reach), np.uint8)))
    weight = cv2.GaussianBlur(weight, (0, 0), reach / 4)
    return as_floats(np.where(matte >= 8, 1, weight))


def _bring_back(plate: CleanPlate, way: Homography, size: tuple[int, int]) -> Floats:
    """Return the plate as it lies in a frame of a size, `[H, W, 3]`, 0 to 255."""
    if plate.still:
        return plate.picture.astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(plate.picture, way, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.float32)


def _measure_gain(image: Image, behind: Floats, weight: Floats) -> Floats:
    """Return how much brighter a frame's channels are than the plate, around the place of the subject."""
    reach = max(2, round(_REACH * len(weight)))
    wide = cv2.dilate(weight, np.ones((8 * reach + 1,) * 2, np.uint8))
    ring = np.asarray((wide > 0) & (weight < 0.01))[::2, ::2]
    if not ring.any():
        return np.ones(3, np.float32)
    ratio = (image[::2, ::2][ring].astype(np.float32) + 1) / (behind[::2, ::2][ring] + 1)
    return as_floats(np.clip(np.median(ratio, axis=0), _LEAST_GAIN, _MOST_GAIN))


def _lay(image: Pixels, behind: Floats, weight: Floats, scale: int) -> Any:
    most = np.iinfo(image.dtype).max
    laid = image + weight[..., None] * (np.minimum(behind * scale, most) - image)
    return np.rint(laid).astype(image.dtype)
