"""Messages: what is said to a person, as a key and fields from which each language makes its sentence.

A message crosses processes by pickle, and is stored as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, Union

from pipeline.languages.formatting import TemplateFormatter
from pipeline.languages.locales import ENGLISH, command_line_language, templates

Field = Union[str, int, float, "Message"]
"""Value that is filled into a template; a message becomes a part of the sentence."""

_MAX_INTEGER = 2**53
"""Larger integers are not the same in every reader of JSON."""


@dataclass(frozen=True)
class Message:
    """Sentence, or part of one, in no language yet; `str` gives it in English."""

    key: str
    """Of its template, such as "video.empty"; see `pipeline.languages.locales`."""
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.render(ENGLISH, command_line=True)

    def render(self, language: str, *, command_line: bool = False) -> str:
        """Return the sentence in a language, for the page or the command line.

        Raises KeyError where there is no such template, or a field is missing.
        """
        template = templates(language, command_line=command_line)[self.key]
        formatter = TemplateFormatter(
            language, lambda nested: nested.render(language, command_line=command_line)
        )
        return formatter.vformat(template, (), self.fields)

    def extend(self, **fields: Field) -> Message:
        """Return the message with more fields."""
        return Message(self.key, {**self.fields, **fields})

    def to_json(self) -> dict[str, Any]:
        """Return `{"key": ..., "fields": {...}}`; numbers that JSON cannot hold become strings."""
        return {"key": self.key, "fields": {name: _to_json(value) for name, value in self.fields.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` writes. Raises LookupError, TypeError or AttributeError for anything else."""
        return cls(data["key"], {name: _from_json(value) for name, value in data["fields"].items()})


def _to_json(value: Field) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, int) and abs(value) > _MAX_INTEGER else value


def _from_json(value: Any) -> Field:
    if isinstance(value, str | int | float):
        return value
    return Message.from_json(value)


def render_for_command_line(message: Message) -> str:
    """Return the sentence as the command line shows it, in the language of the environment."""
    return message.render(command_line_language(), command_line=True)


class MessageError(Exception):
    """Error that is a message for a person; `str` gives its sentence in English."""

    def __init__(self, key: str, /, **fields: Field) -> None:
        """Make the error of a template's key and what is filled in."""
        super().__init__(key)
        self.message = Message(key, fields)

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the error of a message."""
        return cls(message.key, **message.fields)

    def __str__(self) -> str:
        return str(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message), self.__dict__


def _restore(kind: type[MessageError], message: Message) -> MessageError:
    error = kind.__new__(kind, message.key)
    error.message = message
    return error
