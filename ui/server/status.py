"""The server as its signs see it: database, line, users and their files, whoever's they are."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from db import repository, users
from db.engine import Database
from db.models import SessionRow
from ui.server.metrics import Account, Run
from ui.sessions.service import SessionService


class Process(Protocol):
    """What hosts the models."""

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...


class ServerStatus:
    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._process = process
        self.actions: SessionService | None = None
        """Given once they are there: their runner tells what is counted here."""

    def worker(self) -> bool:
        """Whether runs go on: their line, without which none would ever start, and their process.

        One that was lost is started again here; so it is missed once.
        """
        line = any(thread.name == "runner" and thread.is_alive() for thread in threading.enumerate())
        there = self._process.pid is not None
        if not there:
            self._process.start()
        return line and there

    def check(self) -> None:
        with self._database.begin() as tx:
            repository.now(tx)

    def states(self) -> Mapping[str, int]:
        with self._database.begin() as tx:
            return {str(state): count for state, count in repository.count_by_state(tx).items()}

    def runs(self) -> Sequence[Run]:
        with self._database.begin() as tx:
            under_way = repository.list_active(tx)
        runs = [self._run(owned.row, owned.owner or "") for owned in under_way]
        return sorted(runs, key=lambda run: (run.place is None, run.place or 0, run.since))

    def _run(self, row: SessionRow, user: str) -> Run:
        mine = self._service(row.owner_id)
        progress = None if mine is None else mine.progress(str(row.id))
        return Run(
            session=str(row.id),
            user=user,
            state=str(row.state),
            model=str(row.job.get("model", "")),
            since=row.started_at or row.queued_at or datetime.now(UTC),
            place=None if mine is None else mine.queue_position(str(row.id)),
            done=0 if progress is None else progress.done,
            total=0 if progress is None else progress.total,
            rate=0.0 if progress is None else progress.rate,
        )

    def accounts(self) -> Sequence[Account]:
        with self._database.begin() as tx:
            listed = users.list_users(tx)
            local = len(repository.list_ids(tx))
        found = [
            Account(user.name, user.admin, sessions, self._bytes_used(user.id)) for user, sessions in listed
        ]
        if local or not found:
            found.insert(0, Account("", not found, local, self._bytes_used(None)))
        return found

    def cancel(self, session: str) -> None:
        """Raises NotFound where there is no such session."""
        with self._database.begin() as tx:
            row = repository.get_any(tx, id=session)
        mine = self._service(row.owner_id)
        if mine is not None:
            mine.cancel(str(row.id))

    def _service(self, owner: UUID | None) -> SessionService | None:
        return None if self.actions is None else self.actions.for_owner(owner)

    def _bytes_used(self, owner: UUID | None) -> int:
        mine = self._service(owner)
        return 0 if mine is None else mine.used_bytes()
