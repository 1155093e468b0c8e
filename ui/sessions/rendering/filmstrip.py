"""Filmstrip of a clip for the timeline: thumbnails side by side, in one JPEG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.clip import Clip
from pipeline.compositing.canvas import composite_on_black
from pipeline.files import replacing
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index

_THUMBNAILS = 12
_HEIGHT = 56


def write(clip: Clip, path: Path) -> None:
    """Write thumbnails of evenly spaced frames of a clip; one that cannot be decoded is that of another."""
    order = load_index(clip.path).pts
    chosen = [order[k * len(order) // _THUMBNAILS] for k in range(_THUMBNAILS)]
    pictures = {
        frame.pts: Image.fromarray(np.asarray(composite_on_black(frame.image, frame.alpha), np.uint8))
        for frame in read_frames(clip.path, only=set(chosen))
    }
    fallback = next(iter(pictures.values()))
    thumbnails = [_shrink(pictures.get(pts, fallback)) for pts in chosen]
    strip = Image.new("RGB", (sum(thumbnail.width for thumbnail in thumbnails), _HEIGHT))
    left = 0
    for thumbnail in thumbnails:
        strip.paste(thumbnail, (left, 0))
        left += thumbnail.width
    with replacing(path) as part:
        strip.save(part, "JPEG", quality=80)


def _shrink(picture: Image.Image) -> Image.Image:
    return picture.resize((max(1, round(picture.width * _HEIGHT / picture.height)), _HEIGHT))
