"""Events of a run as the ledger takes them; the classes that a runner passes are in `pipeline`.

This package imports nothing of the pipeline but its messages, so these are protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from db.models import Json
from pipeline.languages.messages import Message


class RunProgress(Protocol):
    """Progress of a run."""

    def to_json(self) -> Json:
        """Return the value of the column `sessions.progress`."""


class MatteChecked(Protocol):
    """Times at which a matte should be reviewed."""

    def to_json(self) -> Json:
        """Return the value of the column `sessions.checks`."""


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
    def notes(self) -> Sequence[Message]: ...
