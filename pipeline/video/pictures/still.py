"""Decoding of one picture as a frame: upright, in sRGB, with its alpha and its bit depth."""

from __future__ import annotations

import io
from functools import cache
from typing import Any, BinaryIO, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Exif

from pipeline.video.colour.to_rgb import RgbConverter, is_supported
from pipeline.video.pictures import jpeg
from pipeline.video.pictures.srgb import convert_deep_to_srgb, convert_mode, convert_to_srgb, white_level

MAX_PIXELS = 2**27
"""Most pixels of a frame: allows 16K and rejects the sizes that damaged files state."""

_FORMATS = ("AVIF", "BMP", "JPEG", "PNG", "TIFF", "WEBP")
_HEIF = "HEIF"
_ANIMATED_FORMATS = frozenset({"AVIF", "PNG", "WEBP", _HEIF})
"""Formats whose further pictures are an animation, and not pages or views."""

_HEIC_BRANDS = frozenset({b"heic", b"heim", b"heis", b"heix"})
"""ISO/IEC 23008-12, B.4.1: those of HEVC's still pictures."""

_ORIENTATION = 0x0112
_EXTRA_SAMPLES, _ASSOCIATED = 338, 1

_FRAME_FORMATS = {
    (2, 2): "gray16le",
    (3, 1): "rgb24",
    (3, 2): "rgb48le",
    (4, 1): "rgba",
    (4, 2): "rgba64le",
}
"""FFmpeg's pixel format by samples of a pixel (grey: 2 axes) and bytes of a sample."""


class TooManyPixels(ValueError):
    """A picture of more pixels than are decoded."""


class TooManyScans(ValueError):
    """A JPEG that takes much longer to decode than it is worth."""


@cache
def formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are read: HEIF too, where pillow-heif is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return _FORMATS
    register_heif_opener()
    return (*_FORMATS, _HEIF)


def open_still(file: BinaryIO) -> Image.Image | None:
    """Open a picture without decoding it; return None for an animation and for what is no picture.

    The first page or view counts. Raises TooManyPixels, and whatever Pillow raises for a damaged header.
    """
    try:
        picture = Image.open(file, formats=formats())
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels from error
    if picture.width * picture.height > MAX_PIXELS:
        raise TooManyPixels
    if picture.format in _ANIMATED_FORMATS and bool(getattr(picture, "is_animated", False)):
        return None
    return picture


def needs_heif(file: BinaryIO) -> bool:
    """Return True for a HEIC picture that is not read because pillow-heif is missing."""
    file.seek(0)
    head = file.read(64)
    brands = _HEIC_BRANDS & {head[at : at + 4] for at in range(8, len(head), 4)}
    return _HEIF not in formats() and head[4:8] == b"ftyp" and bool(brands)


def decode_still(data: bytes, picture: Image.Image) -> av.VideoFrame:
    """Decode a picture that was opened from these bytes.

    The frame is grey, RGB or RGBA (straight), in 8 or 16 bits, upright, in sRGB. Raises TooManyScans, and
    whatever the decoders raise for damaged data.
    """
    if jpeg.count_scans_in(data) > jpeg.MAX_SCANS:
        raise TooManyScans
    profile = picture.info.get("icc_profile")
    if (avif := _decode_deep_avif(data, picture)) is not None:
        return _to_frame(_turn(convert_deep_to_srgb(avif, profile), picture.getexif()))
    if _is_deep(picture):
        return _to_frame(_turn(convert_deep_to_srgb(_decode_deep(data, picture), profile), picture.getexif()))
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith(("I", "F")):
        pixels: NDArray[Any] = np.asarray(picture)
        grey = np.nan_to_num(pixels.astype(np.float32))
        scaled = grey * (65535 / white_level(picture, float(grey.max())))
        return _to_frame(np.rint(scaled).clip(0, 65535).astype(np.uint16))
    if not picture.has_transparency_data:
        plain = picture if picture.mode in ("L", "CMYK") else convert_mode(picture, "RGB")
        return _to_frame(np.asarray(convert_to_srgb(plain, profile)))
    clear = convert_mode(picture, "RGBA")
    colours = convert_to_srgb(clear.convert("RGB"), profile)
    return _to_frame(np.dstack((np.asarray(colours), np.asarray(clear.getchannel("A")))))


def _is_deep(picture: Image.Image) -> bool:
    """Return True for colours in 16 bits, of which Pillow would keep 8."""
    arguments = [str(tile[3]) for tile in getattr(picture, "tile", [])[:1]]
    return picture.mode in ("RGB", "RGBA", "LA") and any(";16" in words for words in arguments)


def _decode_deep_avif(data: bytes, picture: Image.Image) -> NDArray[np.uint16] | None:
    """Decode an opaque AVIF of 10 or 12 bits, of which Pillow would keep 8: `[H, W, 3]` RGB, not yet upright.

    None for any other picture, and for an AVIF that FFmpeg does not decode as a whole, such as one of tiles.
    """
    if picture.format != "AVIF" or picture.mode != "RGB":
        return None
    try:
        with av.open(io.BytesIO(data), "r") as container:
            streams = container.streams.video
            if len(streams) != 1 or max(part.bits for part in streams[0].format.components) <= 8:
                return None
            frame = next(container.decode(streams[0]), None)
    except av.FFmpegError:
        return None
    if frame is None or (frame.width, frame.height) != picture.size or not is_supported(frame):
        return None
    return cast(NDArray[np.uint16], RgbConverter().to_rgb(frame, *picture.size, high_bit_depth=True))


def _decode_deep(data: bytes, picture: Image.Image) -> NDArray[np.uint16]:
    """Decode 16 bits by OpenCV: `[H, W, 3]` RGB or `[H, W, 4]` RGBA with straight alpha, not yet upright."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ValueError("16 bits are not decoded")
    if decoded.shape[:2] != picture.size[::-1]:
        raise ValueError("another size is decoded")
    pixels = cast(
        NDArray[np.uint16],
        cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB if decoded.shape[2] == 3 else cv2.COLOR_BGRA2RGBA),
    )
    tags = getattr(picture, "tag_v2", {})
    if pixels.shape[2] == 4 and _ASSOCIATED in np.atleast_1d(tags.get(_EXTRA_SAMPLES, 0)):
        colours = pixels[..., :3] * (65535 / np.maximum(pixels[..., 3:].astype(np.float32), 1))
        pixels[..., :3] = np.rint(colours).clip(0, 65535)
    return pixels


def _turn(pixels: NDArray[np.uint16], exif: Exif) -> NDArray[np.uint16]:
    """Apply an EXIF orientation (CIPA DC-008, 4.6.5)."""
    orientation = exif.get(_ORIENTATION, 1)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _to_frame(pixels: NDArray[Any]) -> av.VideoFrame:
    samples = pixels.shape[2] if pixels.ndim == 3 else 2
    form = _FRAME_FORMATS[samples, pixels.itemsize]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form)
