"""Application service of sessions: what the page, the server and the API may do with them.

A session is a folder named by its id, holding the video, its background picture, its matte and its results,
and a row in the database with everything else. The parts: `store` (rows and folders), `intake` (uploads),
`choices` (the job), `queueing` (runs), `deletion`, `recovery`. Every error that leaves here is a sentence.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from db import repository, runs
from db.engine import Database
from db.errors import NotFound
from db.models import Result, SessionRow, State
from pipeline import formats, models
from pipeline.errors import InputError, WorkerLost
from pipeline.files import clean_name
from pipeline.job import Progress
from pipeline.jobs.runner import Runner
from pipeline.models import helpers
from pipeline.weights.locate import are_present
from ui.sessions import estimates, recovery
from ui.sessions.choices import Choices
from ui.sessions.deletion import Deletions
from ui.sessions.downloads import Downloads
from ui.sessions.intake import Intake
from ui.sessions.library import examples
from ui.sessions.library.word_backgrounds import Drawings, WordBackgrounds
from ui.sessions.limits.quota import Quota
from ui.sessions.limits.upload_limits import UploadLimits
from ui.sessions.live_cuts import LiveCut, LiveCuts
from ui.sessions.queueing import RunQueue
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.rendering.protocol import Host
from ui.sessions.runs import Runs
from ui.sessions.session import Session, Unreadable, download_name
from ui.sessions.sharing.share_links import ShareLinks
from ui.sessions.store import LONGEST_NAME, SessionPage, SessionStore
from ui.sessions.webhooks.service import Webhooks

_SOUND_BYTES = 24_000
"""Upper estimate of the bytes of a second of a video's sound."""


class SessionService:
    """Sessions of the local user; `for_owner` returns the service of another user.

    Every method that takes an id raises NotFound for a session that the user does not have.
    """

    def __init__(
        self,
        home: Path,
        database: Database,
        runner: Runner,
        sample: Path,
        worker: Host,
        limits: UploadLimits | None = None,
        *,
        private_webhooks: bool = False,
    ) -> None:
        """`private_webhooks`: webhooks may be at private, loopback and link-local addresses."""
        self.limits = limits = limits or UploadLimits()
        self._store = SessionStore(home, database)
        self._sample = sample
        self.quota = Quota(limits.quota_bytes, self._store.folders)
        self.frames = FrameClient(worker)
        self.downloads = Downloads()
        self._drawings = Drawings()
        self._queue = RunQueue(self._store, runner, self.frames, self.quota)
        self._live_cuts = LiveCuts(self.frames, self.quota, lambda: runner.is_idle())
        self._deletions = Deletions(self._store, self._queue, self._live_cuts, self.quota)
        self._intake = Intake(self._store, self.quota, limits)
        self._private_webhooks = private_webhooks
        self._owner: UUID | None = None

    def for_owner(self, owner: UUID | None) -> SessionService:
        """Return the service for this user (None: the local one); everything else is shared."""
        theirs = copy.copy(self)
        theirs._owner = owner
        return theirs

    @property
    def choices(self) -> Choices:
        """Changes of the user's sessions."""
        return Choices(self._store, self._intake, self._queue, self.frames, self._owner)

    @property
    def word_backgrounds(self) -> WordBackgrounds:
        """Pictures made of words for the backgrounds of the user's sessions."""
        own = self._store, self.quota, self.frames, self.choices, self._drawings, self._owner
        return WordBackgrounds(*own)

    @property
    def share_links(self) -> ShareLinks:
        """Links to the user's results."""
        return ShareLinks(self._store, self._owner)

    @property
    def runs(self) -> Runs:
        """Runs of the user's sessions."""
        return Runs(self._store, self._queue, self._owner)

    @property
    def webhooks(self) -> Webhooks:
        """Addresses that are told of the ends of the user's runs."""
        return Webhooks(self._store.database, self._owner, private=self._private_webhooks)

    # ------------------------------------------------------------------ sessions

    def create(self, file: Path, name: str) -> str:
        """Create a session with the uploaded `file`, which is moved into it; returns its id.

        Raises VideoError for a file that is not a usable video, InputError for one beyond the limits; the
        file is then deleted.
        """
        if self.quota.limit_bytes:  # sessions that wait for deletion must not add to the quota
            self._deletions.purge_owner(self._owner)
        return self._intake.create_session(file, name, self._owner)

    def create_sample(self) -> str:
        """Create a session with the sample video; raises as `create`."""
        return self.create(self._intake.copy_sample(self._sample), self._sample.name)

    def create_example(self, name: str) -> str:
        """Create a session with one of `examples.NAMES`; raises as `create`, InputError for other names."""
        path = examples.path(name)
        return self.create(self._intake.copy_sample(path), path.name)

    def open(self, id: str) -> Session:
        """Return a session. Raises InputError if it cannot be read, VideoError if its video was removed."""
        return self._store.open(id, self._owner)

    def open_for_picture(self, id: str, revision: str) -> Session:
        """Return a session to render a frame of; raises as `open`.

        If it was saved a moment ago, and the picture is asked for in that `FrameClient.revision`, it is not
        read from the database again.
        """
        saved = self._store.find_saved(id, self._owner) if revision else None
        if saved is not None and self.frames.revision(saved) == revision:
            return saved
        return self.open(id)

    def list_sessions(self, search: str | None = None) -> list[Session | Unreadable]:
        """Return the 200 sessions changed last whose name contains `search`, newest change first."""
        return self._store.list_sessions(self._owner, search)

    def list_page(
        self,
        *,
        limit: int,
        before: repository.Cursor | None = None,
        search: str | None = None,
        state: State | None = None,
        starred: bool | None = None,
    ) -> SessionPage:
        """Return at most `limit` sessions, those created last first; `before` is `SessionPage.next`."""
        return self._store.list_page(
            self._owner, limit=limit, before=before, search=search, state=state, starred=starred
        )

    def read(self, id: str) -> Session:
        """Return a session, also one whose video was removed. Raises InputError if it cannot be read."""
        return self._store.find(id, self._owner)

    def find_unfinished(self) -> str | None:
        """Return the id of the newest session that is queued or running."""
        return self._store.find_unfinished(self._owner)

    def rename(self, id: str, name: str) -> Session:
        """Rename a session; an empty name changes nothing."""
        name = clean_name(name)[:LONGEST_NAME]
        if name:
            with self._store.database.begin() as tx:
                repository.rename(tx, id=id, name=name, owner=self._owner)
        return self._store.find(id, self._owner)

    def star(self, id: str, starred: bool) -> Session:
        """Set or remove the star, which exempts a session from expiry."""
        with self._store.database.begin() as tx:
            repository.star(tx, id=id, starred=starred, owner=self._owner)
        return self._store.find(id, self._owner)

    def result(self, id: str, result: str) -> tuple[Path, str, str]:
        """Return a result's file, its MIME type, and the name to download it under."""
        row = self._store.row(id, self._owner)
        for stored in row.results:
            if str(stored.id) == result:
                return self._result_file(row, stored)
        raise InputError("choices.no_such_result")

    def find_result(self, result: str) -> tuple[Path, str, str]:
        """Return what `result` does, without the session's id. Raises NotFound where the user has none."""
        with self._store.database.begin() as tx:
            row, stored = runs.find_result(tx, id=result, owner=self._owner)
        self._store.check_listed(str(row.id))
        return self._result_file(row, stored)

    def _result_file(self, row: SessionRow, stored: Result) -> tuple[Path, str, str]:
        form = formats.by_key(stored.format)
        return self._store.folder / str(row.id) / stored.file, form.mime, download_name(row, stored)

    def matte(self, id: str) -> tuple[Path, str]:
        """Return the file of the present marks' matte, and the name to download it under.

        Raises NotFound where there is none.
        """
        session = self.open(id)
        path = session.job.matte
        if path is None or not self.frames.has_matte(session):
            raise NotFound("choices.no_matte")
        return path, f"{Path(session.row.name).stem}-matte{path.suffix}"

    def sound(self, id: str) -> Path:
        """Return the file of the video's sound for players, AAC in MP4; written when it is first asked for.

        Its second 0 is the first frame. Raises NotFound for a video without sound, VideoError if the sound
        cannot be decoded, QuotaExceeded if there is no room for it.
        """
        session = self.open(id)
        if not session.clip.sound:
            raise NotFound("choices.no_sound")
        path = session.folder / "sound.m4a"
        if not path.exists():
            with self.quota.reserve(self._owner, path, round(session.clip.duration * _SOUND_BYTES)):
                self.frames.write_sound(session, path)
            self.quota.forget()
        return path

    def used_bytes(self) -> int:
        """Return the bytes that the user's sessions take on the disk."""
        return self.quota.used_bytes(self._owner)

    def acknowledge(self, key: str) -> None:
        """Save that the user has read what a model's licence forbids. Raises WeightsError."""
        self._store.licences.accept(self._owner, models.card(key))

    def has_acknowledged(self, key: str) -> bool:
        """Return True if the user has read what a model's licence forbids, or it forbids nothing."""
        return self._store.licences.has_accepted(self._owner, models.card(key))

    def start_download(self, key: str) -> None:
        """Start the download of a model's or helper's weights, unless they are here or on their way.

        Raises InputError for others, WeightsError where the user has not acknowledged the model's licence.
        """
        _label, weights = helpers.find_weights(key)
        self._check_licence(key)
        if weights is not None and not are_present(weights):
            self.downloads.start(key)

    def cancel_download(self, key: str) -> None:
        """Stop a download; raises as `start_download`."""
        helpers.find_weights(key)
        self._check_licence(key)
        self.downloads.cancel(key)

    def _check_licence(self, key: str) -> None:
        if key not in helpers.HELPERS and not self.has_acknowledged(key):
            raise models.licence_error(models.card(key))

    # ------------------------------------------------------------------ runs

    def run(self, id: str) -> None:
        """Queue the session's job, once. Raises InputError if it cannot be run as it stands."""
        self._queue.run(id, self._owner)

    def cancel(self, id: str) -> None:
        """Stop the session's run, or remove it from the queue; without either nothing happens."""
        self._queue.cancel(id, self._owner)

    def queue_position(self, id: str) -> int | None:
        """Return 0 if the session is running, 1 if it is next; None if it is neither."""
        return self._queue.position(id, self._owner)

    def eta(self, id: str) -> float | None:
        """Return the seconds until the run is expected to start; None if unknown."""
        return self._queue.eta(id, self._owner)

    def progress(self, id: str) -> Progress | None:
        """Return the latest progress of the run; None if there is none."""
        return self._queue.progress(id, self._owner)

    def live_cut(self, id: str, near: int, *, wanted: bool = True) -> tuple[Session, LiveCut]:
        """Return a session with the state of its live cut.

        If it is `wanted`, it is computed while somebody asks, frames around number `near` first.
        """
        session = self.open(id)
        live = self._live_cuts.watch(session, near) if wanted else self._live_cuts.read(session)
        return session, live

    def expected_seconds(self, session: Session, live: LiveCut | None = None) -> float | None:
        """Estimate the seconds that a run would take, from the state of its live cut; None if unknown.

        Without `live`, the state that was read last is taken: every change of the page asks for this.
        """
        if live is None:
            try:
                live = self._live_cuts.latest(session)
            except WorkerLost:
                return None
        return estimates.expected_seconds(session, live.cut, live.rate)

    # ------------------------------------------------------------------ deletion

    def delete(self, id: str) -> None:
        """Delete a session with its files; its run is stopped first."""
        self._deletions.delete(id, self._owner)

    def delete_later(self, id: str) -> SessionRow:
        """Hide a session now and delete it after `deletion.UNDO_SECONDS`."""
        return self._deletions.delete_later(id, self._owner)

    def undelete(self, id: str) -> None:
        """Cancel a delayed deletion. Raises NotFound once the session is deleted."""
        self._deletions.undelete(id, self._owner)

    # ------------------------------------------------------------------ for the server: everybody's sessions

    def purge(self) -> None:
        """Delete all users' sessions whose undo time is over."""
        self._deletions.purge()

    def close(self) -> None:
        """Stop live cuts and delete sessions that wait for deletion: called when the program ends."""
        self._live_cuts.close()
        self._deletions.purge_all()

    def delete_expired(self, age: timedelta) -> Iterator[str]:
        """Delete what nobody changed for `age`; yields ids and names of what is deleted."""
        return self._deletions.delete_expired(age)

    def recover(self) -> None:
        """Bring rows and files into agreement after a server was killed; before anything runs."""
        recovery.recover(self._store)

    def requeue(self) -> None:
        """Mark running sessions as interrupted and queue the queued ones again; before anything runs."""
        recovery.requeue(self._store, self._queue, self.quota)
