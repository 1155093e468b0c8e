"""Templates of the sentences of errors and notes, by key, in every language.

Each file of `assets/locales` has them in two sections, by topic and name, so that
"video.empty" is `empty` of `video`:

`errors`                for somebody before the page. "@name" stands for a sentence of `shared_errors`, where
                        the page shows the same for several errors: somebody before a browser has no use for
                        a command or for a folder of the server.
`command_line_errors`   where the command line shows something else, or is the only one to show it.

`{field}` is filled in; see `pipeline.languages.formatting` for what may follow a colon.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
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


def templates(language: str, *, command_line: bool) -> dict[str, str]:
    """Return each key's template for the page or the command line; in English for an unknown language."""
    shown, printed = _sections(language)
    return shown | printed if command_line else printed | shown


def decimal_separator(language: str) -> str:
    """Return the character before the decimals of a number."""
    return str(_read(language)["decimal_separator"])


@cache
def read_file(path: Path) -> dict[str, Any]:
    """Read a language's file, once; the sections by name."""
    locale: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return locale


@cache
def _read(language: str) -> dict[str, Any]:
    path = LOCALES_DIR / f"{language}.json"
    return read_file(path) if path.is_file() else _read(ENGLISH)


@cache
def _sections(language: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the templates of `errors`, and those of `command_line_errors`."""
    locale = _read(language)
    shared = locale["shared_errors"]
    shown = {
        key: shared[template[1:]] if template.startswith("@") else template
        for key, template in _flatten(locale["errors"]).items()
    }
    return shown, _flatten(locale["command_line_errors"])


def _flatten(topics: dict[str, dict[str, str]]) -> dict[str, str]:
    return {
        f"{topic}.{name}": template for topic, names in topics.items() for name, template in names.items()
    }
