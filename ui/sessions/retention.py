"""Retention: a thread that deletes sessions unchanged for a number of days."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from db.errors import DatabaseAway
from ui.sessions.service import SessionService

log = logging.getLogger(__name__)

_ROUND_SECONDS = 3600.0


class RetentionThread:
    """Thread that deletes expired sessions every hour; a killed deletion is finished at the next start."""

    def __init__(self, service: SessionService, keep_days: int) -> None:
        """Start the thread; 0 days: nothing is ever deleted."""
        self._actions = service
        self._age = timedelta(days=keep_days)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cleaner", daemon=True)
        if keep_days:
            self._thread.start()

    def close(self) -> None:
        """Stop the thread; waits for the deletion in progress."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                for name in self._actions.delete_expired(self._age):
                    log.info("%s was not changed for %d days and is deleted", name, self._age.days)
                    if self._closing.is_set():
                        return
            except DatabaseAway:
                pass  # logged by those who need the database now; retried in an hour
            except Exception:
                log.exception("the cleaner's round failed")
            if self._closing.wait(_ROUND_SECONDS):
                return
