"""Events of a run, as plain data that its runner hands to a sink."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from pipeline.errors import InputError
from pipeline.languages.messages import Message


@dataclass(frozen=True)
class MatteChecked:
    """A matte was made, with the times at which it should be reviewed."""

    matte: str
    """Key of the matte."""
    times: list[float]
    """Seconds from the clip's first frame."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read the event from JSON; raises InputError where `data` is not what `to_json` writes."""
        try:
            return cls(data["matte"], list(data["times"]))
        except (LookupError, TypeError) as error:
            raise InputError("choices.unreadable") from error


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
    notes: tuple[Message, ...] = ()
    """Settings that could not be followed."""
