"""Events of a run as the ledger takes them; `pipeline.jobs.events` has what a runner passes.

The database knows nothing of the pipeline, so these are protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class RunProgress(Protocol):
    """Progress of a run."""

    def to_json(self) -> dict[str, Any]:
        """Return the value of the column `sessions.progress`."""


class MatteChecked(Protocol):
    """Frames of a matte that should be looked at."""

    @property
    def matte(self) -> str: ...
    @property
    def times(self) -> Sequence[float]: ...


class RunFinished(Protocol):
    """File that a run has made; the names are those of the columns of `results`."""

    @property
    def format(self) -> str: ...
    @property
    def background(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def key(self) -> str | None: ...
    @property
    def notes(self) -> Sequence[str]: ...
