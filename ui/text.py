"""Text in the visitor's language, and numbers as that language writes them.

The text is in `assets/locales`, one JSON file for each language, keyed alike; a file more is a language more,
and nothing else names one. English is the language of visitors whose own has no file. `{name}` is filled in
where a sentence is shown. A key that ends in `_tip` is the tooltip of the control whose key comes before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.languages import formatting, locales

LOCALES_DIR = locales.LOCALES_DIR
FALLBACK = locales.ENGLISH

LANGUAGE_COOKIE = "recorte-language"
"""Cookie with the code of the language that a visitor has chosen on the page."""

Table = dict[str, str]
"""Text by key."""


@dataclass(frozen=True)
class Locale:
    """The text of one language; each attribute is a section of its file."""

    name: str
    """The language's own name for itself, such as "Deutsch"."""
    decimal_separator: str
    page: Table
    stage: Table
    """Of the stage, which the browser draws."""
    upload: Table
    """Progress of an upload, in the browser."""
    files: Table
    """Refusals of a chosen file, in the browser."""
    cards: Table
    """The list of sessions, in the browser."""
    welcome: Table
    """The empty page, in the browser."""
    access: Table
    """The login page, and why a request is refused."""
    admin: Table
    model_purposes: Table
    """By the model's key; empty in English, where a model's card has it."""
    model_restrictions: Table
    """By the model's key; empty in English, where a model's card has it."""
    format_names: Table
    """By the format's key; only those that differ from the format's label."""
    shared_errors: Table
    """Sentences that several errors have in common, by a name for each."""
    errors: dict[str, Table]
    """Errors by topic; see `pipeline.languages.locales`."""
    command_line_errors: dict[str, Table]
    """Errors that the command line shows in words of its own, by topic; see `pipeline.languages.locales`."""

    @classmethod
    def read(cls, path: Path) -> Locale:
        """Read a language's file; raise TypeError if it lacks a section or has an unknown one."""
        return cls(**locales.read_file(path))


LOCALES = {path.stem: Locale.read(path) for path in sorted(LOCALES_DIR.glob("*.json"))}
"""By language code, such as "en"."""

# Tables by language, for the scripts of the page: it is the browser that picks the language.
PAGE = {code: locale.page for code, locale in LOCALES.items()}
STAGE = {code: locale.stage for code, locale in LOCALES.items()}
UPLOAD = {code: locale.upload for code, locale in LOCALES.items()}
FILES = {code: locale.files for code, locale in LOCALES.items()}
CARDS = {code: locale.cards for code, locale in LOCALES.items()}
WELCOME = {code: locale.welcome for code, locale in LOCALES.items()}
ACCESS = {code: locale.access for code, locale in LOCALES.items()}


def locale(language: str) -> Locale:
    """Return the locale of a language, or the English one if there is none."""
    return LOCALES.get(language, LOCALES[FALLBACK])


def negotiate_language(accepted: str | None) -> str:
    """Return the first language of an Accept-Language header that has a locale, or English."""
    for entry in (accepted or "").split(","):
        code = entry.split(";")[0].strip().lower().split("-")[0]
        if code in LOCALES:
            return code
    return FALLBACK


def choose_language(chosen: str | None, accepted: str | None) -> str:
    """Return the language that a visitor has chosen on the page, or else as `negotiate_language`."""
    return chosen if chosen in LOCALES else negotiate_language(accepted)


def translate(language: str, key: str, **fields: object) -> str:
    """Return a text of the page."""
    return locale(language).page[key].format(**fields)


def translate_access(language: str, key: str, **fields: object) -> str:
    """Return a text of the login page, or the reason why a request is refused."""
    return locale(language).access[key].format(**fields)


def translate_admin(language: str, key: str, **fields: object) -> str:
    """Return a text of the administrators' page."""
    return locale(language).admin[key].format(**fields)


def translate_purpose(language: str, model: str, english: str) -> str:
    """Return what a model is for; `english`, from its card, if the language has no text for it."""
    return locale(language).model_purposes.get(model, english)


def translate_restriction(language: str, model: str, english: str) -> str:
    """Return what a model's licence forbids; `english`, from its card, if the language has no text for it."""
    return locale(language).model_restrictions.get(model, english)


def translate_format_name(language: str, format: str, english: str) -> str:
    """Return the name of a format; `english`, its label, if the language has no other."""
    return locale(language).format_names.get(format, english)


def format_moment(moment: datetime) -> str:
    """Format a moment for readers of any time zone: 2026-12-03 14:05 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def format_estimate(seconds: float) -> str:
    """Format an estimated duration, coarsely: 15 s, 2 min or 3 h."""
    if seconds < 57:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"


def describe_expected(language: str, seconds: float | None) -> str:
    """Return how long a run would take, as a sentence; empty if unknown."""
    return "" if seconds is None else translate(language, "takes", time=format_estimate(seconds))


format_number = formatting.format_number
format_duration = formatting.format_duration
format_size = formatting.format_size
