"""Recovery at start-up from a server that was killed. Only before anything runs."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from db import repository
from db.models import Result, SessionRow, State
from pipeline.errors import INTERNAL_ERROR, RecorteError
from pipeline.languages.messages import Message
from ui.sessions.limits.quota import Quota
from ui.sessions.queueing import RunQueue
from ui.sessions.removal import HIDDEN
from ui.sessions.store import RESULT_PREFIX, SessionStore, erase, playable, readable

log = logging.getLogger(__name__)


def recover(store: SessionStore) -> None:
    """Bring rows and files into agreement.

    Hidden folders of deleted sessions are erased; a hidden folder whose row still exists is renamed back. A
    folder without a row is set aside in `lost`, for its row may be in another database. A row without its
    folder is deleted, a result without its file too; a result's file without a row is erased.
    """
    with store.database.begin() as tx:
        rows = {str(row.id): row for row in repository.list_all(tx)}
        now = repository.now(tx)
    for hidden in store.folder.glob(f"{HIDDEN}*"):
        id = hidden.name.removeprefix(HIDDEN)
        if id in rows and not (store.folder / id).exists():
            hidden.rename(store.folder / id)
    for leftover in [*store.folder.glob(".*"), *store.folder.glob("*/.*")]:
        erase(leftover)
    folders = {path.name: path for path in store.folder.iterdir()}
    for name in folders.keys() - rows.keys():
        _set_aside(store.lost, folders[name], now)
    missing = rows.keys() - folders.keys()
    if missing and missing == rows.keys():
        # More likely the wrong data folder than the loss of everybody's files.
        log.warning("not one of %d sessions has its folder in this data folder", len(missing))
        return
    for id in missing:
        log.warning("session %s has no files any more and is forgotten", id)
        with store.database.begin() as tx:
            repository.delete_any(tx, id=id)
    for id in rows.keys() & folders.keys():
        _recover_results(store, folders[id], rows[id].results)


def requeue(store: SessionStore, queue: RunQueue, quota: Quota) -> None:
    """Mark running sessions as interrupted, and give the queued ones to the runner again, in order."""
    with store.database.begin() as tx:
        repository.interrupt_running(tx)
        waiting = repository.list_queued(tx)
    for row in waiting:
        try:
            session = playable(readable(store.read(row)))
            job, seconds = queue.plan(session)
            need = queue.bytes_needed(session, job) if quota.limit_bytes else 0
        except RecorteError as error:
            _fail(store, row, error.message)
        except Exception:  # one broken session must not keep the server from starting
            log.exception("a session could not be queued again", extra={"session": str(row.id)})
            _fail(store, row, INTERNAL_ERROR)
        else:
            reservation = quota.hold(row.owner_id, session.folder, need, checked=False)
            queue.submit(session, job, seconds, reservation)


def _recover_results(store: SessionStore, folder: Path, results: list[Result]) -> None:
    missing = [result.id for result in results if not (folder / result.file).exists()]
    if missing:
        log.warning("session %s has lost %d results", folder.name, len(missing))
        with store.database.begin() as tx:
            repository.delete_results(tx, ids=missing)
    files = {result.file for result in results}
    for file in folder.glob(f"{RESULT_PREFIX}*"):
        if file.name not in files:
            erase(file)


def _set_aside(lost: Path, folder: Path, now: datetime) -> None:
    log.warning("%s belongs to no session and is set aside", folder.name)
    lost.mkdir(mode=0o700, exist_ok=True)
    target = lost / folder.name
    if target.exists():
        target = lost / f"{folder.name}-{uuid4().hex[:8]}"
    # From now on it is kept for as long as a session that nobody changes.
    os.utime(folder, (now.timestamp(), now.timestamp()), follow_symlinks=False)
    folder.rename(target)


def _fail(store: SessionStore, row: SessionRow, error: Message) -> None:
    with store.database.begin() as tx:
        repository.change_state(tx, id=row.id, state=State.FAILED, error=error)
