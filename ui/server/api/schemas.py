"""Schemas of what the API takes and gives; `documentation` and clients read their descriptions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


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


PROBLEMS: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "Problem"}}
"""Responses that every operation may have."""
