"""Numbers as each language writes them, and the placeholders of templates."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

from pipeline.languages.locales import ENGLISH, decimal_separator


def format_number(value: float, language: str = ENGLISH, digits: int = 1) -> str:
    """Format a number with so many decimals."""
    return _localise(f"{value:.{digits}f}", language)


def format_duration(seconds: float, language: str = ENGLISH) -> str:
    """Format a duration: 3.2 s, 4:05 min or 1:02:03 h."""
    if seconds < 59.95:
        return f"{format_number(seconds, language)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def format_size(count: int, language: str = ENGLISH) -> str:
    """Format a number of bytes in kB, MB or GB (powers of 1000): 2 kB, 2.3 MB or 5.0 GB."""
    if count < 1_000_000:
        return _kilobytes(count)
    if count < 1_000_000_000:
        return f"{format_number(count / 1e6, language)} MB"
    return f"{format_number(count / 1e9, language)} GB"


def format_file_size(count: int, language: str = ENGLISH) -> str:
    """Format a number of bytes in kB, MB or GB (powers of 1000): 2 kB, 375 MB or 1.25 GB."""
    if count >= 1e9:
        return f"{format_number(count / 1e9, language, 2)} GB"
    return f"{format_number(count / 1e6, language, 0)} MB" if count >= 1e6 else _kilobytes(count)


def _kilobytes(count: int) -> str:
    return f"{max(1, round(count / 1000))} kB"


def _localise(number: str, language: str) -> str:
    return number.replace(".", decimal_separator(language))


class TemplateFormatter(string.Formatter):
    """Formatter of templates, as `str.format`, in which a number is written as the language does.

    After the colon of a placeholder may also stand

    `size`, `file_size`, `duration`   as of `format_size`, `format_file_size` and `format_duration`
    `one|many`                        the one word for a count of 1, the other for any other count

    `nested` makes the text of a value that is itself a message.
    """

    def __init__(self, language: str, nested: Callable[[Any], str]) -> None:
        self._language = language
        self._nested = nested

    def format_field(self, value: Any, format_spec: str) -> str:
        if not isinstance(value, str | int | float):
            return self._nested(value)
        if isinstance(value, str):
            return value  # also a number that JSON cannot hold
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        match format_spec:
            case "size":
                return format_size(round(value), self._language)
            case "file_size":
                return format_file_size(round(value), self._language)
            case "duration":
                return format_duration(value, self._language)
        written = format(value, format_spec)
        return _localise(written, self._language) if isinstance(value, float) else written
