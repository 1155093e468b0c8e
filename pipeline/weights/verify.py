"""Verification of weights by their SHA-256, and identification of weights by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import WeightsError
from pipeline.files import fingerprint
from pipeline.weights.spec import File, Weights

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".json")

_verdicts: dict[tuple[Path, str], tuple[int, int]] = {}
"""By path and SHA-256: the size and modification time with which the file was verified."""


def verify_files(weights: Weights, paths: list[Path]) -> list[Path]:
    """Verify `paths`, one for each of `weights.files`, and return them; raises as `verify_file`."""
    for file, path in zip(weights.files, paths, strict=True):
        verify_file(file, path)
    return paths


def verify_file(file: File, path: Path) -> None:
    """Raise WeightsError where the file at `path` does not have a known SHA-256: its own, or `others`.

    Reads the file to its end, once; not again while it is unchanged.
    """
    if not file.sha256:
        return
    try:
        now = path.stat()
        state = now.st_size, now.st_mtime_ns
        if _verdicts.get((path, file.sha256)) == state:
            return
        sized = now.st_size == file.bytes or file.others or not file.is_pinned
        digest = sha256(path) if sized else ""
        right = digest in (file.sha256, *file.others) or (
            not file.is_pinned and digest.startswith(file.sha256)
        )
    except OSError as error:
        raise WeightsError(
            "weights.unreadable", file=path.name, reason=error.strerror or str(error)
        ) from error
    if not right:
        raise WeightsError("weights.wrong_hash", file=path.name, folder=str(path.parent))
    _verdicts[path, file.sha256] = state


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identify(path: Path) -> str:
    """Return a name for the weights at `path`, a file or a folder, made from their contents.

    Weights of the same name give the same mattes. Raises WeightsError where there are none.
    """
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
            if not files:
                raise WeightsError("weights.empty_folder", file=path.name)
            parts = [f"{p.relative_to(path)} {fingerprint(p)}" for p in files]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return fingerprint(path)
    except OSError as error:
        raise WeightsError(
            "weights.unreadable_place", file=path.name, reason=error.strerror or str(error)
        ) from error
