"""Errors' sentences in other languages.

An error is raised as an English sentence, which a session's row keeps for whoever opens it later, in
whichever language. Each file of `assets/locales` maps these sentences, with a `{field}` for what is filled
in, to what is shown instead, with the same fields; `null` stands for the sentence as it was raised.

`errors`                by topic, for somebody before the page; the topics only put them in order. `"@name"`
                        stands for a sentence of `shared_errors`, where the page shows the same for several
                        errors: somebody before a browser has no use for a command or for a folder of the
                        server.
`command_line_errors`   where the command line shows something else, or is the only one to show it.

Of two patterns that match, the first is taken.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LOCALES_DIR = Path(__file__).resolve().parents[2] / "assets" / "locales"
"""The folder of the languages' files, such as `en.json`; a file more is a language more."""
ENGLISH = "en"

_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that name the language; the first that is set counts."""


def command_line_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the code of the language that the environment names, or English where it has no file here."""
    named = next((value for name in _VARIABLES if (value := environment.get(name))), "")
    code = re.split(r"[-_.@]", named, maxsplit=1)[0].lower()  # of "xx_YY.UTF-8", xx
    return code if code and (LOCALES_DIR / f"{code}.json").is_file() else ENGLISH


def translate_for_command_line(sentence: str) -> str:
    """Return an error's sentence as the command line shows it, in the language of the environment."""
    return translate(command_line_language(), sentence, command_line=True)


def translate(language: str, sentence: str, *, command_line: bool = False) -> str:
    """Return an error's sentence as the page or the command line shows it; unchanged if it has no entry."""
    for pattern, translation in _translations(language, command_line):
        if match := pattern.fullmatch(sentence):
            if translation is None:
                return sentence
            # A field may hold one of these sentences itself, such as how a process ended.
            return translation.format(
                **{
                    name: translate(language, value, command_line=command_line)
                    for name, value in match.groupdict().items()
                }
            )
    return sentence


@cache
def _translations(language: str, command_line: bool) -> list[tuple[re.Pattern[str], str | None]]:
    """Return each error's pattern, in order, and what is shown for it; None: as it was raised."""
    path = LOCALES_DIR / f"{language}.json"
    if not path.is_file():
        return _translations(ENGLISH, command_line) if language != ENGLISH else []
    locale = json.loads(path.read_text(encoding="utf-8"))
    shown = _command_line_sentences(locale) if command_line else _page_sentences(locale)
    return [(_compile(raised), translation) for raised, translation in shown]


def _page_sentences(locale: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield each error as it is raised, and what the page shows for it."""
    for topic in locale["errors"].values():
        for raised, shown in topic.items():
            yield raised, locale["shared_errors"][shown[1:]] if shown and shown.startswith("@") else shown


def _command_line_sentences(locale: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield each error as it is raised, and what the command line shows for it."""
    yield from locale["command_line_errors"].items()
    yield from _page_sentences(locale)


def _compile(raised: str) -> re.Pattern[str]:
    """Compile a sentence with `{field}`s into a pattern that has a group of that name for each."""
    parts = re.split(r"\{(\w+)\}", raised)
    pieces = [re.escape(part) if n % 2 == 0 else f"(?P<{part}>.+?)" for n, part in enumerate(parts)]
    return re.compile("".join(pieces), re.DOTALL)
