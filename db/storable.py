"""Column types that refuse values which PostgreSQL or a browser cannot hold.

PostgreSQL stores no NUL and no unpaired surrogate, its JSON no NaN; an integer of more than 64 bits could be
stored, but not sent to a browser.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from db.errors import Unstorable

_HIGHEST = 2**63 - 1


def check(value: Any) -> None:
    """Raise Unstorable where a value, or one inside it, cannot be stored and read back."""
    match value:
        case str():
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise Unstorable("storage.character")
        case float():
            if not math.isfinite(value):
                raise Unstorable("storage.not_a_number")
        case int():
            if abs(value) > _HIGHEST:
                raise Unstorable("storage.too_large")
        case dict():
            for key, item in value.items():
                check(key)
                check(item)
        case list() | tuple():
            for item in value:
                check(item)


class PlainText(TypeDecorator[str]):
    """TEXT."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        check(value)
        return value


class PlainJson(TypeDecorator[Any]):
    """JSONB, in which None is NULL."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        check(value)
        return value
