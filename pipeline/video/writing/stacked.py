"""Foreground above its matte in one video, for players that know no transparency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import cv2
import numpy as np

from pipeline.arrays import DeviceImage, Pixels
from pipeline.formats import Format
from pipeline.languages.messages import Message
from pipeline.video.writing.encoder_frames import pad_image, to_host
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.writer import Writer


class StackedWriter:
    """Writer of RGBA frames as a video of twice their height: straight colours above, alpha as grey below.

    Both halves are padded, so that they are of one size and no sample of colour belongs to both. Colours stay
    straight: behind a loss of the encoder, premultiplied ones would exceed their alpha and shine along edges.
    """

    def __init__(self, path: Path, form: Format, shape: StreamSpec, **options: Any) -> None:
        """Open the file; `options` are those of `Writer`."""
        self.path = path
        self._half = form.padded_size(shape.width, shape.height)
        width, height = form.encoded_size(shape.width, shape.height)
        stacked = replace(shape, width=width, height=height)
        self._writer = Writer(path, replace(form, content="picture"), stacked, **options)
        self.notes: tuple[Message, ...] = self._writer.notes

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Add `[H, W, 4]` RGBA (straight alpha) at `pts` ticks."""
        image = pad_image(to_host(image), *self._half)
        matte = cv2.merge((image[..., 3],) * 3)
        self._writer.write(cast(Pixels, np.concatenate((image[..., :3], matte))), pts)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)
