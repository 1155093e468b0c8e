"""Errors and notes of sessions in the visitor's language."""

from __future__ import annotations

from typing import Any

import pytest

from db.models import Result, SessionRow
from pipeline.languages.messages import Message
from ui import error_text

FULL = Message("writing.disk_full", {"name": "a.mp4"})


def row(error: str | None, data: Any) -> SessionRow:
    return SessionRow(name="a", source="a.mp4", clip={}, job={}, error=error, error_message=data)


def test_a_stored_error_is_told_in_the_visitors_language() -> None:
    stored = row(str(FULL), FULL.to_json())
    assert error_text.translate_error("en", stored) == str(FULL)
    assert error_text.translate_error("es", stored) == FULL.render("es") != str(FULL)
    assert error_text.translate_error("es", row(None, None)) == ""


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"key": "of.another_version", "fields": {}},
        {"key": "writing.disk_full", "fields": {}},
        {"key": "writing.disk_full", "fields": {"name": None}},
        {"key": FULL.key},
        {"fields": {}},
        {},
    ],
)
def test_an_error_of_another_version_is_told_as_it_was_stored(data: Any) -> None:
    for language in ("en", "es"):
        assert error_text.translate_error(language, row("As it was.", data)) == "As it was."


def test_notes_are_told_in_the_visitors_language_and_old_ones_as_they_were() -> None:
    note = Message("notes.no_gpu")
    result = Result(notes=[str(note)], note_messages=[note.to_json()])
    assert error_text.translate_notes("de", result) == [note.render("de")] != [str(note)]
    assert error_text.translate_notes("de", Result(notes=["One.", "Two."], note_messages=[])) == [
        "One.",
        "Two.",
    ]
