"""The arithmetic of alpha and colour: a frame, its matte and a background become one picture.

Blending is done on the 8-bit sRGB values, as the `over` operator of Porter and Duff (1984) in the space
that editors and browsers blend in, so that a cut-out laid over a colour there looks as it does here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline import video
from pipeline.background import Background, Blur, Colour, Fit, Footage, Picture, Transparent
from pipeline.edges import CLEAN, Edges
from pipeline.errors import BackgroundError, VideoError

Pixels = NDArray[np.uint8]

Composer = Callable[[Pixels, Pixels, float], Pixels]
"""`composer(image [H, W, 3], matte [H, W], seconds)` gives `[H, W, 3]`, or `[H, W, 4]` where transparent."""

_MOST_PIXELS = 100_000_000
_KEPT_MARGIN = 9


def over(image: Pixels, matte: Pixels, behind: Pixels) -> Pixels:
    """`image` laid over `behind` (both `[H, W, 3]`) by `matte` (`[H, W]`, 0 to 255), rounded to nearest."""
    alpha = cv2.merge((matte, matte, matte))
    lit = cv2.multiply(image, alpha, scale=1 / 255, dtype=cv2.CV_16S)
    # The two products are rounded apart, so their sum may reach 256; cv2.add saturates.
    dim = cv2.multiply(behind, cv2.bitwise_not(alpha), scale=1 / 255, dtype=cv2.CV_16S)
    return np.asarray(cv2.add(lit, dim, dtype=cv2.CV_8U), np.uint8)


def cut_out(image: Pixels, matte: Pixels) -> Pixels:
    """`[H, W, 4]` with straight alpha; black where nothing of the subject is near.

    What was removed must not be in the file under alpha 0; a margin of colour stays so that scaling and
    chroma subsampling at the edge mix the subject's colour and not black.
    """
    near = cv2.dilate(matte, np.ones((_KEPT_MARGIN, _KEPT_MARGIN), np.uint8))
    kept = cv2.bitwise_and(image, image, mask=near)
    return np.dstack((kept, matte))


def blurred(image: Pixels, matte: Pixels, radius: float) -> Pixels:
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
    spread = np.rint(soft[..., :3] / soft[..., 3:]).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(spread, (width, height)), np.uint8)


def composer(background: Background, width: int, height: int, edges: Edges = CLEAN) -> Composer:
    """What lays frames of this size over `background`; raises BackgroundError where it cannot be opened."""
    match background:
        case Colour(red, green, blue):
            plain = np.full((height, width, 3), (red, green, blue), np.uint8)
            return lambda image, matte, _seconds: over(image, matte, plain)
        case Picture(path, fit):
            still = laid(opened(path), width, height, fit)
            return lambda image, matte, _seconds: over(image, matte, still)
        case Footage(path, fit):
            shown = _Footage(path, width, height, fit)
            return lambda image, matte, seconds: over(image, matte, shown.at(seconds))
        case Blur(radius):
            return lambda image, matte, _seconds: over(image, matte, blurred(image, matte, radius))
        case Transparent():
            return lambda image, matte, _seconds: cut_out(image, matte)


def opened(path: Path, name: str | None = None) -> Pixels:
    """A picture's file as upright RGB, transparency on black; raises BackgroundError.

    `name` is what the user calls the file, for sentences.
    """
    name = name or path.name
    if not path.is_file():
        raise BackgroundError(f"{name}: there is no such background picture.")
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise BackgroundError(
                    f"{name}: the picture has {picture.width} × {picture.height} pixels, which is too "
                    "many. Scale it down and try again."
                )
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip and not scale
                upright = Image.fromarray((np.asarray(upright) >> 8).clip(0, 255).astype(np.uint8))
            rgba = upright.convert("RGBA")
            ground = Image.new("RGBA", rgba.size, "black")
            return np.asarray(Image.alpha_composite(ground, rgba).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BackgroundError(
            f"{name}: this is no picture that can be used as a background. Choose a JPEG, PNG or WebP."
        ) from error


def laid(picture: Pixels, width: int, height: int, fit: Fit) -> Pixels:
    """`picture` on a `width` × `height` canvas: "fill" covers it, "fit" stays inside on black."""
    if fit == "stretch":
        return _resized(picture, width, height)
    across, down = width / picture.shape[1], height / picture.shape[0]
    scale = max(across, down) if fit == "fill" else min(across, down)
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    scaled = _resized(picture, *size)
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    inner = scaled[max(0, -top) :, max(0, -left) :][:height, :width]
    canvas[max(0, top) :, max(0, left) :][: inner.shape[0], : inner.shape[1]] = inner
    return canvas


def _resized(picture: Pixels, width: int, height: int) -> Pixels:
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


class _Footage:
    """A video behind the subject: asked for ascending times, it repeats itself."""

    def __init__(self, path: Path, width: int, height: int, fit: Fit) -> None:
        try:
            self._clip = video.probe(path)
        except VideoError as error:
            raise BackgroundError(str(error)) from error
        self._canvas = (width, height, fit)
        self._frames = self._endless()
        self._now = self._next = next(self._frames)
        self._shown = laid(self._now[1], *self._canvas)

    def _endless(self) -> Iterator[tuple[float, Pixels]]:
        for turn in itertools.count():
            for frame in video.read(self._clip.path):
                yield turn * self._clip.duration + float(frame.pts * self._clip.time_base), frame.image

    def at(self, seconds: float) -> Pixels:
        while self._next[0] <= seconds:
            self._now = self._next
            self._next = next(self._frames)
            if self._next[0] > seconds:
                self._shown = laid(self._now[1], *self._canvas)
        return self._shown
