"""Writes down how runs fare, in order, also when the database is away for a while."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from db import repository
from db.engine import Database
from db.errors import DatabaseAway, NotFound
from db.events import MatteChecked, RunFinished, RunProgress
from db.models import State

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_BEAT_SECONDS = 5.0
"""How long a run may be silent before a sign of it is written."""

Entry = Callable[[Session], object]


class Ledger:
    """What a runner tells its sink; `key` is a session's id.

    Each call returns at once: a thread writes, one short transaction an entry, and tries again until the
    database is back. Progress alone is not worth waiting for: it is dropped while the database is away. A run
    that is silent is given a sign of life every few seconds, for as long as this process watches over it.

    `on_missing_session` is told of a run whose session is not in the database any more: it is to be stopped.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_missing_session: Callable[[str], object] = lambda key: None
        self._entries: queue.SimpleQueue[tuple[str, Entry] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._away = False
        self._lock = threading.Lock()
        self._signs: dict[str, float] = {}
        """When each run that is under way last gave one, by `time.monotonic`."""
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    def started(self, key: str) -> None:
        self._sign(key)
        self._change(key, State.RUNNING)

    def progressed(self, key: str, progress: RunProgress) -> None:
        if not self._away:
            self._sign(key)
            saved = progress.to_json()
            self._put(key, lambda tx: repository.save_progress(tx, id=key, progress=saved))

    def checked(self, key: str, points: MatteChecked) -> None:
        self._put(key, lambda tx: repository.save_review_points(tx, id=key, points=points))

    def finished(self, key: str, result: RunFinished) -> None:
        def enter(tx: Session) -> None:
            repository.add_result(tx, id=key, result=result)
            repository.change_state(tx, id=key, state=State.DONE)

        self._end(key)
        self._put(key, enter)

    def failed(self, key: str, sentence: str) -> None:
        self._end(key)
        self._change(key, State.FAILED, sentence)

    def cancelled(self, key: str) -> None:
        self._end(key)
        self._change(key, State.CANCELLED)

    def interrupted(self, key: str, sentence: str) -> None:
        self._end(key)
        self._change(key, State.INTERRUPTED, sentence)

    def close(self) -> None:
        """Write what is left and end; without a database, what is left is lost."""
        self._closing.set()
        self._entries.put(None)
        self._thread.join()

    def _sign(self, key: str) -> None:
        with self._lock:
            self._signs[key] = time.monotonic()

    def _end(self, key: str) -> None:
        with self._lock:
            self._signs.pop(key, None)

    def _silent(self) -> list[str]:
        """The runs that have been silent for long enough; a sign of each is about to be written."""
        now = time.monotonic()
        with self._lock:
            silent = [key for key, last in self._signs.items() if now - last >= _BEAT_SECONDS]
            self._signs.update(dict.fromkeys(silent, now))
        return silent

    def _change(self, key: str, state: State, error: str | None = None) -> None:
        self._put(key, lambda tx: repository.change_state(tx, id=key, state=state, error=error))

    def _put(self, key: str, entry: Entry) -> None:
        self._entries.put((key, entry))

    def _write(self) -> None:
        while True:
            try:
                entry = self._entries.get(timeout=_BEAT_SECONDS / 5)
            except queue.Empty:
                pass
            else:
                if entry is None:
                    return
                self._enter(*entry)
            if silent := self._silent():
                self._beat(silent)

    def _enter(self, key: str, entry: Entry) -> None:
        again = False
        while True:
            try:
                with self._database.begin() as tx:
                    entry(tx)
            except DatabaseAway as error:
                if not self._away:
                    log.warning("%s", error)
                self._away = again = True
                if self._closing.wait(_RETRY_SECONDS):
                    return
                continue
            except NotFound:
                self.on_missing_session(key)  # deleted while it ran
            except Exception as error:
                if again and isinstance(error, ValueError):
                    # What was committed just when the database went away cannot be entered twice.
                    log.info("an entry was written already: %s", error)
                else:
                    log.exception("an entry could not be written")
            self._away = False
            return

    def _beat(self, keys: list[str]) -> None:
        try:
            with self._database.begin() as tx:
                repository.record_heartbeats(tx, ids=keys)
        except DatabaseAway:
            pass  # the next entry waits for it, and says so
        except Exception:
            log.exception("a sign of life could not be written")
