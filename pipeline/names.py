"""Names given by users: one line of characters that every file, table and page can hold."""

from __future__ import annotations

import unicodedata


def clean(name: str) -> str:
    """Remove control characters and unpaired surrogates, and collapse whitespace."""
    letters = (" " if letter.isspace() else letter for letter in name)
    return " ".join("".join(c for c in letters if unicodedata.category(c) not in ("Cc", "Cs")).split())
