"""The files that a model needs: names, addresses, sizes and hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.languages.formatting import format_file_size

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class File:
    """One file of weights."""

    name: str
    """Its path in a folder of weights, such as "sam_vit_b_01ec64.pth"."""
    url: str
    """The address it is downloaded from; empty: it comes with the application."""
    bytes: int
    """About; exactly where `is_pinned`."""
    sha256: str = ""
    """In hexadecimal, or its first digits where no more are known; empty where none are."""
    others: tuple[str, ...] = ()
    """SHA-256 of other files of this name that hold the same weights, such as in half precision."""

    @property
    def is_pinned(self) -> bool:
        """True if its whole SHA-256 and so its exact size are known."""
        return len(self.sha256) == 64

    @property
    def on_hub(self) -> bool:
        """True if it comes from the Hugging Face Hub."""
        return self.url.startswith(f"{HUB}/")


@dataclass(frozen=True)
class Weights:
    """The files that one model needs."""

    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def shipped(self) -> bool:
        """True if they come with the application."""
        return not any(file.url for file in self.files)

    def to_json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "files": [vars(file) for file in self.files]}


def format_size(count: int) -> str:
    """Return a number of bytes as text: 375 MB."""
    return format_file_size(count)
