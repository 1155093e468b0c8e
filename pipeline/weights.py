"""Where a model's weights come from, and that they are what they should be.

Looked for in the folder that `RECORTE_WEIGHTS` names, then in the caches of the Hugging Face Hub and of
torch; fetched into the first of these (or the user's data folder), beside the final name, and moved into
place when they are whole and, where their SHA-256 is known, right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class File:
    """One file of weights."""

    name: str
    """Its path below a folder of weights, such as "sam_vit_b_01ec64.pth"."""
    url: str
    bytes: int
    """About; exactly where `sha256` is known."""
    sha256: str = ""
    """In hexadecimal; empty where it is not known."""


@dataclass(frozen=True)
class Weights:
    """The files that one model needs."""

    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def to_json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "files": [vars(file) for file in self.files]}


def located(weights: Weights, label: str, key: str, folder: Path | None = None) -> list[Path]:
    """A file for each of `weights.files`; raises WeightsError, which says what to put where."""
    raise NotImplementedError


def acknowledged(key: str) -> bool:
    """Whether the user has acknowledged what this model's licence forbids."""
    raise NotImplementedError
