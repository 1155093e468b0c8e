"""Deletes what nobody has touched for as many days as the settings say."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from db.errors import DatabaseAway
from ui.sessions.service import SessionService

log = logging.getLogger(__name__)

_ROUND_SECONDS = 3600.0


class RetentionThread:
    """A thread that goes round every hour. What it does halfway when it is killed, the next start mends."""

    def __init__(self, actions: SessionService, keep_days: int) -> None:
        """0 days: everything is kept for ever."""
        self._actions = actions
        self._age = timedelta(days=keep_days)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cleaner", daemon=True)
        if keep_days:
            self._thread.start()

    def close(self) -> None:
        """Returns when the deletion that is under way is done."""
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
                pass  # who needs it now says so; the next round comes
            except Exception:
                log.exception("the cleaner's round failed")
            if self._closing.wait(_ROUND_SECONDS):
                return
