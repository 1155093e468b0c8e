"""Events of a run, as plain data that its runner hands to a sink."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class MatteChecked:
    """A matte was made, with the times at which it should be reviewed."""

    matte: str
    """Key of the matte."""
    times: list[float]
    """Seconds from the clip's first frame."""


@dataclass(frozen=True)
class RunFinished:
    """A run ended with a result."""

    format: str
    background: str
    """As `background.format_spec` writes it, seen from the result's folder."""
    model: str
    file: str
    """Name of the result's file."""
    bytes: int
    frames: int
    seconds: float
    """Duration of the run."""
    key: str | None = None
    """Key of the result."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was done otherwise than asked."""
