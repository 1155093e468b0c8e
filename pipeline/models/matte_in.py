"""A matte of another tool in place of a model: what a job says of it, and its card.

The mattes are read by `pipeline.propagation.borrowed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from pipeline.errors import InputError
from pipeline.files import identify
from pipeline.models.base import Card

KEY = "matte-in"


@dataclass(frozen=True)
class BorrowedMatte:
    """Matte of another tool: a video, a folder of PNG or EXR pictures, or a ZIP file of them."""

    path: Path
    invert: bool = False
    """White is the background."""
    unpremultiply: bool = False
    """The matte is the brightness, multiplied by the pictures' alpha; else an alpha is the matte."""

    def identify(self) -> list[Any]:
        """Return what the mattes depend on, as JSON; a folder's pictures by name, size and time of change."""
        return [identify(self.path), self.invert, self.unpremultiply]

    def to_json(self, file: str) -> dict[str, Any]:
        """Return it as JSON with `file` in place of its path."""
        return {"file": file, "invert": self.invert, "unpremultiply": self.unpremultiply}

    @classmethod
    def from_json(cls, data: dict[str, Any], folder: Path) -> Self:
        """Read what `to_json` wrote. Raises LookupError or TypeError for anything else."""
        flags = data["invert"], data["unpremultiply"]
        if not all(isinstance(flag, bool) for flag in flags):
            raise TypeError("flags")
        return cls(folder / data["file"], *flags)


def _load(_device: str, _files: list[Path]) -> NoReturn:
    """Raise InputError: a stream takes the mattes themselves (`propagation.stream.create_stream`)."""
    raise InputError("matte_in.needed")


CARDS = (
    Card(
        key=KEY,
        label="Your own matte",
        purpose="Takes a matte that another tool made: a video, or PNG or EXR pictures.",
        points=False,
        box=False,
        automatic=True,
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        load=_load,
        per_frame=True,
        given=True,
        preview_frames=0,
    ),
)
