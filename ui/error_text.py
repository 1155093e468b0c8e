"""Errors in the visitor's language; see `languages.sentences`."""

from __future__ import annotations

from languages import sentences


def translate(language: str, sentence: str) -> str:
    """Return an error's sentence as the page shows it; unchanged if the locale does not have it."""
    return sentences.translate(language, sentence)
