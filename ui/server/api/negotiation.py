"""Choice among the media types that an address offers, by the Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def choose_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the offered type that a client prefers, the first of equals; None: it accepts none of them."""
    ranges = [_read_range(each) for each in (accept or "*/*").split(",") if each.strip()]
    best, chosen = 0.0, None
    for kind in offered:
        family = kind.partition("/")[0]
        for pattern in (kind, f"{family}/*", "*/*"):
            weights = [weight for name, weight in ranges if name == pattern]
            if weights:  # the most specific range decides
                if weights[0] > best:
                    best, chosen = weights[0], kind
                break
    return chosen


def _read_range(text: str) -> tuple[str, float]:
    """Return the type and weight of one element; a weight that cannot be read is that of a missing one."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, min(max(float(value), 0.0), 1.0)
            except ValueError:
                break
    return name, 1.0
