"""Background images for each frame, in the frame's size and bit depth."""

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
from pipeline.compositing.background import Blur, Colour, Fit, Footage, Picture, Words
from pipeline.compositing.canvas import composite_on_black, fit_to_canvas, multiply_alpha
from pipeline.compositing.depth_blur import blur_by_depth
from pipeline.errors import BackgroundError, VideoError
from pipeline.languages.messages import Message
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip

_SEEK_SECONDS = 2.0
"""Distance to the next requested frame, in seconds, above which the reader seeks instead of decoding on."""


class Backdrop(Protocol):
    """Source of background images. Quickest if times ascend."""

    notes: tuple[Message, ...]
    """Deviations from the request."""

    def render(self, image: Pixels, matte: Matte, seconds: float, own_alpha: Matte | None = None) -> Pixels:
        """Return the background of `image` (`[H, W, 3]` RGB) at `seconds`, of its size and dtype.

        `matte` and `own_alpha`, the image's own alpha, are `[H, W]`, uint8; None: the image is opaque.
        """

    def close(self) -> None:
        """Close the background's video, if there is one."""


def open_backdrop(background: Colour | Picture | Words | Footage | Blur, width: int, height: int) -> Backdrop:
    """Open a background for frames of this size in pixels; raises BackgroundError if it cannot be opened."""
    match background:
        case Colour(red, green, blue):
            return _StillBackdrop(np.full((height, width, 3), (red, green, blue), np.uint8))
        case Picture(path, fit) if images.is_animated(path):
            return _VideoBackdrop(path, width, height, fit, hold_last=False)
        case Picture(path, fit):
            return _open_picture(path, width, height, fit)
        case Footage(path, fit, hold_last):
            try:
                return _VideoBackdrop(path, width, height, fit, hold_last)
            except BackgroundError:  # the content decides which it is, not the name
                if not images.is_image(path):
                    raise
                return _open_picture(path, width, height, fit)
        case Words():
            raise BackgroundError("background.words_not_made")
        case Blur(radius, True):
            return DepthBlurBackdrop(radius)
        case Blur(radius):
            return BlurBackdrop(radius)


def _open_picture(path: Path, width: int, height: int, fit: Fit) -> _StillBackdrop:
    picture, holes = images.open_image_with_transparency(path, min_side=max(width, height))
    return _StillBackdrop(
        fit_to_canvas(picture, width, height, fit), (_transparency_note(path.name),) if holes else ()
    )


class _StillBackdrop:
    def __init__(self, picture: Pixels, notes: tuple[Message, ...] = ()) -> None:
        self.notes = notes
        self._picture = picture
        self._picture16: Pixels | None = None

    def render(self, image: Pixels, matte: Matte, seconds: float, own_alpha: Matte | None = None) -> Pixels:
        if image.dtype == np.uint8:
            return self._picture
        if self._picture16 is None:
            self._picture16 = _to_16_bits(self._picture)
        return self._picture16

    def close(self) -> None:
        pass


class BlurBackdrop:
    """The image's own background, blurred."""

    notes: tuple[Message, ...] = ()

    def __init__(self, radius: float) -> None:
        """`radius` is in pixels of a frame 720 high."""
        self.radius = radius

    def render(self, image: Pixels, matte: Matte, seconds: float, own_alpha: Matte | None = None) -> Pixels:
        return blur_background(*_extract_own_background(image, matte, own_alpha), self.radius)

    def close(self) -> None:
        pass


class DepthBlurBackdrop:
    """The image's own background, blurred by its depth."""

    notes: tuple[Message, ...] = ()

    def __init__(self, radius: float) -> None:
        """`radius`, at the horizon, is in pixels of a frame 720 high."""
        self.radius = radius

    def render(self, image: Pixels, matte: Matte, seconds: float, own_alpha: Matte | None = None) -> Pixels:
        return blur_by_depth(*_extract_own_background(image, matte, own_alpha), self.radius)

    def close(self) -> None:
        pass


def _extract_own_background(image: Pixels, matte: Matte, own_alpha: Matte | None) -> tuple[Pixels, Matte]:
    """Return the image without the subject where it is transparent itself, and the matte of what is left."""
    if own_alpha is None:
        return image, matte
    return _remove_subject(image, matte, own_alpha), multiply_alpha(matte, own_alpha)


class _VideoBackdrop:
    """A video background that repeats, or holds its last frame."""

    notes: tuple[Message, ...] = ()

    def __init__(self, path: Path, width: int, height: int, fit: Fit, hold_last: bool) -> None:
        try:
            self._clip = probe_clip(path)
        except VideoError as error:
            raise BackgroundError.of(error.message) from error
        self._canvas = (width, height, fit)
        self._hold_last = hold_last
        self._begins: float
        self._frame: Frame
        self._rendered: Pixels | None
        self._start(0.0, high_bit_depth=False)

    def render(self, image: Pixels, matte: Matte, seconds: float, own_alpha: Matte | None = None) -> Pixels:
        high_bit_depth = image.dtype == np.uint16
        if high_bit_depth != self._high_bit_depth or not self._begins <= seconds < self._ends + _SEEK_SECONDS:
            self.close()
            self._start(seconds, high_bit_depth)
        while self._ends <= seconds:
            self._step()
        if self._rendered is None:
            picture = self._frame.image if self._frame.image16 is None else self._frame.image16
            if self._frame.alpha is not None:
                self.notes = (_transparency_note(self._clip.name),)
            self._rendered = fit_to_canvas(composite_on_black(picture, self._frame.alpha), *self._canvas)
            if high_bit_depth and picture.dtype == np.uint8:
                self._rendered = _to_16_bits(self._rendered)
        return self._rendered

    def close(self) -> None:
        self._frames.close()

    def _start(self, seconds: float, high_bit_depth: bool) -> None:
        """Start reading at `seconds`, with the current frame and the next one."""
        self._high_bit_depth = high_bit_depth
        self._frames = self._read_loop(seconds)
        first = next(self._frames, None)
        if first is None:
            raise BackgroundError("video.nothing_decoded", name=self._clip.name)
        self._ends, self._next = first
        self._step()
        self._begins = min(self._begins, seconds)  # if the frame at this time is damaged

    def _step(self) -> None:
        self._begins, self._frame = self._ends, self._next
        self._rendered = None
        self._ends, self._next = next(self._frames, (math.inf, self._frame))

    def _read_loop(self, seconds: float) -> Generator[tuple[float, Frame], None, None]:
        """Yield (time in seconds, frame) from `seconds` on; endless unless the last frame is held."""
        clip, index = self._clip, load_index(self._clip.path)
        turn, within = (0.0, seconds) if self._hold_last else divmod(seconds, clip.duration)
        start = index.frame_at(round(within / clip.time_base))
        while True:
            decoded = False
            with closing(_read(clip, start, self._high_bit_depth)) as frames:
                for frame in frames:
                    decoded = True
                    yield turn * clip.duration + float(frame.pts * clip.time_base), frame
            if (decoded and self._hold_last) or not (decoded or start):
                return
            # If nothing can be decoded from the start frame on, begin with the whole video.
            turn, start = turn if self._hold_last else turn + 1, 0


def _read(clip: Clip, start: int, high_bit_depth: bool) -> Generator[Frame, None, None]:
    yield from read_frames(clip.path, start, high_bit_depth=high_bit_depth and clip.depth > 8)


def blur_background(image: Pixels, matte: Matte, radius: float) -> Pixels:
    """Blur the background of `image`, excluding the subject's colours.

    `image` is `[H, W, 3]` RGB, uint8 or uint16, as is the result; `matte` is `[H, W]` uint8; `radius` in
    pixels of a frame 720 high. A normalised convolution (Knutsson and Westin, 1993) weighted by the
    background's share, so that the subject leaves no halo. Works at a quarter of the size, which a blur of
    this width does not show.
    """
    height, width = matte.shape
    small = (max(1, width // 4), max(1, height // 4))
    sigma = max(0.5, radius * height / 720 / 4)
    weight = 1 - cv2.resize(matte, small, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    # A trace of weight everywhere: deep inside the subject there is no background.
    weight += 1e-3
    picture = cv2.resize(image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    soft = cv2.GaussianBlur(np.dstack((picture * weight, weight)), (0, 0), sigma)
    spread = np.rint(soft[..., :3] / soft[..., 3:]).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)
    return np.asarray(cv2.resize(spread, (width, height)), spread.dtype)


def _remove_subject(image: Pixels, matte: Matte, own_alpha: Matte) -> Pixels:
    """Remove the subject from the image, and composite the rest on black by the image's own alpha."""
    subject, opaque = matte.astype(np.float32) / 255, own_alpha.astype(np.float32) / 255
    share = (1 - subject) * opaque / np.maximum(1 - subject * opaque, 1e-6)
    return composite_on_black(image, np.rint(share * 255).astype(np.uint8))


def _transparency_note(name: str) -> Message:
    return Message("notes.background_transparent", {"name": name})


def _to_16_bits(picture: Pixels) -> NDArray[np.uint16]:
    return picture.astype(np.uint16) * np.uint16(257)
