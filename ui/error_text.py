"""Stored errors and notes in the visitor's language."""

from __future__ import annotations

from collections.abc import Sequence

from db.models import Json, Result, SessionRow
from pipeline.languages.messages import Message


def translate_error(language: str, row: SessionRow) -> str:
    """Return the sentence of a session's error; empty if there is none."""
    return translate_message(language, row.error, row.error_message)


def translate_message(language: str, sentence: str | None, data: Json | None) -> str:
    """Return a stored sentence, whose key and fields are `data`; empty if there is none."""
    return _translate(language, sentence, data) if sentence else ""


def translate_notes(language: str, result: Result) -> list[str]:
    """Return the sentences of a result's notes."""
    messages: Sequence[Json | None] = result.note_messages
    if len(messages) != len(result.notes):  # of an earlier version
        messages = [None] * len(result.notes)
    return [_translate(language, *note) for note in zip(result.notes, messages, strict=True)]


def _translate(language: str, sentence: str, data: Json | None) -> str:
    """Return a message's sentence; the stored English one if this version does not have the message."""
    try:
        return sentence if data is None else Message.from_json(data).render(language)
    except (AttributeError, LookupError, TypeError, ValueError):
        return sentence
