"""Writer of one picture: 8 bits by Pillow, 16 by OpenCV."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import cv2
import numpy as np
from PIL import Image

from pipeline.arrays import DeviceImage, Pixels
from pipeline.errors import RunError
from pipeline.files import create_part, move_into_place, remove_part, write_errors
from pipeline.formats import Format, Quality
from pipeline.languages.messages import Message
from pipeline.video.writing.encoder_frames import bit_depth, mean_alpha, to_host
from pipeline.video.writing.verify import Content, decode_image, verify_content

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 6},
    "WEBP": {"method": 4},
    "JPEG": {"subsampling": "4:4:4", "optimize": True},
}
"""Of Pillow's encoders, by format."""


class StillWriter:
    """Writer of the one frame of a picture.

    A context manager like `Writer`: an existing result stays until the new one is complete and verified.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        *,
        alpha: bool = False,
        high_bit_depth: bool = False,
        quality: Quality = "high",
    ) -> None:
        self.path = path
        self.notes: tuple[Message, ...] = ()
        self._form = form
        self._depth = bit_depth(form.choose_pixel_format(alpha=alpha, high_bit_depth=high_bit_depth))
        self._options = {key: int(value) for key, value in form.codec_options(quality).items()}
        self._image: Pixels | None = None
        self._part = create_part(path)

    def write(self, image: Pixels | DeviceImage, pts: int) -> None:
        """Take the frame: `[H, W, 3]` RGB or `[H, W, 4]` RGBA (straight alpha); `pts` is not used."""
        if self._image is not None:
            raise ValueError("a picture has one frame")
        self._image = to_host(image).copy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._image is not None:
                with write_errors(self.path.name):
                    self._part.write_bytes(self._encode(self._image))
                    self._verify(self._image)
                    move_into_place(self._part, self.path)
        finally:
            remove_part(self._part)

    def _encode(self, image: Pixels) -> bytes:
        if image.dtype == np.uint16:
            order = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
            done, encoded = cv2.imencode(self._form.suffix, cv2.cvtColor(image, order))
            if not done:
                raise RunError("writing.no_picture", name=self.path.name)
            return encoded.tobytes()
        data = io.BytesIO()
        options = _OPTIONS[self._form.container] | self._options
        Image.fromarray(cast(Any, image)).save(data, self._form.container, **options)
        return data.getvalue()

    def _verify(self, image: Pixels) -> None:
        """Decode the written file, and compare it with what was to be written."""
        data = self._part.read_bytes()
        decoded = decode_image(data)
        with Image.open(io.BytesIO(data)) as picture:
            codec = (picture.format or "").lower()
        expected = Content(
            codec=self._form.codec,
            size=(image.shape[1], image.shape[0]),
            depth=self._depth,
            times=[Fraction(0)],
            duration=None,
            mean_alpha=mean_alpha(image) if image.shape[2] == 4 else None,
        )
        actual = Content(
            codec=codec,
            size=(decoded.shape[1], decoded.shape[0]),
            depth=8 * decoded.itemsize,
            times=[Fraction(0)],
            duration=None,
            mean_alpha=mean_alpha(decoded) if decoded.ndim == 3 and decoded.shape[2] == 4 else None,
        )
        # WebP leaves out an alpha that is opaque everywhere.
        if expected.mean_alpha == 1 and actual.mean_alpha is None:
            actual = replace(actual, mean_alpha=1.0)
        verify_content(self.path.name, expected, actual)
