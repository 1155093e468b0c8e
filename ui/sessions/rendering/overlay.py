"""Render and encode pictures of a frame and its matte for the stage."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from PIL import Image

from pipeline import arrays
from pipeline.models import classes
from ui.sessions.rendering.protocol import Encoding

if TYPE_CHECKING:
    import supervision as sv

PALETTE = ("#2f81f7", "#e8833a", "#2da44e", "#a475f9", "#d4a72c", "#1b9aaa", "#e5534b", "#c255a0", "#7d8590")
"""The colour of each object, by its number from 1; then from the start."""

_OPACITY = 0.4
_CLASS_OPACITY = 0.8
"""Opacity of the colours of classes: what is under them is seen, and they are told apart."""
TINTS = {"mask": _OPACITY, "mask-strong": 0.7, "mask-solid": 1.0, "mask-outline": 0.0}
"""Opacity of the tint in each of the views that show masks; a solid one has the colour of the object."""
_CONTRAST = 16.0
"""Distance in CIELAB of a tinted thing from itself without the tint: enough to be told at a glance."""
_DARK = 60.0
"""CIELAB lightness up to which a colour is made lighter to be told from its like, and darker beyond."""
_MOST_WIDTH = 1600
"""Stage pictures are no wider than this; a 4K frame says no more on the page."""


def _lab(colours: arrays.Floats) -> arrays.Floats:
    """CIELAB of RGB colours (`[N, 3]`, 0 to 255)."""
    lab: arrays.Floats = np.asarray(cv2.cvtColor(colours[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0])
    return lab


def choose_tint(number: int, under: arrays.Floats) -> str:
    """Choose a tint, "#rrggbb": the object's own colour, or as much lighter or darker as it takes.

    `under` is the colour that is tinted, on average: RGB (`[3]`, 0 to 255). An object's colour always goes
    the same way, and little by little, so that its tint does not flicker from frame to frame.
    """
    name = PALETTE[(number - 1) % len(PALETTE)]
    base = np.array([int(name[at : at + 2], 16) for at in (1, 3, 5)], np.float32)
    away = np.float32(255 if _lab(base[None])[0, 0] <= _DARK else 0)
    shares = np.linspace(0, 1, 33, dtype=np.float32)[:, None]
    colours = base + shares * (away - base)
    tinted = _lab(under + np.float32(_OPACITY) * (colours - under))
    contrast = np.linalg.norm(tinted - _lab(under[None]), axis=1)
    enough = np.flatnonzero(contrast >= _CONTRAST)
    chosen = colours[enough[0] if len(enough) else int(contrast.argmax())]
    red, green, blue = np.rint(chosen).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def draw_classes(image: arrays.Image, numbers: arrays.ClassMap) -> arrays.Image:
    """Draw a map of classes in their colours over the picture in grey; the background stays grey.

    `image` is `[H, W, 3]` uint8 RGB, and so is what is returned.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    coloured = classes.palette()[numbers]
    mixed = cv2.addWeighted(coloured, _CLASS_OPACITY, grey, 1 - _CLASS_OPACITY, 0)
    return np.asarray(np.where(numbers[..., None] > 0, mixed, grey // 2), np.uint8)


def draw_masks(
    image: arrays.Image, mattes: Mapping[int, arrays.Matte], opacity: float = _OPACITY
) -> arrays.Image:
    """`image` (`[H, W, 3]` RGB) with each object tinted so that it is seen, and a crisp line round it.

    `opacity` is the tint's, 0 to 1: without any there is the line alone, and at 1 the object's own colour.
    """
    masks = {number: matte > 127 for number, matte in mattes.items()}
    visible = {number: mask for number, mask in masks.items() if mask.any()}
    if not visible:
        return image
    import supervision as sv

    mask = np.stack(list(visible.values()))
    detections: sv.Detections = sv.Detections(
        xyxy=sv.mask_to_xyxy(mask), mask=mask, class_id=np.arange(len(visible))
    )
    tints = [
        PALETTE[(number - 1) % len(PALETTE)]
        if opacity == 1
        else choose_tint(number, image[under].mean(0, np.float32))
        for number, under in visible.items()
    ]
    scene = np.ascontiguousarray(image[..., ::-1])  # supervision draws in OpenCV's order, BGR
    for annotator in (
        sv.MaskAnnotator(color=sv.ColorPalette.from_hex(tints), opacity=opacity),
        sv.PolygonAnnotator(color=sv.Color.WHITE, thickness=2),
    ):
        scene = annotator.annotate(scene, detections)
    return np.ascontiguousarray(scene[..., ::-1])


def encode(
    picture: arrays.Pixels,
    width: int | None = None,
    *,
    quick: bool = False,
    encoding: Encoding = "page",
) -> tuple[bytes, str]:
    """Encode a picture as JPEG, or WebP if it has alpha, at most `width` wide; with its MIME type.

    As "png" or "jpeg" it keeps its size, and as JPEG no alpha. `quick` is for a picture that is seen for a
    moment: a little coarser, in half of the time or less.
    """
    image = Image.fromarray(picture)
    if encoding != "page":
        return _encode_whole(image, encoding)
    limit = width or _MOST_WIDTH
    if image.width > limit:
        image = image.resize((limit, max(1, round(image.height * limit / image.width))))
    out = io.BytesIO()
    if image.mode == "RGBA":
        if quick:
            image.save(
                out, "WEBP", quality=80, method=0, alpha_quality=50
            )  # lossless alpha takes twice as long
        else:
            image.save(out, "WEBP", quality=85, method=1)
        return out.getvalue(), "image/webp"
    image.save(out, "JPEG", quality=80 if quick else 88)
    return out.getvalue(), "image/jpeg"


def _encode_whole(image: Image.Image, encoding: Literal["png", "jpeg"]) -> tuple[bytes, str]:
    out = io.BytesIO()
    if encoding == "png":
        image.save(out, "PNG", compress_level=1)  # a higher one takes several times as long for little
    else:
        image.convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue(), f"image/{encoding}"


def data_url(picture: arrays.Pixels, width: int = 240) -> str:
    """Encode a small picture as a data URL (RFC 2397)."""
    data, mime = encode(picture, width)
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def crop_around(mattes: list[arrays.Matte], margin: float = 0.25) -> tuple[slice, slice]:
    """Return the rows and columns that contain all mattes (`[H, W]`) and a margin, a share of their extent.

    At least an eighth of the picture each way, so that its surroundings can be recognised.
    """
    mask = np.maximum.reduce(mattes) > 127
    spans = []
    for axis, length in enumerate(mask.shape):
        covered = np.flatnonzero(mask.any(1 - axis))
        first, last = (int(covered[0]), int(covered[-1]) + 1) if len(covered) else (0, length)
        more = max((last - first) * margin, (length / 8 - (last - first)) / 2)
        spans.append(slice(max(0, round(first - more)), min(length, round(last + more))))
    return spans[0], spans[1]
