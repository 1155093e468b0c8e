"""Schemas of what the API takes and gives; `documentation` and clients read their descriptions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from db.models import State


class Schema(BaseModel):
    """Base class: attributes are documented by their docstrings."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class RefusedValue(Schema):
    """Value that does not fit its schema."""

    at: str
    """Where it is, such as "body.edges.grow"."""
    message: str
    """What it should be, in English."""


class Problem(Schema):
    """Error, as problem details (RFC 9457)."""

    type: str
    """Stable name of the kind of error, relative to the server; of each status there is one."""
    title: str
    """The kind of error, in English."""
    status: int
    detail: str
    """What is wrong and what to do, in the language of `Accept-Language`."""
    code: str | None = None
    """Key of the sentence in `detail`, which tells the errors of one type apart."""
    errors: list[RefusedValue] | None = None
    """Values that do not fit their schema."""
    request_id: str
    """Id of the request, which the server's log has too."""


class Model(Schema):
    """Model that finds the subject."""

    key: str
    label: str
    purpose: str
    """What it is for, in the language of `Accept-Language`."""
    points: bool
    """Takes points to keep and to remove."""
    box: bool
    """Takes boxes."""
    automatic: bool
    """Finds a subject without any mark."""
    candidates: bool
    """Offers several masks for a single click."""
    classes: list[str]
    """Names of the classes that a session may choose; empty: it knows none."""
    licence: str
    licence_url: str
    restriction: str | None
    """What its licence forbids; null: nothing that has to be acknowledged."""
    acknowledged: bool
    """Whether you have acknowledged that, on the page; else it is not run."""
    present: bool
    """Whether its weights are on the server, or it needs none."""
    download_bytes: int
    """Size of its weights; 0: none."""
    version: int
    """Raised when the same input gives another matte."""


class Models(Schema):
    """All models."""

    items: list[Model]


class Format(Schema):
    """Format of a result."""

    key: str
    label: str
    """Its name, in the language of `Accept-Language`."""
    suffix: str
    media_type: str
    content: Literal["picture", "matte", "pair"]
    """The video over its background, the matte alone, or foreground and matte apart."""
    alpha: bool
    """Whether it may be transparent."""
    sound: bool
    hardware: bool
    """Whether a device of the server encodes it."""


class Formats(Schema):
    """All formats."""

    items: list[Format]


class Result(Schema):
    """File that a run has made."""

    id: UUID
    created_at: datetime
    format: str
    model: str
    bytes: int
    frames: int
    seconds: float
    """Length of the video, in seconds."""
    notes: list[str]
    """Choices that could not be followed, in the language of `Accept-Language`."""


class SessionSummary(Schema):
    """Session as it is listed."""

    id: UUID
    name: str
    starred: bool
    """Whether it is exempt from expiry."""
    state: State
    created_at: datetime
    changed_at: datetime
    """When its choices, its state or its results last changed."""
    readable: bool
    """False for one of a newer version of the server: it can be listed and deleted."""
    error: str | None
    """Why its last run ended without a result, in the language of `Accept-Language`."""
    results: list[Result]
    """The newest first."""


class SessionSummaries(Schema):
    """Page of a list of sessions, the newest first."""

    items: list[SessionSummary]
    next: str | None
    """Value of `cursor` for the next page; null: this is the last one."""


class Clip(Schema):
    """Uploaded video."""

    width: int
    height: int
    frames: int
    duration: float
    """In seconds."""
    sound: bool


class Session(SessionSummary):
    """Session with its video and its choices."""

    clip: Clip
    model: str
    background: str
    """As the command line takes it; of an upload the name of its file."""
    format: str
    outdated: bool
    """Whether the newest result was made from other choices or marks."""
    can_resume: bool
    """Whether a run goes on from what a stopped one has found."""
    queue_position: int | None
    """0: it is running; 1: it is next; null: it is neither."""


class SessionChanges(Schema):
    """Changes of a session; what is not sent stays."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    name: str = Field(default="", max_length=1000)
    """An empty name changes nothing; a long one is cut."""
    starred: bool | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "Problem"}}
"""Responses that every operation may have."""
