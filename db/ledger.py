"""Ledger: writes the events of runs to the database in order, and waits while it is unreachable."""

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
from pipeline.languages.messages import Message

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_BEAT_SECONDS = 5.0
"""Longest time without an event before a heartbeat is written."""

Entry = Callable[[Session], object]


class Ledger:
    """Sink of a runner that writes to the database; `key` is a session's id.

    Each call returns at once: a thread writes, one short transaction for each entry, and retries until the
    database is back. Progress is dropped while the database is away, and where runs report faster than it
    writes, all but each run's latest. A run without events gets a heartbeat every few seconds, for as long as
    this process runs it.

    `on_missing_session` is called with the key of a run whose session was deleted: it is to be stopped.
    """

    def __init__(
        self, database: Database, *, on_missing_session: Callable[[str], object] = lambda key: None
    ) -> None:
        self._database = database
        self._on_missing_session = on_missing_session
        self._entries: queue.SimpleQueue[tuple[str, Entry] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._away = False
        self._lock = threading.Lock()
        self._heartbeats: dict[str, float] = {}
        """Time of the latest event or heartbeat of each run, by `time.monotonic`."""
        self._progress: dict[str, RunProgress] = {}
        """Latest progress of each run that has an entry for it in the queue."""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def started(self, key: str) -> None:
        self._record_heartbeat(key)
        self._change(key, State.RUNNING)

    def progressed(self, key: str, progress: RunProgress) -> None:
        if not self._away:
            self._record_heartbeat(key)
            with self._lock:
                pending = key in self._progress
                self._progress[key] = progress
            if not pending:
                self._put(key, lambda tx: self._save_progress(tx, key))

    def checked(self, key: str, points: MatteChecked) -> None:
        self._put(key, lambda tx: repository.save_review_points(tx, id=key, points=points))

    def finished(self, key: str, result: RunFinished) -> None:
        def enter(tx: Session) -> None:
            repository.add_result(tx, id=key, result=result)
            repository.change_state(tx, id=key, state=State.DONE)

        self._forget(key)
        self._put(key, enter)

    def failed(self, key: str, message: Message) -> None:
        self._forget(key)
        self._change(key, State.FAILED, message)

    def cancelled(self, key: str) -> None:
        self._forget(key)
        self._change(key, State.CANCELLED)

    def interrupted(self, key: str, message: Message) -> None:
        self._forget(key)
        self._change(key, State.INTERRUPTED, message)

    def close(self) -> None:
        """Write the remaining entries and end the thread; without a database they are lost."""
        self._closing.set()
        self._entries.put(None)
        self._thread.join()

    def _record_heartbeat(self, key: str) -> None:
        with self._lock:
            self._heartbeats[key] = time.monotonic()

    def _forget(self, key: str) -> None:
        with self._lock:
            self._heartbeats.pop(key, None)

    def _save_progress(self, tx: Session, key: str) -> None:
        with self._lock:
            progress = self._progress.pop(key, None)
        if progress is not None:
            repository.save_progress(tx, id=key, progress=progress)

    def _due_heartbeats(self) -> list[str]:
        """Return the runs that are due for a heartbeat, which the caller writes."""
        now = time.monotonic()
        with self._lock:
            silent = [key for key, last in self._heartbeats.items() if now - last >= _BEAT_SECONDS]
            self._heartbeats.update(dict.fromkeys(silent, now))
        return silent

    def _change(self, key: str, state: State, error: Message | None = None) -> None:
        self._put(key, lambda tx: repository.change_state(tx, id=key, state=state, error=error))

    def _put(self, key: str, entry: Entry) -> None:
        self._entries.put((key, entry))

    def _run(self) -> None:
        while True:
            try:
                entry = self._entries.get(timeout=_BEAT_SECONDS / 5)
            except queue.Empty:
                pass
            else:
                if entry is None:
                    return
                self._write_entry(*entry)
            if due := self._due_heartbeats():
                self._write_heartbeats(due)

    def _write_entry(self, key: str, entry: Entry) -> None:
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
                self._on_missing_session(key)  # deleted while it ran
            except Exception as error:
                if again and isinstance(error, ValueError):
                    # Committed just before the connection was lost: the retry is refused.
                    log.info("an entry was written already: %s", error)
                else:
                    log.exception("an entry could not be written")
            self._away = False
            return

    def _write_heartbeats(self, keys: list[str]) -> None:
        try:
            with self._database.begin() as tx:
                repository.record_heartbeats(tx, ids=keys)
        except DatabaseAway:
            pass  # the next entry waits for the database, and logs it
        except Exception:
            log.exception("a heartbeat could not be written")
