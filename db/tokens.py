"""Tokens that let their bearers in: of each the database keeps the hash only."""

from __future__ import annotations

import hashlib


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal; tokens are random, so that it needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
