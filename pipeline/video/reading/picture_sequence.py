"""Picture sequences: PNG or EXR pictures in a folder or a ZIP file, in the order of their numbers."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import NamedTuple, Self

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from pipeline.arrays import Floats, as_floats
from pipeline.errors import InputError
from pipeline.video.pictures.still import MAX_PIXELS

SUFFIXES = (".png", ".exr")

_MOST_BYTES = 2**30
"""Of one picture's file: more than an uncompressed one of 8K in floats."""


class GreyPicture(NamedTuple):
    """One picture: its brightness, and its alpha if it has one."""

    grey: Floats
    """`[H, W]`, 0 to 1."""
    alpha: Floats | None
    """`[H, W]`, 0 to 1; None: the picture has none, or is opaque everywhere."""


class PictureSequence:
    """Pictures of a folder or of a ZIP file; a context manager. Raises InputError where there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive: zipfile.ZipFile | None = None
        try:
            if path.is_dir():
                found = [file.name for file in path.iterdir() if file.is_file()]
            else:
                self._archive = zipfile.ZipFile(path)
                found = [item.filename for item in self._archive.infolist() if not item.is_dir()]
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise InputError("matte_in.unreadable", name=path.name, picture=path.name) from error
        self.names = sorted((name for name in found if _is_picture(name)), key=_natural)
        """In the order of the numbers in them."""
        if not self.names:
            self.close()
            raise InputError("matte_in.no_pictures", name=path.name)

    @staticmethod
    def is_sequence(path: Path) -> bool:
        """Return True for a folder and for a ZIP file, of whatever content."""
        return path.is_dir() or (path.is_file() and zipfile.is_zipfile(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ZIP file."""
        if self._archive is not None:
            self._archive.close()

    def read(self, number: int) -> GreyPicture:
        """Read picture `number`, from 0 on. Raises InputError for one that cannot be decoded."""
        name = self.names[number]
        try:
            decoded = _decode(self._bytes(name), name)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise self._unreadable(name) from error
        if decoded is None:
            raise self._unreadable(name)
        return decoded

    def _bytes(self, name: str) -> bytes:
        if self._archive is None:
            return _bytes(self._path / name)
        if self._archive.getinfo(name).file_size > _MOST_BYTES:
            raise ValueError(name)
        return self._archive.read(name)

    def _unreadable(self, name: str) -> InputError:
        return InputError("matte_in.unreadable", name=self._path.name, picture=Path(name).name)


def read_picture(path: Path) -> GreyPicture | None:
    """Read a single PNG or EXR picture; None for a file that cannot be decoded."""
    try:
        return _decode(_bytes(path), path.name)
    except (OSError, ValueError):
        return None


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(path.name)
    return path.read_bytes()


def _decode(data: bytes, name: str) -> GreyPicture | None:
    """Decode a picture, as EXR or PNG by its name; None for what is none."""
    try:
        return _decode_exr(data) if name.lower().endswith(".exr") else _decode_png(data)
    except (av.error.FFmpegError, cv2.error, OSError, EOFError, ValueError, RuntimeError):
        return None


def _is_picture(name: str) -> bool:
    place = Path(name)
    hidden = place.name.startswith(".") or "__MACOSX" in place.parts
    return place.suffix.lower() in SUFFIXES and not hidden


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which frame2 comes before frame10."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part
    ]


def _decode_png(data: bytes) -> GreyPicture | None:
    # The header's size (ISO/IEC 15948, 11.2.2), before memory is taken for the picture.
    if int.from_bytes(data[16:20]) * int.from_bytes(data[20:24]) > MAX_PIXELS:
        return None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        return None
    scaled = as_floats(picture) / np.float32(65535 if picture.dtype == np.uint16 else 255)
    if scaled.ndim == 2:
        return GreyPicture(scaled, None)
    return _split(scaled[..., 2::-1], scaled[..., 3] if scaled.shape[2] == 4 else None)


def _decode_exr(data: bytes) -> GreyPicture | None:
    """Decode as OpenEXR stores it: linear, so that a matte's values are those of the file."""
    decoder = VideoCodecContext.create("exr", "r")
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    if not frames:
        return None
    frame = frames[0]
    colours = frame.format.name.startswith("gbr")
    opaque = not any(part.is_alpha for part in frame.format.components)
    if not colours:
        grey = as_floats(frame.reformat(format="grayf32le").to_ndarray())
        return GreyPicture(_clip(grey), None)
    pixels = _clip(as_floats(frame.reformat(format="gbrpf32le" if opaque else "gbrapf32le").to_ndarray()))
    return _split(pixels[..., :3], None if opaque else pixels[..., 3])


def _clip(pixels: Floats) -> Floats:
    return as_floats(np.clip(np.nan_to_num(pixels), 0, 1))


def _split(rgb: Floats, alpha: Floats | None) -> GreyPicture:
    grey = as_floats(rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    return GreyPicture(grey, None if alpha is None or bool((alpha >= 1).all()) else alpha)
