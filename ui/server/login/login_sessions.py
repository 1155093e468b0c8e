"""Login sessions: who has signed in, by the digest of their cookie's token."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from pipeline.files import read_json, write_json
from ui.server.visitors import Visitor

log = logging.getLogger(__name__)

LIFETIME_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class _Login:
    """An entry of the file; the names of its fields are the file's keys."""

    user: str
    stamp: str
    """The visitor's `auth_hash` when they signed in."""
    until: float


class LoginSessions:
    """Store of login sessions, by the digest of the cookie's token; a file keeps them over a restart."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Login] = {}
        if file is not None:
            # A file that is damaged or of another version is dropped: everybody signs in again.
            with suppress(TypeError):
                stored = read_json(file)
                self._entries = {digest: _Login(**entry) for digest, entry in stored.items()}

    def add(self, visitor: Visitor) -> str:
        """Start a login session and return the token for the visitor's cookie."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._entries = {digest: entry for digest, entry in self._entries.items() if entry.until > now}
            self._entries[_digest(token)] = _Login(str(visitor.id), visitor.auth_hash, now + LIFETIME_SECONDS)
            self._save()
        return token

    def find(self, token: str) -> tuple[UUID, str] | None:
        """Return the user's id and their `auth_hash` at login; None for an unknown or expired token."""
        entry = self._entries.get(_digest(token))
        if entry is None or entry.until <= self._clock():
            return None
        return UUID(entry.user), entry.stamp

    def remove(self, token: str) -> None:
        """End the login session of a token, if there is one."""
        with self._lock:
            if self._entries.pop(_digest(token), None) is not None:
                self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        try:
            write_json(self._file, {digest: asdict(entry) for digest, entry in self._entries.items()})
        except OSError:
            # Without a file everybody signs in again after a restart; with the old one somebody who signed
            # out would be signed in again.
            log.exception("who is signed in cannot be kept")
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
