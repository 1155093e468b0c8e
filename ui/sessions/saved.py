"""Sessions that were saved a moment ago, for the requests that follow an edit at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from uuid import UUID

from ui.sessions.session import Session

SECONDS = 10.0
"""Time for which a saved session is kept."""
MAX_SESSIONS = 64


class SavedSessions:
    """The sessions that this process saved last, each as it was saved. Thread-safe.

    A session is returned to its owner only, and only while its video exists: a deletion, also by another
    process, hides the folder before it deletes the row.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, tuple[float, Session]] = OrderedDict()
        """By id, with the time of saving (`time.monotonic`); the latest is last."""

    def add(self, saved: Session) -> None:
        """Keep a session in place of what was saved of it before."""
        with self._lock:
            self._sessions[saved.id] = time.monotonic(), saved
            self._sessions.move_to_end(saved.id)
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)

    def find(self, id: str, owner: UUID | None) -> Session | None:
        """Return a user's session as it was saved; None if it was not saved a moment ago, or is deleted."""
        with self._lock:
            since, found = self._sessions.get(id, (0.0, None))
        if found is None or found.row.owner_id != owner or time.monotonic() - since > SECONDS:
            return None
        return found if found.clip.path.exists() else None
