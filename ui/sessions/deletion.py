"""Deletion of sessions: at once, after a delay in which it can be undone, and by age."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from db import repository
from db.errors import NotFound
from db.models import SessionRow
from ui.sessions.limits.quota import Quota
from ui.sessions.live_cuts import LiveCuts
from ui.sessions.queueing import RunQueue
from ui.sessions.removal import Removal
from ui.sessions.store import SessionStore, erase

log = logging.getLogger(__name__)

UNDO_SECONDS = 30.0
"""Time in which a delayed deletion can be undone."""


class Deletions:
    """Deletes sessions with their files; a run that is under way is stopped first. Thread-safe."""

    def __init__(self, store: SessionStore, queue: RunQueue, live_cuts: LiveCuts, quota: Quota) -> None:
        self._store = store
        self._queue = queue
        self._live_cuts = live_cuts
        self._quota = quota
        self._lock = threading.RLock()

    def delete(self, id: str, owner: UUID | None) -> None:
        """Delete row and files together: the folder is hidden first, so that neither stays alone."""
        id = str(self._store.row(id, owner).id)
        self._queue.stop(id)
        self._queue.wait_until_gone(id)
        self._remove(id, partial(repository.delete, id=id, owner=owner))

    def delete_later(self, id: str, owner: UUID | None) -> SessionRow:
        """Hide the session now and delete it after UNDO_SECONDS.

        If the program ends before that, it was not deleted. Raises NotFound.
        """
        row = self._store.row(id, owner)
        id = str(row.id)
        self._store.check_listed(id)
        self._queue.stop(id)
        self._store.pending_deletions[id] = time.monotonic(), owner
        later = threading.Timer(UNDO_SECONDS + 1, self._purge_later)
        later.daemon = True
        later.start()
        return row

    def undelete(self, id: str, owner: UUID | None) -> None:
        """Cancel a delayed deletion. Raises NotFound once the session is deleted."""
        with self._lock:
            self._store.row(id, owner)
            self._store.pending_deletions.pop(id, None)

    def purge(self) -> None:
        """Delete all users' sessions whose undo time is over."""
        now = time.monotonic()
        self._purge(lambda since, _owner: now - since >= UNDO_SECONDS)

    def purge_owner(self, owner: UUID | None) -> None:
        """Delete this user's sessions that wait for deletion, at once."""
        self._purge(lambda _since, of: of == owner)

    def purge_all(self) -> None:
        """Delete all sessions that wait for deletion, at once: called when the program ends."""
        self._purge(lambda _since, _owner: True)

    def delete_expired(self, age: timedelta) -> Iterator[str]:
        """Delete sessions and set-aside folders unchanged for `age`; yields their ids and names.

        Compared by the database's clock, as the rows' times are. Sessions that are starred, queued or
        running are kept.
        """
        with self._store.database.begin() as tx:
            cutoff = repository.now(tx) - age
            ids = repository.list_expired(tx, before=cutoff)
        for id in map(str, ids):
            with suppress(NotFound):  # changed or deleted since the query
                self._remove(id, partial(repository.delete_expired, id=id, before=cutoff))
                yield id
        for folder in self._store.lost.glob("*"):
            if folder.lstat().st_mtime < cutoff.timestamp():
                erase(folder)
                yield folder.name

    def _remove(self, id: str, delete_row: Callable[[Any], object]) -> None:
        """`delete_row` deletes the row in a transaction, and locks it against concurrent changes."""
        self._live_cuts.stop(id)
        with Removal() as removal, self._store.database.begin() as tx:
            delete_row(tx)
            removal.hide(self._store.folder / id)
        self._queue.forget(id)
        self._store.awaited_backgrounds.pop(id, None)
        self._quota.forget()

    def _purge_later(self) -> None:
        try:
            self.purge()
        except Exception:  # it stays hidden, and is deleted by the next purge
            log.exception("what was put away could not be deleted")

    def _purge(self, is_due: Callable[[float, UUID | None], bool]) -> None:
        with self._lock:
            for id, (since, owner) in list(self._store.pending_deletions.items()):
                if is_due(since, owner):
                    with suppress(NotFound):
                        self.delete(id, owner)
                    del self._store.pending_deletions[id]
