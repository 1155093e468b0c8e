"""Conversion of Pillow's pictures to sRGB, their upright size, and bounds on what Pillow decodes."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from pipeline.files import write_errors

MAX_CLAIMED_PIXELS = 2**28
"""Most pixels of a picture that Pillow opens without a warning; it refuses twice as many."""

Image.MAX_IMAGE_PIXELS = MAX_CLAIMED_PIXELS

_NODES = 33
"""Levels of each colour in a lookup table."""
_PLANAR = "gbrp16le"

_SRGB = ImageCms.createProfile("sRGB")


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels of a picture once its EXIF orientation is applied."""
    width, height = picture.size
    turned = picture.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    # Pillow gives the size of a TIFF picture as it is shown, before its pixels are turned.
    return (height, width) if turned and picture.format != "TIFF" else (width, height)


def convert_to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert grey, RGB or CMYK to RGB in sRGB by the embedded ICC profile."""
    if profile:
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if picture.mode == "L" and own.profile.xcolor_space.strip() == "RGB":
                picture = picture.convert("RGB")
            meant = ImageCms.profileToProfile(picture, own, _SRGB, outputMode="RGB")
            if meant is not None:
                return meant
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged or mismatched profile is ignored, as browsers do
    return convert_mode(picture, "RGB")


def convert_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert to a mode, without the copy that Pillow makes if it is in that mode already."""
    return picture if picture.mode == mode else picture.convert(mode)


def white_level(picture: Image.Image, peak: float) -> float:
    """Return the white value of a grey picture of more than 8 bits; `peak` is its largest value.

    White is 1 in floating point, or `peak` if larger. A TIFF may use fewer bits than its type, mostly without
    saying so: if no value needs more than 12 bits, 12 are assumed.
    """
    if picture.mode.startswith("F"):
        return max(1.0, peak)
    if picture.format == "TIFF" and peak < 4096:
        return 4095.0
    return max(65535.0, peak)


def convert_deep_to_srgb(pixels: NDArray[np.uint16], profile: bytes | None) -> NDArray[np.uint16]:
    """Convert `[H, W, 3]` RGB or `[H, W, 4]` RGBA in 16 bits to sRGB by the embedded ICC profile.

    Pillow's own conversion has 8 bits: it fills a lookup table here, between whose values is interpolated. A
    profile that is sRGB itself changes nothing.
    """
    if not profile:
        return pixels
    levels = np.rint(np.linspace(0, 255, _NODES)).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)[
        ..., ::-1
    ]  # red changes quickest
    nodes = np.ascontiguousarray(grid.reshape(-1, _NODES, 3))
    table = np.asarray(convert_to_srgb(Image.fromarray(nodes), profile))
    if np.abs(table.astype(int) - nodes).max() <= 1:
        return pixels
    return np.concatenate((_apply_table(pixels[..., :3], table.reshape(-1, 3)), pixels[..., 3:]), axis=2)


def _apply_table(rgb: NDArray[np.uint16], table: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Apply a table of `_NODES`³ colours to `[H, W, 3]` by FFmpeg's tetrahedral interpolation."""
    # Here, for the server's process converts small pictures only, and is not to load FFmpeg.
    import av
    from av.filter import Graph

    lines = [f"LUT_3D_SIZE {_NODES}", *("{:.6f} {:.6f} {:.6f}".format(*row) for row in table / 255)]
    graph, (height, width) = Graph(), rgb.shape[:2]
    with write_errors("table of colours"), tempfile.NamedTemporaryFile("w", suffix=".cube") as file:
        file.write("\n".join(lines))
        file.flush()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat(_PLANAR), time_base=Fraction(1, 1000)
        )
        applied = graph.add("lut3d", file=file.name, interp="tetrahedral")
    graph.link_nodes(source, applied, graph.add("buffersink")).configure()
    graph.push(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format=_PLANAR))
    return cast("NDArray[np.uint16]", cast(av.VideoFrame, graph.pull()).to_ndarray())
