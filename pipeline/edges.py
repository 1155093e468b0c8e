"""How the edge of the cut is treated when it is laid over a background: plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from pipeline.errors import InputError

Despill = Literal["none", "green", "blue"]
"""The colour of the screen whose light is taken off the subject."""

MOST_PIXELS = 50.0


@dataclass(frozen=True)
class Edges:
    """Lengths are in pixels of a frame 720 high; they grow with the frame."""

    clean: bool = True
    """The old background's colour is taken out of what is half covered."""
    grow: float = 0.0
    """By how much the cut is wider; negative: narrower."""
    feather: float = 0.0
    """How far the edge is softened."""
    despill: Despill = "none"

    def check(self) -> None:
        """Raise InputError for what is out of range."""
        if not abs(self.grow) <= MOST_PIXELS:
            raise InputError(f"The cut can grow or shrink by at most {MOST_PIXELS:g} pixels.")
        if not 0 <= self.feather <= MOST_PIXELS:
            raise InputError(f"The edge can be feathered by 0 to {MOST_PIXELS:g} pixels.")
        if self.despill not in get_args(Despill):
            raise InputError(f"{self.despill!r} is no screen. There are {', '.join(get_args(Despill))}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


CLEAN = Edges()
"""What is done where nothing else is asked for."""
