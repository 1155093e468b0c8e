"""Writes down how runs fare, in order, also when the database is away for a while."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from sqlalchemy.orm import Session

from db import repository
from db.engine import Database
from db.errors import DatabaseAway, NotFound
from db.models import Json, State

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0

Entry = Callable[[Session], object]


class Ledger:
    """What a runner tells its sink; `key` is a session's id.

    Each call returns at once: a thread writes, one short transaction an entry, and tries again until the
    database is back. Progress alone is not worth waiting for: it is dropped while the database is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    def started(self, key: str) -> None:
        self._change(key, State.RUNNING)

    def progressed(self, key: str, progress: Json) -> None:
        if not self._away:
            self._entries.put(lambda tx: repository.save_progress(tx, id=key, progress=progress))

    def checked(self, key: str, checks: Json) -> None:
        self._entries.put(lambda tx: repository.save_checks(tx, id=key, checks=checks))

    def finished(self, key: str, result: Json) -> None:
        def enter(tx: Session) -> None:
            repository.add_result(tx, id=key, **result)
            repository.change_state(tx, id=key, state=State.DONE)

        self._entries.put(enter)

    def failed(self, key: str, sentence: str) -> None:
        self._change(key, State.FAILED, sentence)

    def cancelled(self, key: str) -> None:
        self._change(key, State.CANCELLED)

    def close(self) -> None:
        """Write what is left and end; without a database, what is left is lost."""
        self._closing.set()
        self._entries.put(None)
        self._thread.join()

    def _change(self, key: str, state: State, error: str | None = None) -> None:
        self._entries.put(lambda tx: repository.change_state(tx, id=key, state=state, error=error))

    def _write(self) -> None:
        while (entry := self._entries.get()) is not None:
            while True:
                try:
                    with self._database.begin() as tx:
                        entry(tx)
                except DatabaseAway as error:
                    if not self._away:
                        log.warning("%s", error)
                    self._away = True
                    if self._closing.wait(_RETRY_SECONDS):
                        break
                    continue
                except NotFound:
                    pass  # the session was deleted while it ran
                except Exception:
                    log.exception("an entry could not be written")
                self._away = False
                break
