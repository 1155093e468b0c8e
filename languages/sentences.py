"""Translation of errors that are still raised as English sentences, by matching the English templates."""

from __future__ import annotations

import re
from functools import cache

from languages.locales import ENGLISH, command_line_language, templates


def translate(language: str, sentence: str, *, command_line: bool = False) -> str:
    """Return an error's sentence as the page or the command line shows it; unchanged if it has no entry."""
    # A message's English sentence is that of the command line.
    for key, pattern in _patterns():
        if match := pattern.fullmatch(sentence):
            template = templates(language, command_line=command_line)[key]
            if template == templates(ENGLISH, command_line=True)[key]:
                return sentence
            return _fill(template, match.groupdict(), language, command_line)
    return sentence


def _fill(template: str, fields: dict[str, str], language: str, command_line: bool) -> str:
    """Fill in a template; a field may hold one of these sentences itself, such as how a process ended."""
    return re.sub(
        r"\{(\w+)[^}]*\}",
        lambda field: translate(language, fields[field[1]], command_line=command_line),
        template,
    )


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(key, _compile(template)) for key, template in templates(ENGLISH, command_line=True).items()]


def _compile(template: str) -> re.Pattern[str]:
    """Compile a template into a pattern that has a group for each field."""
    seen: set[str] = set()
    pieces = []
    for n, part in enumerate(re.split(r"\{(\w+)[^}]*\}", template)):
        if n % 2 == 0:
            pieces.append(re.escape(part))
        elif part in seen:
            pieces.append(f"(?P={part})")
        else:
            seen.add(part)
            pieces.append(f"(?P<{part}>.+?)")
    return re.compile("".join(pieces), re.DOTALL)


def translate_for_command_line(sentence: str) -> str:
    """Return an error's sentence as the command line shows it, in the language of the environment."""
    return translate(command_line_language(), sentence, command_line=True)
