"""The pictures of a clip: one file, or numbered ones in a folder or a ZIP file. Nothing is ever unpacked."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image

from pipeline.clip import PICTURE_SUFFIXES
from pipeline.errors import VideoError
from pipeline.video.pictures.srgb import upright_size
from pipeline.video.pictures.still import (
    MAX_PIXELS,
    TooManyPixels,
    TooManyScans,
    needs_heif,
    open_still,
)

TIMES_TABLE = "times.csv"
"""File name of a table of times: the name of each picture, its begin and its duration in seconds."""

_MOST_BYTES = 2**30
"""Of one picture's file: more than an uncompressed one of 8K in 16 bits."""
_MOST_PACKED = 2**26, 200
"""Bytes of a picture in a ZIP file that are too many where they were packed so many times smaller."""
_MOST_FILES = 200_000

_Times = tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True)
class Pictures:
    """The pictures of a clip, in order; all are of one size."""

    path: Path
    name: str
    """The user's name of it, for sentences."""
    names: tuple[str, ...]
    """File names within a folder or ZIP file; one empty name where `path` is the picture itself."""
    codec: str
    size: tuple[int, int]
    """Width and height of the upright pictures, in pixels."""
    missing: int = 0
    """Count of those that are missing by their numbers."""
    times: _Times | None = None
    """Begin and duration of each in seconds, by a table; None: they follow each other at any one rate."""

    def read(self, number: int) -> tuple[bytes, Image.Image]:
        """Read picture `number`, from 0 on; return its file's bytes and the opened picture.

        Raises VideoError where that is no picture, is too large, or is gone.
        """
        with self.errors(number), _open_container(self.path) as container:
            with container.open(self.names[number]) as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise TooManyPixels
            picture = open_still(io.BytesIO(data))
            if picture is None:
                raise ValueError(self.names[number])
            return data, picture

    def check_size(self, number: int, size: tuple[int, int]) -> None:
        """Raise VideoError where the size of a decoded picture, in pixels, is not that of the first one."""
        if size != self.size:
            first, this = _label(self.name, self.names[0]), _label(self.name, self.names[number])
            raise _other_size(self.name, first, self.size, this, size)

    @contextmanager
    def errors(self, number: int) -> Iterator[None]:
        """Map what decoders raise for a picture to VideoError."""
        with _picture_errors(_label(self.name, self.names[number])):
            yield


def find_pictures(path: Path, name: str | None = None) -> Pictures | None:
    """Return the pictures at a path: a picture, a folder or a ZIP file; None for anything else.

    `name` is the user's name of it, for sentences. They are listed once for each state of the path; the last
    16 paths are cached. Raises VideoError for pictures that cannot be one clip.
    """
    stat = path.stat()
    return _find_pictures(path, name or path.name, stat.st_mtime_ns, stat.st_size)


def is_picture(path: Path) -> bool:
    """Return True if a path is that of one picture, by its content."""
    try:
        pictures = find_pictures(path)
    except (OSError, VideoError):
        return False
    return pictures is not None and len(pictures.names) == 1


@lru_cache(maxsize=16)
def _find_pictures(path: Path, name: str, _mtime_ns: int, _size: int) -> Pictures | None:
    with _picture_errors(name):
        if path.is_dir() or _is_zip(path):
            with _open_container(path) as container:
                return _list_numbered(path, name, container)
        with path.open("rb") as file:
            picture = open_still(file)
            if picture is None and needs_heif(file):
                raise VideoError("pictures.heic", name=name)
            if picture is None:
                return None
            return Pictures(path, name, ("",), _codec(picture), upright_size(picture))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"PK\3\4", b"PK\5\6")


class _Container:
    """Files of a folder or ZIP file by name, or the one file itself by an empty name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self._path = path
        self._archive = archive

    def list(self) -> list[str]:
        if self._archive is None:
            with os.scandir(self._path) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        return [item.filename for item in self._archive.infolist() if not item.is_dir()]

    def open(self, name: str) -> BinaryIO:
        if self._archive is None:
            return (self._path / name if name else self._path).open("rb")
        item = self._archive.getinfo(name)
        most, times = _MOST_PACKED
        if item.file_size > most and item.file_size > times * item.compress_size:
            raise TooManyPixels
        return cast(BinaryIO, self._archive.open(item))


@contextmanager
def _open_container(path: Path) -> Iterator[_Container]:
    if path.is_dir() or not _is_zip(path):
        yield _Container(path, None)
        return
    with zipfile.ZipFile(path) as archive:
        yield _Container(path, archive)


def _list_numbered(path: Path, name: str, container: _Container) -> Pictures | None:
    """List the pictures of a folder or ZIP file; None for a folder without any."""
    found = sorted(file for file in container.list() if _is_picture(file))
    if not found:
        if path.is_dir():
            return None
        raise VideoError("pictures.none", name=name)
    if len(found) > _MOST_FILES:
        raise VideoError("pictures.too_many", name=name, most=_MOST_FILES)
    patterns = Counter(_pattern(file) for file in found)
    if len(patterns) > 1:
        (first, _), (second, _) = patterns.most_common(2)
        raise VideoError("pictures.several", name=name, first=first, second=second)
    numbered = sorted((_number(file), file) for file in found)
    numbers = [number for number, _ in numbered]
    if len(set(numbers)) < len(numbers):
        twice = next(n for n, count in Counter(numbers).items() if count > 1)
        raise VideoError("pictures.twice", name=name, number=twice)
    names = tuple(file for _, file in numbered)
    with container.open(names[0]) as file, _picture_errors(_label(name, names[0])):
        picture = _require(open_still(file))
        codec, stored, size = _codec(picture), picture.size, upright_size(picture)
    for other in names[1:]:
        with container.open(other) as file, _picture_errors(_label(name, other)):
            own = _require(open_still(file)).size
        if own != stored:
            raise _other_size(name, _label(name, names[0]), stored, _label(name, other), own)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    return Pictures(path, name, names, codec, size, missing, _read_times(name, container, names))


def _require(picture: Image.Image | None) -> Image.Image:
    """Return the picture; raises ValueError where there is none."""
    if picture is None:
        raise ValueError("no picture")
    return picture


def _other_size(
    name: str, first: str, size: tuple[int, int], second: str, other: tuple[int, int]
) -> VideoError:
    return VideoError(
        "pictures.sizes",
        name=name,
        first=first,
        width=size[0],
        height=size[1],
        second=second,
        wide=other[0],
        high=other[1],
    )


def _read_times(name: str, container: _Container, names: tuple[str, ...]) -> _Times | None:
    """Read the table of times, if there is one; raises VideoError for one that does not fit the pictures."""
    folder = names[0].rpartition("/")[0]
    table = f"{folder}/{TIMES_TABLE}" if folder else TIMES_TABLE
    if table not in container.list():
        return None
    try:
        with container.open(table) as file:
            text = file.read(_MOST_BYTES).decode("ascii")
        rows = [
            (row[0], Fraction(row[1]), Fraction(row[2])) for row in list(csv.reader(text.splitlines()))[1:]
        ]
        if [row[0] for row in rows] != [_label("", file) for file in names]:
            raise ValueError("other pictures")
        begins = [begin for _, begin, _ in rows]
        if begins[0] < 0 or begins != sorted(set(begins)) or min(lasts for _, _, lasts in rows) <= 0:
            raise ValueError("no times")
    except (ArithmeticError, LookupError, UnicodeError, ValueError, csv.Error) as error:
        raise VideoError("pictures.times", name=name, table=TIMES_TABLE) from error
    return tuple((begin, lasts) for _, begin, lasts in rows)


def _is_picture(name: str) -> bool:
    place = Path(name)
    hidden = place.name.startswith(".") or "__MACOSX" in place.parts
    return place.suffix.lower() in PICTURE_SUFFIXES and not hidden


def _pattern(name: str) -> str:
    """Return a name with `#` in place of its number: the last digits before the suffix."""
    stem, dot, suffix = name.rpartition(".")
    return re.sub(r"\d+(?=\D*\Z)", "#", stem) + dot + suffix.lower()


def _number(name: str) -> int:
    digits = re.findall(r"\d+", name.rpartition(".")[0])
    return int(digits[-1][-18:]) if digits else 0


def _codec(picture: Image.Image) -> str:
    name = (picture.format or "").lower()
    return "jpeg" if name == "mpo" else name


def _label(name: str, picture: str) -> str:
    """Return the file name of a picture, or of the whole where that is the picture itself."""
    return picture.rpartition("/")[2] or name


@contextmanager
def _picture_errors(name: str) -> Iterator[None]:
    """Map what decoders and ZIP files raise to VideoError; `name` is the file's, for sentences."""
    try:
        yield
    except (VideoError, MemoryError):
        raise
    except PermissionError as error:
        raise VideoError("video.no_permission", name=name) from error
    except TooManyPixels as error:
        raise VideoError("pictures.too_large", name=name, most=MAX_PIXELS // 10**6) from error
    except TooManyScans as error:
        raise VideoError("pictures.too_many_scans", name=name) from error
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise VideoError("pictures.unreadable", name=name) from error
