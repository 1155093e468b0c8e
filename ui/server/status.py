"""Status of the server: its database, worker, runs, and the accounts with their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from db import repository, users
from db.engine import Database
from db.models import SessionRow
from pipeline.jobs.runner import ExecutorState
from pipeline.languages.messages import Message
from ui.sessions.service import SessionService


@dataclass(frozen=True)
class Run:
    """A session that is queued or running."""

    session: str
    user: str
    """Empty: the local user."""
    state: str
    model: str
    since: datetime
    position: int | None = None
    """0: running, 1: next, …; None: not in this server's queue."""
    done: int = 0
    total: int = 0
    """Frames."""
    rate: float = 0.0
    """Frames per second."""
    device: str = ""
    """Name of the node or else of the executor that runs it; empty: none yet."""
    waits_for: Message | None = None
    """Thing that it waits for before its first frame; None: nothing."""


@dataclass(frozen=True)
class Account:
    """A user with the number of their sessions and the size of their files in bytes."""

    name: str
    """Empty: the local user."""
    admin: bool
    sessions: int
    bytes: int


class StatusSource(Protocol):
    """Source of the server's status. Each method but `worker` raises DatabaseError."""

    def check(self) -> None: ...
    def worker(self) -> bool: ...
    def runs(self) -> Sequence[Run]: ...
    def accounts(self) -> Sequence[Account]: ...
    def cancel(self, session: str) -> None: ...


class Process(Protocol):
    """The process that hosts the models."""

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...


def count_by_state(database: Database) -> Mapping[str, int]:
    """Return how many sessions are in each state. Raises DatabaseError."""
    with database.begin() as tx:
        return {str(state): count for state, count in repository.count_by_state(tx).items()}


class Runner(Protocol):
    """Queue of jobs."""

    def is_alive(self) -> bool: ...
    def executors(self) -> Sequence[ExecutorState]: ...


class ServerStatus:
    """Status of a server, read from its database, its worker and its session service."""

    def __init__(self, database: Database, process: Process, runner: Runner, service: SessionService) -> None:
        self._database = database
        self._process = process
        self._runner = runner
        self._sessions = service

    def worker(self) -> bool:
        """Return True if both the runner and the worker process are alive.

        A worker process that was lost is started again here, so that it is reported once.
        """
        runner_alive = self._runner.is_alive()
        process_alive = self._process.pid is not None
        if not process_alive:
            self._process.start()
        return runner_alive and process_alive

    def check(self) -> None:
        """Read from the database. Raises DatabaseError."""
        with self._database.begin() as tx:
            repository.now(tx)

    def runs(self) -> Sequence[Run]:
        with self._database.begin() as tx:
            active = repository.list_active(tx)
        devices = {state.key: state.node or state.name for state in self._runner.executors()}
        runs = [
            self._run(owned.row, owned.owner or "", devices.get(str(owned.row.id), "")) for owned in active
        ]
        return sorted(runs, key=lambda run: (run.position is None, run.position or 0, run.since))

    def _run(self, row: SessionRow, user: str, device: str) -> Run:
        service = self._sessions.for_owner(row.owner_id)
        progress = service.progress(str(row.id))
        return Run(
            session=str(row.id),
            user=user,
            state=str(row.state),
            model=str(row.job.get("model", "")),
            since=row.started_at or row.queued_at or datetime.now(UTC),
            position=service.queue_position(str(row.id)),
            done=0 if progress is None else progress.done,
            total=0 if progress is None else progress.total,
            rate=0.0 if progress is None else progress.rate,
            device=device,
            waits_for=None if progress is None else progress.waits_for,
        )

    def accounts(self) -> Sequence[Account]:
        with self._database.begin() as tx:
            listed = users.list_users(tx)
            local = len(repository.list_ids(tx))
        accounts = [
            Account(user.name, user.admin, sessions, self._bytes_used(user.id)) for user, sessions in listed
        ]
        if local or not accounts:
            accounts.insert(0, Account("", not accounts, local, self._bytes_used(None)))
        return accounts

    def cancel(self, session: str) -> None:
        """Cancel a session's run. Raises NotFound where there is no such session."""
        with self._database.begin() as tx:
            row = repository.get_any(tx, id=session)
        self._sessions.for_owner(row.owner_id).cancel(str(row.id))

    def _bytes_used(self, owner: UUID | None) -> int:
        return self._sessions.for_owner(owner).used_bytes()
