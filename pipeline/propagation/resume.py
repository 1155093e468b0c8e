"""Resume data: the predictions of an unfinished run, in a folder beside its matte file.

A run that ended early leaves them, and the next run of the same matte continues from them. A run of another
matte under the same name removes them, and so does a finished matte.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.clip import Clip
from pipeline.errors import RunError
from pipeline.files import read_json, try_lock, write_errors, write_json
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range

if TYPE_CHECKING:
    from pipeline.matte import MatteFile

_VERSION = 1
"""Raised when streams are planned or stored differently, so that older data is not used."""

_TITLE = "journal.json"


def can_resume(job: Job, clip: Clip) -> bool:
    """Return True if an earlier run of this job left data to continue from."""
    if job.matte is None or not _folder(job.matte).is_dir():
        return False
    folder = _folder(job.matte)
    return read_json(folder / _TITLE) == _title(job, clip) and _filled(folder)


@contextmanager
def open_folder(job: Job, matte: Path, clip: Clip) -> Iterator[Path]:
    """Open and lock the folder for the streams of a run, keeping the data of an earlier run of the same.

    Raises RunError where nothing can be written, or another run is writing there now.
    """
    folder, title = _folder(matte), _title(job, clip)
    with write_errors(matte.name):
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    try:
        _lock(lock, matte)
        try:
            with write_errors(matte.name):
                if read_json(folder / _TITLE) != title:
                    _empty(folder)
                    write_json(folder / _TITLE, title)
            yield folder
        finally:
            if not _filled(folder):
                _remove(folder)
    finally:
        os.close(lock)


def clear(kept: MatteFile) -> None:
    """Remove the resume data that a finished matte file covers."""
    folder = _folder(kept.path)
    title = read_json(folder / _TITLE)
    if title.get("matte") == kept.key and kept.covers(*title["span"]):
        _remove(folder)


def stored_bytes(matte: Path | None) -> int:
    """Return the bytes of resume data that a matte has; the next run uses or removes them."""
    if matte is None:
        return 0
    return sum(path.stat().st_size for path in _folder(matte).rglob("*") if path.is_file())


def _folder(matte: Path) -> Path:
    return matte.with_name(f"{matte.name}.parts")


def _title(job: Job, clip: Clip) -> dict[str, Any]:
    """Return the data that two runs must agree in for one to continue from the other."""
    return {
        "version": _VERSION,
        "matte": matte_key(job),
        "span": list(pts_range(job, clip)),
        # A model is given slightly different frames where they are decoded with more than 8 bits.
        "deep": job.high_bit_depth(clip),
    }


def _filled(folder: Path) -> bool:
    """Return True if there is a finished spool segment."""
    return any(folder.glob("*/*.json"))


def _lock(folder: int, matte: Path) -> None:
    """Lock the folder for as long as this process lives and has it open."""
    if not try_lock(folder):
        raise RunError(f"{matte.name}: another run is making this matte. Wait for it, or stop it.")


def _empty(folder: Path) -> None:
    # The title first: without it, what a crash leaves behind is never used.
    (folder / _TITLE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove(folder: Path) -> None:
    (folder / _TITLE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
