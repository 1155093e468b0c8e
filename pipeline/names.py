"""Names that people give: one line, of characters that every file, table and page can hold."""

from __future__ import annotations

import unicodedata


def clean(name: str) -> str:
    """Take out control characters and halves of surrogate pairs, and make one blank of several."""
    letters = (" " if letter.isspace() else letter for letter in name)
    return " ".join("".join(c for c in letters if unicodedata.category(c) not in ("Cc", "Cs")).split())
