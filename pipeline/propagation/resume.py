"""What a run has found so far, in a folder beside the matte that it will be.

It stays where a run ended on the way with something in it, and a run of the same matte goes on with it. A run
of another matte under the same name throws it away, and when the matte is in place it has served.
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
"""Raised when streams are laid or written otherwise, so that what an older program left is not used."""

_TITLE = "journal.json"


def can_resume(job: Job, clip: Clip) -> bool:
    """Whether a run of this job was stopped on the way and left something to go on with."""
    if job.matte is None or not _folder(job.matte).is_dir():
        return False
    folder = _folder(job.matte)
    return read_json(folder / _TITLE) == _title(job, clip) and _filled(folder)


@contextmanager
def open_folder(job: Job, matte: Path, clip: Clip) -> Iterator[Path]:
    """The folder for the streams of a run, with what an earlier run of the same left in it.

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
    """Remove what a run found whose matte is in place, and holds all of it."""
    folder = _folder(kept.path)
    title = read_json(folder / _TITLE)
    if title.get("matte") == kept.key and kept.covers(*title["span"]):
        _remove(folder)


def stored_bytes(matte: Path | None) -> int:
    """Bytes that an earlier run of this matte has left: the next one uses them, or removes them."""
    if matte is None:
        return 0
    return sum(path.stat().st_size for path in _folder(matte).rglob("*") if path.is_file())


def _folder(matte: Path) -> Path:
    return matte.with_name(f"{matte.name}.parts")


def _title(job: Job, clip: Clip) -> dict[str, Any]:
    """What has to be the same for a run to go on with what another found."""
    return {
        "version": _VERSION,
        "matte": matte_key(job),
        "span": list(pts_range(job, clip)),
        # A frame that is decoded for more than 8 bits is not to the bit what a model is given otherwise.
        "deep": job.high_bit_depth(clip),
    }


def _filled(folder: Path) -> bool:
    """Whether there is a finished segment."""
    return any(folder.glob("*/*.json"))


def _lock(folder: int, matte: Path) -> None:
    """Lock the folder for as long as this process lives and has it open."""
    if not try_lock(folder):
        raise RunError(f"{matte.name}: another run is making this matte. Wait for it, or stop it.")


def _empty(folder: Path) -> None:
    # The title first: what is left without one is nobody's, should this be the end of the program.
    (folder / _TITLE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove(folder: Path) -> None:
    (folder / _TITLE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
