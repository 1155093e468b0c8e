"""Errors in the visitor's language; see `pipeline.languages.error_sentences`."""

from __future__ import annotations

from pipeline.languages import error_sentences


def translate(language: str, sentence: str) -> str:
    """Return an error's sentence as the page shows it; unchanged if the locale does not have it."""
    return error_sentences.translate(language, sentence)
