"""Sessions as they are stored: a row in the database and a folder named by the session's id."""

from __future__ import annotations

import logging
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.models import SessionRow, State
from pipeline.clip import Clip
from pipeline.errors import InputError, VideoError
from pipeline.job import Job, Progress
from pipeline.jobs.events import MatteChecked
from ui.sessions.licences import Licences
from ui.sessions.limits.quota import uploads_folder
from ui.sessions.saved import SavedSessions
from ui.sessions.session import Session, Unreadable

log = logging.getLogger(__name__)

RESULT_PREFIX = "result-"
LONGEST_NAME = 120
_LIST_LIMIT = 200


class SessionPage(NamedTuple):
    """Page of a list of sessions, the newest first; sessions that are being deleted are left out."""

    sessions: list[Session | Unreadable]
    next: repository.Cursor | None
    """Cursor of the next page; None: this is the last one."""


class SessionStore:
    """Rows and folders of all users' sessions, and the state of this process about them.

    `owner` is the user who asks (None: the local user); sessions of others raise NotFound. Thread-safe.
    """

    def __init__(self, home: Path, database: Database) -> None:
        self.folder = home / "sessions"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lost = home / "lost"
        """Folders that belong to no row of this database."""
        self.database = database
        self.licences = Licences(database)
        self._uploads = home / "uploads"
        self.job_lock = threading.Lock()
        """Held while a session's job is read, changed and written."""
        self.pending_deletions: dict[str, tuple[float, UUID | None]] = {}
        """Sessions that are about to be deleted: since when (`time.monotonic`), and their owner."""
        self.saved = SavedSessions()
        """Sessions as this process has just saved their jobs."""
        self.awaited_backgrounds: dict[str, str] = {}
        """`Session.awaited_background` by session id."""

    def row(self, id: str, owner: UUID | None) -> SessionRow:
        """Return a session's row, also of one that is about to be deleted. Raises NotFound."""
        with self.database.begin() as tx:
            return repository.get(tx, id=id, owner=owner)

    def find(self, id: str, owner: UUID | None) -> Session:
        """Return a session. Raises NotFound; InputError if its row cannot be read."""
        self.check_listed(id)
        return readable(self.read(self.row(id, owner)))

    def open_row(self, row: SessionRow) -> Session:
        """Return the session of a row; raises as `open`."""
        self.check_listed(str(row.id))
        return playable(readable(self.read(row)))

    def open(self, id: str, owner: UUID | None) -> Session:
        """Return a session whose video exists. Raises as `find`; VideoError if the video was removed."""
        return playable(self.find(id, owner))

    def find_saved(self, id: str, owner: UUID | None) -> Session | None:
        """Return a session as its job was saved a moment ago, without the database; None: ask that.

        Only its clip, job and folder are to be used, for a run may have changed the rest of its row. Raises
        NotFound for one that is about to be deleted.
        """
        self.check_listed(id)
        return self.saved.find(id, owner)

    def list_sessions(self, owner: UUID | None, search: str | None = None) -> list[Session | Unreadable]:
        """Return the 200 sessions of a user that changed last, of those whose name contains `search`."""
        with self.database.begin() as tx:
            rows = repository.list_changed(tx, limit=_LIST_LIMIT, search=search or None, owner=owner)
        return [self.read(row) for row in rows if str(row.id) not in self.pending_deletions]

    def list_page(
        self,
        owner: UUID | None,
        *,
        limit: int,
        before: repository.Cursor | None = None,
        search: str | None = None,
        state: State | None = None,
        starred: bool | None = None,
    ) -> SessionPage:
        """Return at most `limit` sessions of a user that were created before those of an earlier page."""
        with self.database.begin() as tx:
            rows = repository.list_page(
                tx,
                limit=limit + 1,
                before=before,
                search=search or None,
                state=state,
                starred=starred,
                owner=owner,
            )
        last = rows[limit - 1] if len(rows) > limit else None
        listed = [row for row in rows[:limit] if str(row.id) not in self.pending_deletions]
        return SessionPage(list(map(self.read, listed)), None if last is None else (last.created_at, last.id))

    def find_unfinished(self, owner: UUID | None) -> str | None:
        """Return the id of a user's newest readable session that is queued or running."""
        with self.database.begin() as tx:
            rows = repository.list_unfinished(tx, owner=owner)
        for row in rows:
            if str(row.id) not in self.pending_deletions and isinstance(self.read(row), Session):
                return str(row.id)
        return None

    def read(self, row: SessionRow) -> Session | Unreadable:
        """Parse the JSON columns of a row."""
        folder = self.folder / str(row.id)
        try:
            clip = Clip.from_json(row.clip, folder / row.source)
            job = Job.from_json(row.job, folder)
            progress = None if row.progress is None else Progress.from_json(row.progress)
            checked = None if row.checks is None else MatteChecked.from_json(row.checks)
        except InputError:
            log.warning("a session cannot be read", extra={"session": str(row.id)})
            return Unreadable(row)
        accepts = partial(self.licences.has_accepted, row.owner_id)
        awaited = self.awaited_backgrounds.get(str(row.id))
        return Session(row, clip, job, folder, progress, checked, awaited, accepts)

    def check_listed(self, id: str) -> None:
        """Raise NotFound for a session that is about to be deleted."""
        if id in self.pending_deletions:
            raise NotFound("choices.no_such_session", id=id)

    def folders(self, owner: UUID | None) -> list[Path]:
        """Return the folders that count towards a user's quota: sessions and unused uploads."""
        with self.database.begin() as tx:
            ids = [str(id) for id in repository.list_ids(tx, owner=owner)]
        # A session that is about to be deleted makes room; the next upload deletes it.
        sessions = [self.folder / id for id in ids if id not in self.pending_deletions]
        return [*sessions, uploads_folder(self._uploads, owner)]


def readable(session: Session | Unreadable) -> Session:
    """Return the session. Raises InputError if its row could not be read."""
    if isinstance(session, Unreadable):
        raise session.error
    return session


def playable(session: Session) -> Session:
    """Return the session. Raises VideoError if its video is no longer on the disk."""
    if not session.job.source.exists():
        raise VideoError("video.removed", name=session.row.name)
    return session


def erase(path: Path) -> None:
    """Delete a file or folder, ignoring the parts that cannot be deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
