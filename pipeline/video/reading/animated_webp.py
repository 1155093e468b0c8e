"""Reading of animated WebP (RFC 9649) as a video: FFmpeg decodes still WebP only.

The frames are remuxed as stills into Matroska, which FFmpeg reads; each decodes to a region of the canvas and
is drawn over what the frames before it have left there.
"""

from __future__ import annotations

import tempfile
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.video.colour.to_rgb import ACCURATE_SCALING
from pipeline.video.pictures.matroska import Block, write_matroska
from pipeline.video.webp import WebPFrame, canvas_size, parse_frames


def open_animation(path: Path) -> tuple[BinaryIO, Canvas] | None:
    """Remux an animation into an unnamed Matroska file; return it with its canvas, None for other files."""
    with path.open("rb") as file:
        size = canvas_size(file)
        frames = list(parse_frames(file)) if size else []
        if size is None or not frames:
            return None
        copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by the caller
        try:
            times = _remux(file, frames, size, copy)
        except BaseException:
            copy.close()
            raise
    copy.seek(0)
    return copy, Canvas(size, dict(zip(times, frames, strict=True)))


def _remux(file: BinaryIO, frames: list[WebPFrame], size: tuple[int, int], copy: BinaryIO) -> list[int]:
    """Write the frames into a Matroska container; return their times in milliseconds."""
    durations = [max(1, picture.milliseconds) for picture in frames]
    times = [0, *accumulate(durations[:-1])]
    blocks = (
        Block(time, duration, not time or (picture.no_blend and picture.covers(size)), picture.to_still(file))
        for time, duration, picture in zip(times, durations, frames, strict=True)
    )
    write_matroska(copy, size, blocks)
    return times


class Canvas:
    """Canvas that frames of an animation are drawn on, by their blending and disposal flags."""

    def __init__(self, size: tuple[int, int], pictures: dict[int, WebPFrame]) -> None:
        """`size` is width and height in pixels; `pictures` maps times in milliseconds to frames."""
        self._size = size
        self._pictures = pictures
        self._canvas = np.zeros((0, 0, 4), np.uint8)
        self._before: WebPFrame | None = None
        self._reformatter = VideoReformatter()

    def draw(self, frame: VideoFrame) -> VideoFrame:
        """Draw a decoded frame on the canvas; return the whole canvas as an RGBA frame with its times."""
        picture = self._pictures[cast(int, frame.pts)]
        if self._before is None or frame.pts == 0:
            self._canvas, self._before = np.zeros((*self._size[::-1], 4), np.uint8), None
        limited = frame.format.name.startswith("yuv")
        decoded = self._reformatter.reformat(
            frame,
            format="rgba",
            src_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG if limited else ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=ACCURATE_SCALING,
            threads=1,  # with several the last rows of alpha are lost at times
        ).to_ndarray()
        if self._before is not None and self._before.dispose:
            self._region(self._before)[...] = 0
        part = self._region(picture)
        pixels = cast(NDArray[np.uint8], decoded[: part.shape[0], : part.shape[1]])
        part[...] = pixels if picture.no_blend else _blend(pixels, part)
        self._before = picture
        drawn = VideoFrame.from_ndarray(self._canvas, format="rgba")
        drawn.pts, drawn.dts, drawn.time_base, drawn.duration = (
            frame.pts,
            frame.dts,
            frame.time_base,
            frame.duration,
        )
        return drawn

    def _region(self, picture: WebPFrame) -> NDArray[np.uint8]:
        """Return the frame's region of the canvas, as a view `[h, w, 4]`."""
        left, top = picture.offset
        width, height = picture.size
        return self._canvas[top : top + height, left : left + width]


def _blend(image: NDArray[np.uint8], behind: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend `image` over `behind`, both `[h, w, 4]` uint8 RGBA with straight alpha: RFC 9649, 2.7.1.1."""
    own = image[..., 3:].astype(np.float32)
    other = behind[..., 3:] * (1 - own / 255)
    alpha = own + other
    colours = (image[..., :3] * own + behind[..., :3] * other) / np.maximum(alpha, 1e-6)
    return np.rint(np.concatenate((colours, alpha), axis=2)).astype(np.uint8)
