"""Conversion of arrays to frames in an encoder's pixel format."""

from __future__ import annotations

from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipeline.arrays import DeviceImage, Pixels

_CLEAN = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

_PIXEL_FORMATS = {
    (1, 1): "gray",
    (3, 1): "rgb24",
    (4, 1): "rgba",
    (1, 2): "gray16le",
    (3, 2): "rgb48le",
    (4, 2): "rgba64le",
}


def to_frame(image: Pixels) -> av.VideoFrame:
    """Wrap an image as a frame; copies only if its rows are not contiguous."""
    samples = image.shape[2] if image.ndim == 3 else 1
    if image.strides[1] != samples * image.itemsize or image.strides[-1] != image.itemsize:
        image = image.copy()
    return av.VideoFrame.from_numpy_buffer(cast(Any, image), format=_PIXEL_FORMATS[samples, image.itemsize])


def pad_image(image: Pixels, width: int, height: int) -> Pixels:
    """Pad the image to `width` × `height` pixels by mirroring its right and lower edge."""
    down, across = height - image.shape[0], width - image.shape[1]
    if not down and not across:
        return image
    return cast(Pixels, cv2.copyMakeBorder(image, 0, down, 0, across, cv2.BORDER_REFLECT))


def to_host(image: Pixels | DeviceImage) -> Pixels:
    """Return a frame on the host, `[H, W, C]`: itself if it is there."""
    if isinstance(image, np.ndarray):
        return image
    from pipeline.tensors import transfer

    return transfer.download_image(image)


def _lower_white(image: Pixels) -> Pixels:
    """Scale colours of 16 bits so that white is 0xFF00, which swscale takes for it; alpha stays."""
    scaled = cast(Pixels, cv2.addWeighted(image, 0xFF00 / 0xFFFF, image, 0, 0))
    if image.ndim == 3 and image.shape[2] == 4:
        scaled[..., 3] = image[..., 3]
    return scaled


class FrameConverter:
    """Converter of images to frames of one pixel format; YUV is limited-range BT.709, and tagged so."""

    def __init__(self, pixels: str) -> None:
        self._pixels = pixels
        self._yuv = not pixels.startswith(("gray", "rgb", "bgr"))
        self._reformatter = VideoReformatter()

    def __call__(self, image: Pixels) -> av.VideoFrame:
        if self._yuv and image.dtype == np.uint16:
            image = _lower_white(image)
        frame = to_frame(image)
        if frame.format.name == self._pixels:
            return av.VideoFrame.from_ndarray(cast(Any, image), format=self._pixels)
        made = self._reformatter.reformat(
            frame,
            format=self._pixels,
            dst_colorspace=Colorspace.ITU709 if self._yuv else None,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG if self._yuv else ColorRange.JPEG,
            interpolation=_CLEAN,
            threads=1,
        )
        if self._yuv:
            made.color_trc = made.color_primaries = 1  # BT.709
        return made


def bit_depth(pixels: str) -> int:
    """Return the bits per sample of a pixel format."""
    return max(part.bits for part in av.VideoFormat(pixels).components)


def mean_alpha(image: NDArray[Any], hard: bool = False) -> float:
    """Return the mean alpha of `[H, W, 4]`, 0 to 1; with `hard` after thresholding at one half.

    Samples are unsigned integers over the whole range, or floats from 0 to 1.
    """
    alpha = image[..., 3]
    most = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    return float(np.mean(alpha > most // 2) if hard else np.mean(alpha) / most)
