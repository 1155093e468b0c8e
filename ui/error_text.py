"""Errors in the visitor's language.

An error is raised as an English sentence, which the command line prints and a session's row keeps for whoever
opens it later, in whichever language. The `errors` of a locale (`ui.text`) map each of these sentences, with
a `{field}` for what is filled in, to what the page shows instead, with the same fields; the topics only put
them in order. Of two patterns that match, the first is taken.

`null` stands for the sentence as it was raised. `"@name"` stands for a sentence of `shared_errors`, where the
page shows the same for several errors: somebody before a browser has no use for a command, or for a folder of
the server.
"""

from __future__ import annotations

import re
from functools import cache

from ui import text


@cache
def _translations(language: str) -> list[tuple[re.Pattern[str], str | None]]:
    """Return each error's pattern, in order, and what the page shows for it; None: as it was raised."""
    locale = text.locale(language)
    return [
        (_compile(raised), locale.shared_errors[shown[1:]] if shown and shown.startswith("@") else shown)
        for topic in locale.errors.values()
        for raised, shown in topic.items()
    ]


def _compile(raised: str) -> re.Pattern[str]:
    """Compile a sentence with `{field}`s into a pattern that has a group of that name for each."""
    parts = re.split(r"\{(\w+)\}", raised)
    pieces = [re.escape(part) if n % 2 == 0 else f"(?P<{part}>.+?)" for n, part in enumerate(parts)]
    return re.compile("".join(pieces), re.DOTALL)


def translate(language: str, sentence: str) -> str:
    """Return an error's sentence as the page shows it; unchanged if the locale does not have it."""
    for pattern, translation in _translations(language):
        if match := pattern.fullmatch(sentence):
            if translation is None:
                return sentence
            # A field may hold one of these sentences itself, such as how a process ended.
            return translation.format(
                **{name: translate(language, value) for name, value in match.groupdict().items()}
            )
    return sentence
