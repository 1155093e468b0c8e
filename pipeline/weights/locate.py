"""Finding the files of weights on this machine.

Some come with the application. Others are looked for in the folder that `RECORTE_WEIGHTS` names (or the
user's data folder), then in the caches of the Hugging Face Hub and of torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from platformdirs import user_data_path

from pipeline.errors import WeightsError
from pipeline.weights.spec import HUB, File, Weights, format_size

_ON_HUB = re.compile(re.escape(HUB) + r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "models"
"""The folder of the weights that come with the application."""


def weights_folder() -> Path:
    """Return the folder into which weights are downloaded, and which is searched first."""
    named = os.environ.get("RECORTE_WEIGHTS")
    return Path(named).expanduser().absolute() if named else user_data_path("recorte") / "weights"


def are_present(weights: Weights) -> bool:
    """Return True if there is a file for each of them; their contents are not read."""
    return all(find_file(file) is not None for file in weights.files)


def find_files(weights: Weights, label: str, key: str, folder: Path | None = None) -> list[Path]:
    """Return a file for each of `weights.files`; raises WeightsError with instructions if one is missing.

    `folder` is a folder with these files, in its sub-folders or flat, or the file itself where there is only
    one; nothing else is searched then. The contents are not read: see
    `verify.verify_files`.
    """
    if folder is not None:
        return _find_in(weights, label, folder)
    paths = {file: find_file(file) for file in weights.files}
    missing = [file for file, path in paths.items() if path is None]
    if missing:
        check_shipped(weights)
        raise WeightsError(
            "weights.missing",
            label=label,
            files=list_files(missing),
            key=key,
            count=len(missing),
            folder=str(weights_folder()),
        )
    return [path for path in paths.values() if path is not None]


def check_shipped(weights: Weights) -> None:
    """Raise WeightsError for missing weights that are not offered for download."""
    if weights.shipped:
        raise WeightsError("weights.not_shipped", file=list_files(weights.files), folder=str(SHIPPED))


def _find_in(weights: Weights, label: str, place: Path) -> list[Path]:
    if place.is_file():
        if len(weights.files) == 1:
            return [place]
        raise WeightsError(
            "weights.several_files",
            file=place.name,
            label=label,
            count=len(weights.files),
            files=list_files(weights.files),
        )
    if not place.is_dir():
        raise WeightsError("weights.no_such_place", file=place.name)
    paths = {file: _first_file(place / file.name, place / Path(file.name).name) for file in weights.files}
    missing = [file for file, path in paths.items() if path is None]
    if missing:
        raise WeightsError("weights.not_in_folder", file=place.name, label=label, files=list_files(missing))
    return [path for path in paths.values() if path is not None]


_lookups: ContextVar[dict[File, Path | None] | None] = ContextVar("lookups", default=None)
"""The files that were looked for in a block of `cached_lookups`, and their paths."""


@contextmanager
def cached_lookups() -> Iterator[None]:
    """Look for each file at most once within this block, also within blocks inside it.

    For one event that asks in many places for weights: it finds them as they were when it first asked. Other
    threads look for themselves.
    """
    known = _lookups.get()
    token = _lookups.set({} if known is None else known)
    try:
        yield
    finally:
        _lookups.reset(token)


def find_file(file: File) -> Path | None:
    """Return the path of a file on this machine; None: it is not here."""
    known = _lookups.get()
    if known is None:
        return _search(file)
    if file not in known:
        known[file] = _search(file)
    return known[file]


def _search(file: File) -> Path | None:
    if not file.url:
        return _first_file(SHIPPED / file.name)
    # By its full name only: a model.safetensors could be any model's.
    return (
        _first_file(weights_folder() / file.name)
        or _find_in_hub_cache(file)
        or _first_file(_torch_cache_folder() / file.name)
    )


def _first_file(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _find_in_hub_cache(file: File) -> Path | None:
    """Return the file in the cache of the hub's own client, by its rules (`HF_HOME`, `HF_HUB_CACHE`)."""
    address = _ON_HUB.fullmatch(file.url)
    if address is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    # Other revisions may hold the same file; verification shows if it is the same.
    for revision in (address["revision"], "main"):
        path = try_to_load_from_cache(address["repo"], address["file"], revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def _torch_cache_folder() -> Path:
    """Return torch.hub's folder of checkpoints, by its rules; torch itself is slow to import."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser() / "hub" / "checkpoints"


def list_files(files: list[File] | tuple[File, ...]) -> str:
    """Return the names and sizes of files as one line of text."""
    return ", ".join(f"{file.name} ({format_size(file.bytes)})" for file in files)
