"""Base of the schemas of what the API takes and gives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

STRICT = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class Schema(BaseModel):
    """Base class: attributes are documented by their docstrings."""

    model_config = ConfigDict(use_attribute_docstrings=True)
