"""Containers of several result files: a zip archive or a folder."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Protocol
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pipeline.errors import InputError
from pipeline.files import create_part, create_part_folder, move_into_place, release_part, remove_part

TIMES_TABLE = "times.csv"
"""File name of an image sequence's table of times; its first column names the images."""


class Archive(Protocol):
    """Files under a temporary name; `commit` moves them into place, `discard` removes them."""

    def add(self, name: str, data: bytes | memoryview) -> None:
        """Add a file."""

    def close(self) -> None:
        """Finish writing; the added files can be read from now on."""

    def names(self) -> list[str]:
        """Return the names of all files; call after `close`."""

    def read(self, name: str) -> bytes:
        """Return the content of a file; call after `close`."""

    def commit(self) -> None:
        """Move the result into place."""

    def discard(self) -> None:
        """Remove the temporary files unless they were committed."""


class ZipArchive:
    """Uncompressed zip archive: its files are compressed already."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = create_part(path)
        self._zip = ZipFile(self._part, "w", ZIP_STORED)

    def add(self, name: str, data: bytes | memoryview) -> None:
        self._zip.writestr(_entry(name), bytes(data))

    def copy(self, path: Path) -> None:
        """Add a file under its own name."""
        with path.open("rb") as source, self._zip.open(_entry(path.name), "w", force_zip64=True) as target:
            shutil.copyfileobj(source, target, 2**20)

    def close(self) -> None:
        self._zip.close()
        self._zip = ZipFile(self._part)

    def names(self) -> list[str]:
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        return self._zip.read(name)

    def commit(self) -> None:
        self._zip.close()
        move_into_place(self._part, self._path)

    def discard(self) -> None:
        try:
            self._zip.close()
        except OSError:  # on a full disk the central directory cannot be written either
            self._zip.fp = None
        finally:
            remove_part(self._part)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


class FolderArchive:
    """Folder of files. An existing one is replaced if it is empty or holds an earlier image sequence."""

    def __init__(self, path: Path) -> None:
        _check_target(path)
        self._path = path
        self._part = create_part_folder(path)

    def add(self, name: str, data: bytes | memoryview) -> None:
        (self._part / name).write_bytes(data)

    def close(self) -> None:
        pass

    def names(self) -> list[str]:
        return [entry.name for entry in self._part.iterdir()]

    def read(self, name: str) -> bytes:
        return (self._part / name).read_bytes()

    def commit(self) -> None:
        _check_target(self._path)
        # mkdtemp's folder is private to its owner; the mode of one made by mkdir follows the umask.
        plain = self._part / "plain"
        plain.mkdir()
        self._part.chmod(plain.stat().st_mode)
        plain.rmdir()
        if not self._path.exists():
            self._part.rename(self._path)
            release_part(self._part)
            return
        old = self._part.with_suffix(".old")
        self._path.rename(old)
        self._part.rename(self._path)
        release_part(self._part)
        shutil.rmtree(old)

    def discard(self) -> None:
        remove_part(self._part)


def _check_target(path: Path) -> None:
    """Raise InputError if `path` exists and must not be replaced."""
    if path.is_dir() and not path.is_symlink():
        if _is_replaceable(path):
            return
        raise InputError("writing.folder_not_empty", name=path.name)
    if path.exists() or path.is_symlink():
        raise InputError("writing.not_a_folder", name=path.name)


def _is_replaceable(folder: Path) -> bool:
    """Return True if a folder is empty, or holds an image sequence and no other file."""
    names = {entry.name for entry in folder.iterdir()}
    if TIMES_TABLE not in names:
        return not names
    try:
        with (folder / TIMES_TABLE).open(encoding="ascii", newline="") as file:
            listed = {row[0] for row in csv.reader(file) if row}
    except (OSError, UnicodeError, csv.Error):
        return False
    pictures = {name for name in listed if re.fullmatch(r"\d+\.(png|exr)", name)}
    return names - {TIMES_TABLE} <= pictures and not any(entry.is_dir() for entry in folder.iterdir())
