"""What stands behind the subject of each frame: a background as pixels, in 8 bits or 16 as the frame has."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Matte, Pixels
from pipeline.clip import Clip
from pipeline.compositing import images
from pipeline.compositing.background import Blur, Colour, Fit, Footage, Picture
from pipeline.compositing.images import laid, limited, on_black
from pipeline.errors import BackgroundError, VideoError, no_frames_sentence
from pipeline.video.reading.frame_index import load_index
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.probe import probe_clip

_SKIPPED_SECONDS = 2.0
"""A longer way to the next frame that is asked for is not decoded but jumped."""


class Backdrop(Protocol):
    notes: tuple[str, ...]
    """Sentences on what was done with it otherwise than asked."""

    def at(self, image: Pixels, matte: Matte, seconds: float, own: Matte | None = None) -> Pixels:
        """Return what is behind `image` (`[H, W, 3]`) at this time, of its size and dtype.

        `matte` and `own`, the image's own alpha, are `[H, W]`, uint8; None: the image is opaque.
        """

    def close(self) -> None:
        """Let go of what is open."""


def backdrop(background: Colour | Picture | Footage | Blur, width: int, height: int) -> Backdrop:
    """For frames of this size; raises BackgroundError where the background cannot be opened."""
    match background:
        case Colour(red, green, blue):
            return _Still(np.full((height, width, 3), (red, green, blue), np.uint8))
        case Picture(path, fit) if images.moves(path):
            return _Footage(path, width, height, fit, held=False)
        case Picture(path, fit):
            return _picture(path, width, height, fit)
        case Footage(path, fit, held):
            try:
                return _Footage(path, width, height, fit, held)
            except BackgroundError:  # what a name does not tell, the content does
                if not images.known(path):
                    raise
                return _picture(path, width, height, fit)
        case Blur(radius):
            return _Blurred(radius)


def _picture(path: Path, width: int, height: int, fit: Fit) -> _Still:
    picture, holes = images.read(path, least=max(width, height))
    return _Still(laid(picture, width, height, fit), (_lies_on_black(path.name),) if holes else ())


class _Still:
    def __init__(self, picture: Pixels, notes: tuple[str, ...] = ()) -> None:
        self.notes = notes
        self._picture = picture
        self._deep: Pixels | None = None

    def at(self, image: Pixels, matte: Matte, seconds: float, own: Matte | None = None) -> Pixels:
        if image.dtype == np.uint8:
            return self._picture
        if self._deep is None:
            self._deep = _deepened(self._picture)
        return self._deep

    def close(self) -> None:
        pass


class _Blurred:
    notes: tuple[str, ...] = ()

    def __init__(self, radius: float) -> None:
        self._radius = radius

    def at(self, image: Pixels, matte: Matte, seconds: float, own: Matte | None = None) -> Pixels:
        if own is not None:
            image, matte = _unsubjected(image, matte, own), limited(matte, own)
        return blurred(image, matte, self._radius)

    def close(self) -> None:
        pass


class _Footage:
    """A video behind the subject: it repeats itself, or holds its last frame."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, width: int, height: int, fit: Fit, held: bool) -> None:
        try:
            self._clip = probe_clip(path)
        except VideoError as error:
            raise BackgroundError(str(error)) from error
        self._canvas = (width, height, fit)
        self._held = held
        self._begins: float
        self._frame: Frame
        self._laid: Pixels | None
        self._start(0.0, deep=False)

    def at(self, image: Pixels, matte: Matte, seconds: float, own: Matte | None = None) -> Pixels:
        deep = image.dtype == np.uint16
        if deep != self._deep or not self._begins <= seconds < self._ends + _SKIPPED_SECONDS:
            self.close()
            self._start(seconds, deep)
        while self._ends <= seconds:
            self._step()
        if self._laid is None:
            picture = self._frame.image if self._frame.deep is None else self._frame.deep
            if self._frame.alpha is not None:
                self.notes = (_lies_on_black(self._clip.name),)
            self._laid = laid(on_black(picture, self._frame.alpha), *self._canvas)
            if deep and picture.dtype == np.uint8:
                self._laid = _deepened(self._laid)
        return self._laid

    def close(self) -> None:
        self._frames.close()

    def _start(self, seconds: float, deep: bool) -> None:
        """Have the frame of this time, and the one after it."""
        self._deep = deep
        self._frames = self._run(seconds)
        first = next(self._frames, None)
        if first is None:
            raise BackgroundError(no_frames_sentence(self._clip.name))
        self._ends, self._next = first
        self._step()
        self._begins = min(self._begins, seconds)  # where the frame of this time is damaged

    def _step(self) -> None:
        self._begins, self._frame = self._ends, self._next
        self._laid = None
        self._ends, self._next = next(self._frames, (math.inf, self._frame))

    def _run(self, seconds: float) -> Generator[tuple[float, Frame], None, None]:
        """The frames from this time on, with their times; without end, unless the last one is held."""
        clip, index = self._clip, load_index(self._clip.path)
        turn, within = (0.0, seconds) if self._held else divmod(seconds, clip.duration)
        start = index.at(round(within / clip.time_base))
        while True:
            came = False
            with closing(_read(clip, start, self._deep)) as frames:
                for frame in frames:
                    came = True
                    yield turn * clip.duration + float(frame.pts * clip.time_base), frame
            if (came and self._held) or not (came or start):
                return
            # A start of which nothing can be decoded is made up for by the whole.
            turn, start = turn if self._held else turn + 1, 0


def _read(clip: Clip, start: int, deep: bool) -> Generator[Frame, None, None]:
    yield from read_frames(clip.path, start, deep=deep and clip.depth > 8)


def blurred(image: Pixels, matte: Matte, radius: float) -> Pixels:
    """The background of `image` out of focus, the subject's own colour left out of it.

    A normalised convolution (Knutsson and Westin, 1993): the picture is blurred with the background's share
    as weight, so that no glow of the subject stands round it. Works on a quarter of the size, which a
    blur of this width does not show.
    """
    height, width = matte.shape
    small = (max(1, width // 4), max(1, height // 4))
    sigma = max(0.5, radius * height / 720 / 4)
    weight = 1 - cv2.resize(matte, small, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    # A trace of weight everywhere: deep inside the subject there is no background to be had.
    weight += 1e-3
    picture = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    soft = cv2.GaussianBlur(np.dstack((picture * weight, weight)), (0, 0), sigma)
    spread = np.rint(soft[..., :3] / soft[..., 3:]).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)
    return np.asarray(cv2.resize(spread, (width, height)), spread.dtype)


def _unsubjected(image: Pixels, matte: Matte, own: Matte) -> Pixels:
    """Take the subject out of the image, and lay the rest on black where it is transparent itself."""
    subject, opaque = matte.astype(np.float32) / 255, own.astype(np.float32) / 255
    share = (1 - subject) * opaque / np.maximum(1 - subject * opaque, 1e-6)
    return on_black(image, np.rint(share * 255).astype(np.uint8))


def _lies_on_black(name: str) -> str:
    return f"{name}: this background is transparent in part, and lies on black there."


def _deepened(picture: Pixels) -> NDArray[np.uint16]:
    return picture.astype(np.uint16) * np.uint16(257)
