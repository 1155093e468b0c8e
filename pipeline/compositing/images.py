"""Safe reading of image files as upright sRGB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import BackgroundError
from pipeline.files import replacing
from pipeline.video.pictures import jpeg
from pipeline.video.pictures.srgb import (
    MAX_CLAIMED_PIXELS,
    convert_mode,
    convert_to_srgb,
    upright_size,
    white_level,
)

_MAX_PIXELS = 89_000_000
"""Most pixels of a decoded image. A JPEG with more, up to `MAX_CLAIMED_PIXELS`, is decoded at a reduced size:
phones take photographs of 200 million pixels."""

_ANIMATED_FORMATS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Formats whose frames are an animation, and not pages or views."""

_EXTERNAL_FORMATS = frozenset({"EPS", "WMF"})
"""Formats that Pillow passes to another program instead of decoding them."""


def open_image(path: Path, name: str | None = None, min_side: int | None = None) -> NDArray[np.uint8]:
    """Read an image file as upright sRGB on black, `[H, W, 3]` uint8; raises BackgroundError.

    Reads the first image of a file. `name` is the user's name of it, for error messages. With `min_side` an
    image much larger than that (in pixels) is reduced while it is read, both sides staying at least so long.
    So is a JPEG that would take too much memory.
    """
    return open_image_with_transparency(path, name, min_side)[0]


def open_image_with_transparency(
    path: Path, name: str | None = None, min_side: int | None = None
) -> tuple[NDArray[np.uint8], bool]:
    """Read an image like `open_image`; return it with True if it has transparency."""
    with _open(path, name or path.name) as picture:
        _reduce(picture, min_side)
        if picture.width * picture.height > _MAX_PIXELS:
            raise Image.DecompressionBombError
        if picture.format in _EXTERNAL_FORMATS:
            raise ValueError(f"{picture.format} is not decoded")
        decoded, holes = _decode(picture, min_side)
        return np.asarray(decoded), holes


def read_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels of an image file as it is shown, from its header alone.

    Raises as `open_image`.
    """
    with _open(path, path.name) as picture:
        return upright_size(picture)


def save_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write `[H, W, 3]` RGB or `[H, W, 4]` straight RGBA as a PNG, in one step. Raises OSError."""
    with replacing(path) as part:
        Image.fromarray(pixels).save(part, format="PNG")


def is_animated(path: Path) -> bool:
    """Return True if the file is an animated image."""
    try:
        with Image.open(path) as picture:
            return picture.format in _ANIMATED_FORMATS and bool(getattr(picture, "is_animated", False))
    except Exception:  # as above: the error is raised when it is opened
        return False


def is_image(path: Path) -> bool:
    """Return True if the file's content is an image."""
    try:
        with Image.open(path) as picture:
            return picture.format not in _EXTERNAL_FORMATS
    except Exception:
        return False


@contextmanager
def _open(path: Path, name: str) -> Iterator[Image.Image]:
    """Open an image file; errors of it and of the block become BackgroundError."""
    if not path.is_file():
        raise BackgroundError("background.not_found", name=name)
    if jpeg.count_scans(path) > jpeg.MAX_SCANS:
        raise BackgroundError("background.too_many_scans", name=name, most=jpeg.MAX_SCANS)
    try:
        with Image.open(path) as picture:
            yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BackgroundError("background.too_many_pixels", name=name, most=_MAX_PIXELS // 1000000) from error
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise BackgroundError("background.no_picture", name=name) from error


def _reduce(picture: Image.Image, min_side: int | None) -> None:
    """Let a JPEG be decoded smaller by a power of two: down to `min_side`, or below the largest size."""
    pixels = picture.width * picture.height
    if pixels > MAX_CLAIMED_PIXELS or (pixels <= _MAX_PIXELS and not min_side):
        return
    times = next(n for n in (1, 2, 4, 8) if pixels <= _MAX_PIXELS * n * n)
    if min_side:
        times = max(times, min(picture.size) // min_side)
    picture.draft(None, (max(1, picture.width // times), max(1, picture.height // times)))


def _decode(picture: Image.Image, min_side: int | None) -> tuple[Image.Image, bool]:
    """Convert to sRGB on black; return it with True if it has transparency."""
    ImageOps.exif_transpose(picture, in_place=True)
    profile = picture.info.get("icc_profile")
    plain = _to_8_bits(picture)
    if min_side:
        plain = plain.reduce(max(1, min(plain.size) // min_side))
    if plain.mode != "RGBA":
        return convert_to_srgb(plain, profile), False
    ground, alpha = Image.new("RGB", plain.size), plain.getchannel("A")
    ground.paste(convert_to_srgb(plain.convert("RGB"), profile), mask=alpha)
    return ground, alpha.getextrema()[0] != 255


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Convert to 8 bits per channel: grey, RGB, CMYK, or RGBA if it has transparency."""
    if picture.mode.startswith(("I", "F")):  # more than 8 bits of grey, which Pillow would clip and not scale
        grey = np.nan_to_num(np.asarray(picture, np.float32))
        level = 255 / white_level(picture, float(grey.max()))
        return Image.fromarray(np.rint(grey * level).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        return convert_mode(picture, "RGBA")
    return picture if picture.mode in ("L", "CMYK") else convert_mode(picture, "RGB")
