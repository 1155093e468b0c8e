"""Pictures of a frame and its matte, as the stage shows them."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import supervision as sv

Pixels = NDArray[np.uint8]

_TINT = "#2f81f7"
_OPACITY = 0.4
_MOST_WIDTH = 1600
"""Stage pictures are no wider than this; a 4K frame says no more on the page."""


@cache
def _annotators() -> tuple[Any, Any]:
    import supervision as sv

    return (
        sv.MaskAnnotator(color=sv.Color.from_hex(_TINT), opacity=_OPACITY),
        sv.PolygonAnnotator(color=sv.Color.WHITE, thickness=2),
    )


def tinted(image: Pixels, matte: Pixels) -> Pixels:
    """`image` (`[H, W, 3]` RGB) with the subject tinted and a crisp line round it."""
    mask = matte > 127
    if not mask.any():
        return image
    import supervision as sv

    found: sv.Detections = sv.Detections(
        xyxy=sv.mask_to_xyxy(mask[None]), mask=mask[None], class_id=np.zeros(1, int)
    )
    scene = np.ascontiguousarray(image[..., ::-1])  # supervision draws in OpenCV's order, BGR
    for annotator in _annotators():
        scene = annotator.annotate(scene, found)
    return np.ascontiguousarray(scene[..., ::-1])


def encoded(picture: Pixels, width: int | None = None) -> tuple[bytes, str]:
    """A picture file and its MIME type: JPEG, or WebP where there is alpha; no wider than `width`."""
    image = Image.fromarray(picture)
    limit = width or _MOST_WIDTH
    if image.width > limit:
        image = image.resize((limit, max(1, round(image.height * limit / image.width))))
    out = io.BytesIO()
    if image.mode == "RGBA":
        image.save(out, "WEBP", quality=85, method=1)
        return out.getvalue(), "image/webp"
    image.save(out, "JPEG", quality=88)
    return out.getvalue(), "image/jpeg"


def strip(pictures: list[Pixels], height: int = 56) -> bytes:
    """Thumbnails side by side, as a JPEG."""
    small = [Image.fromarray(p) for p in pictures]
    small = [p.resize((max(1, round(p.width * height / p.height)), height)) for p in small]
    row = Image.new("RGB", (sum(p.width for p in small), height))
    left = 0
    for picture in small:
        row.paste(picture, (left, 0))
        left += picture.width
    out = io.BytesIO()
    row.save(out, "JPEG", quality=80)
    return out.getvalue()


def save_png(picture: Pixels, path: Path) -> None:
    Image.fromarray(picture).save(path, format="PNG", compress_level=1)
