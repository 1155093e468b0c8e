"""What the page's events do, free of Gradio.

A session is a folder named by its id, holding the video, its background picture, its matte and its results,
and a row in the database that says the rest. Every error that leaves here is a sentence.

What is asked is asked for one user, `for_owner`: a session of somebody else does not exist for them.
"""

from __future__ import annotations

import bisect
import copy
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.models import Result, SessionRow, State
from pipeline import formats, models, names, prompts
from pipeline.clip import Clip
from pipeline.compositing import background
from pipeline.compositing.background import Fit, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.errors import INTERNAL_ERROR, AnimatedPictureError, InputError, RecorteError, VideoError
from pipeline.files import replacing
from pipeline.formats import Quality
from pipeline.job import GREEN, Job, Progress, Sound
from pipeline.jobs import preflight, sandbox, speeds
from pipeline.jobs.runner import Runner
from pipeline.keys import pts_range
from pipeline.video.reading.frame_index import index_path
from ui.sessions import stock_backgrounds
from ui.sessions.downloads import Downloads
from ui.sessions.frames import FrameClient, Host
from ui.sessions.licences import Licences
from ui.sessions.merging import Conflict, Marks, merge
from ui.sessions.quota import Quota, Reservation, uploads_folder
from ui.sessions.removal import HIDDEN, Removal
from ui.sessions.session import Session, Unreadable
from ui.sessions.shares import FairSemaphore
from ui.sessions.upload_limits import UploadLimits

log = logging.getLogger(__name__)

UNDO_SECONDS = 30.0
"""For so long a session that was put away can be brought back."""

_LONGEST_NAME = 120
_CANCEL_POLLS = 50
_RESULT = "result-"
_INTAKES, _INTAKES_EACH, _INTAKES_WAITING = 6, 2, 2
"""Uploads that are looked at at once in all, of each user, and how many more of each user wait."""


class SessionService:
    """Those of the local user; `of` gives the same for others."""

    def __init__(
        self,
        home: Path,
        database: Database,
        runner: Runner,
        sample: Path,
        worker: Host,
        allowance: UploadLimits | None = None,
    ) -> None:
        self._folder = home / "sessions"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lost = home / "lost"
        self._database = database
        self._runner = runner
        self._sample = sample
        self._uploads = home / "uploads"
        self._allowance = allowance or UploadLimits()
        self._intakes = FairSemaphore(
            _INTAKES,
            _INTAKES_EACH,
            _INTAKES_WAITING,
            "Several of your uploads are being looked at. Try again when they are done.",
        )
        self.quota = Quota(self._allowance.quota_bytes, self._folders)
        self._owner: UUID | None = None
        self._changing = threading.Lock()
        self._queueing = threading.Lock()
        """Held while a session's row and the runner are told of the same thing."""
        self._purging = threading.RLock()
        self._away: dict[str, tuple[float, UUID | None]] = {}
        """Sessions that are about to be deleted: since when, by `time.monotonic`, and whose they are."""
        self._submitted: dict[str, UUID | None] = {}
        """Whose the sessions are that the runner was given."""
        self._awaited: dict[str, str] = {}
        """As `Session.awaited_background`, by session."""
        self._licences = Licences(database)
        self.frames = FrameClient(worker)
        self.downloads = Downloads()

    def for_owner(self, owner: UUID | None) -> SessionService:
        """The same, for this user; None: the local one."""
        theirs = copy.copy(self)  # locks, runner and all that is shared stay the same objects
        theirs._owner = owner
        return theirs

    # ------------------------------------------------------------------ sessions

    def create(self, file: Path, name: str) -> str:
        """A new session with the uploaded `file`, which is moved into it; gives its id.

        Raises VideoError where it is no video that can be used, InputError where it is more than may be;
        the file is then removed.
        """
        name = names.clean(name)
        if self.quota.limit_bytes:  # nobody has more than they may for having put some of it away
            self._purge(lambda _since, owner: owner == self._owner)
        try:
            self._allowance.check_bytes(name, file.stat().st_size)
            with self.quota.reserve(self._owner, file), self._intakes.slot(self._owner):
                clip = sandbox.check_video(file, name, index=True, admit=partial(self._admit, file))
                return self._keep(file, clip)
        finally:
            file.unlink(missing_ok=True)
            index_path(file).unlink(missing_ok=True)

    def _admit(self, file: Path, clip: Clip) -> None:
        """Raise InputError where an upload, as it was probed, is more than may be."""
        self._allowance.check(clip, file.stat().st_size)

    def create_sample(self) -> str:
        copy = self._folder / f".{uuid4()}{self._sample.suffix}"
        try:
            shutil.copyfile(self._sample, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return self.create(copy, self._sample.name)

    def _keep(self, file: Path, clip: Clip) -> str:
        id = str(uuid4())
        folder = self._folder / id
        folder.mkdir()
        try:
            source = folder / f"source{_plain_suffix(clip.name)}"
            shutil.move(file, source)
            shutil.move(index_path(file), index_path(source))
            clip = replace(clip, path=source)
            model, _why = models.choose_default(accepts=partial(self._licences.has_accepted, self._owner))
            job = Job(source, folder / "result", model=model, matte=folder / "matte.mkv")
            name = clip.name[:_LONGEST_NAME]
            with self._database.begin() as tx:
                repository.create(
                    tx,
                    id=id,
                    name=name,
                    source=source.name,
                    clip=clip.to_json(),
                    job=job.to_json(folder),
                    owner=self._owner,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self.quota.forget()
        return id

    def open(self, id: str) -> Session:
        """Raises db's NotFound where there is no such session, InputError where it cannot be read.

        VideoError, which is one, where its video was removed.
        """
        return _playable(self._found(id))

    def _row(self, id: str) -> SessionRow:
        with self._database.begin() as tx:
            return repository.get(tx, id=id, owner=self._owner)

    def _found(self, id: str) -> Session:
        if id in self._away:
            raise NotFound(f"There is no session {id}.")
        return _readable(self._read(self._row(id)))

    def _read(self, row: SessionRow) -> Session | Unreadable:
        folder = self._folder / str(row.id)
        try:
            clip = Clip.from_json(row.clip, folder / row.source)
            job = Job.from_json(row.job, folder)
        except InputError:
            log.warning("a session cannot be read", extra={"session": str(row.id)})
            return Unreadable(row)
        accepts = partial(self._licences.has_accepted, row.owner_id)
        return Session(row, clip, job, folder, self._awaited.get(str(row.id)), accepts)

    def list_sessions(self, search: str | None = None) -> list[Session | Unreadable]:
        """Sessions, newest first."""
        with self._database.begin() as tx:
            rows = repository.list_page(tx, limit=200, search=search or None, owner=self._owner)
        return [self._read(row) for row in rows if str(row.id) not in self._away]

    def find_unfinished(self) -> str | None:
        """The newest session that is queued or running."""
        return next((found.id for found in self.list_sessions() if found.running), None)

    def rename(self, id: str, name: str) -> Session:
        """An empty name changes nothing."""
        name = names.clean(name)[:_LONGEST_NAME]
        if name:
            with self._database.begin() as tx:
                repository.rename(tx, id=id, name=name, owner=self._owner)
        return self._found(id)

    def star(self, id: str, starred: bool) -> Session:
        """One with a star is kept for longer than others."""
        with self._database.begin() as tx:
            repository.star(tx, id=id, starred=starred, owner=self._owner)
        return self._found(id)

    def delete_later(self, id: str) -> SessionRow:
        """Delete the session in a while: until then it is out of sight, and can be brought back.

        Should the program end before, it was not deleted.
        """
        row = self._row(id)
        id = str(row.id)
        if id in self._away:
            raise NotFound(f"There is no session {id}.")
        self._runner.cancel(id)
        self._away[id] = time.monotonic(), self._owner
        later = threading.Timer(UNDO_SECONDS + 1, self._purge_later)
        later.daemon = True
        later.start()
        return row

    def undelete(self, id: str) -> None:
        """Raises NotFound where that is too late, or it was never put away."""
        with self._purging:
            self._row(id)
            self._away.pop(id, None)

    def purge(self) -> None:
        """Delete what was put away long enough ago, whoever's it is."""
        now = time.monotonic()
        self._purge(lambda since, _owner: now - since >= UNDO_SECONDS)

    def _purge_later(self) -> None:
        try:
            self.purge()
        except Exception:  # it stays out of sight, and goes with the next
            log.exception("what was put away could not be deleted")

    def purge_all(self) -> None:
        """Delete what was put away, at once: at the end of the program."""
        self._purge(lambda _since, _owner: True)

    def _purge(self, due: Callable[[float, UUID | None], bool]) -> None:
        with self._purging:
            for id, (since, owner) in list(self._away.items()):
                if due(since, owner):
                    with suppress(NotFound):
                        self.for_owner(owner).delete(id)
                    del self._away[id]

    def delete(self, id: str) -> None:
        """Row and files together: first out of sight, then gone, so that neither stays without the other."""
        id = str(self._row(id).id)
        self._runner.cancel(id)
        self._gone(id)
        self._remove(id, partial(repository.delete, id=id, owner=self._owner))

    def _remove(self, id: str, forget: Callable[[Any], object]) -> None:
        """`forget` takes the row, and holds it against others who change it."""
        with Removal() as removal, self._database.begin() as tx:
            forget(tx)
            removal.hide(self._folder / id)
        self._submitted.pop(id, None)
        self._awaited.pop(id, None)
        self.quota.forget()

    def used_bytes(self) -> int:
        """Bytes that the user's sessions take on the disk."""
        return self.quota.used_bytes(self._owner)

    def _folders(self, owner: UUID | None) -> list[Path]:
        """All that counts as a user's."""
        with self._database.begin() as tx:
            ids = [str(id) for id in repository.list_ids(tx, owner=owner)]
        # One that was put away makes room; what is brought next deletes it.
        sessions = [self._folder / id for id in ids if id not in self._away]
        return [*sessions, uploads_folder(self._uploads, owner)]

    # ------------------------------------------------------------------ for the server: everybody's sessions

    def delete_expired(self, age: timedelta) -> Iterator[str]:
        """Delete the sessions that nobody changed for so long, and what was set aside; yields their names.

        By the database's clock, as their times are. Kept is what has a star, and what is queued or running.
        """
        with self._database.begin() as tx:
            before = repository.now(tx) - age
            ids = repository.list_expired(tx, before=before)
        for id in map(str, ids):
            with suppress(NotFound):  # needed after all: somebody was quicker
                self._remove(id, partial(repository.delete_expired, id=id, before=before))
                yield id
        for folder in self._lost.glob("*"):
            if folder.lstat().st_mtime < before.timestamp():
                _erase(folder)
                yield folder.name

    def recover(self) -> None:
        """Set right what a server that was killed left half-made. Only before anything runs.

        What is hidden is cleared away; a session whose row outlived its deletion gets its files back. A
        folder without a row is set aside in `lost`, for its row may be in another database. A row without its
        folder goes, and a result without its file; a result's file that no row tells of goes as well.
        """
        with self._database.begin() as tx:
            rows = {str(row.id): row for row in repository.list_all(tx)}
            now = repository.now(tx)
        for hidden in self._folder.glob(f"{HIDDEN}*"):
            id = hidden.name.removeprefix(HIDDEN)
            if id in rows and not (self._folder / id).exists():
                hidden.rename(self._folder / id)
        for left in [*self._folder.glob(".*"), *self._folder.glob("*/.*")]:
            _erase(left)
        folders = {path.name: path for path in self._folder.iterdir()}
        for name in folders.keys() - rows.keys():
            self._set_aside(folders[name], now)
        missing = rows.keys() - folders.keys()
        if missing and missing == rows.keys():
            # Rather than that everybody's folder was lost, this is not the place where they are.
            log.warning("not one of %d sessions has its folder in this data folder", len(missing))
            return
        for id in missing:
            log.warning("session %s has no files any more and is forgotten", id)
            with self._database.begin() as tx:
                repository.delete_any(tx, id=id)
        for id in rows.keys() & folders.keys():
            self._mend_results(folders[id], rows[id].results)

    def _mend_results(self, folder: Path, results: list[Result]) -> None:
        gone = [result.id for result in results if not (folder / result.file).exists()]
        if gone:
            log.warning("session %s has lost %d results", folder.name, len(gone))
            with self._database.begin() as tx:
                repository.delete_results(tx, ids=gone)
        told = {result.file for result in results}
        for file in folder.glob(f"{_RESULT}*"):
            if file.name not in told:
                _erase(file)

    def _set_aside(self, folder: Path, now: datetime) -> None:
        log.warning("%s belongs to no session and is set aside", folder.name)
        self._lost.mkdir(mode=0o700, exist_ok=True)
        place = self._lost / folder.name
        if place.exists():
            place = self._lost / f"{folder.name}-{uuid4().hex[:8]}"
        # From now on it is kept for as long as a session that nobody changes.
        os.utime(folder, (now.timestamp(), now.timestamp()), follow_symlinks=False)
        folder.rename(place)

    def requeue(self) -> None:
        """On start: what was running is interrupted; what was queued goes to the runner again, in order."""
        with self._database.begin() as tx:
            repository.interrupt_running(tx)
            waiting = repository.list_queued(tx)
        for row in waiting:
            try:
                found = _readable(self._read(row))
                job, seconds = self._checked(_playable(found))
                need = self._needs(found, job) if self.quota.limit_bytes else 0
            except RecorteError as error:
                self._fail(row, str(error))
            except Exception:  # one session keeps nobody's server from starting
                log.exception("a session could not be queued again", extra={"session": str(row.id)})
                self._fail(row, INTERNAL_ERROR)
            else:
                held = self.quota.hold(row.owner_id, found.folder, need, checked=False)
                self.for_owner(row.owner_id)._submit(found, job, seconds, held)

    def _fail(self, row: SessionRow, sentence: str) -> None:
        with self._database.begin() as tx:
            repository.change_state(tx, id=row.id, state=State.FAILED, error=sentence)

    # ------------------------------------------------------------------ choices

    def _change(self, id: str, **changes: Any) -> Session:
        return self._alter(id, lambda job: replace(job, **changes))

    def _alter(self, id: str, change: Callable[[Job], Job]) -> Session:
        with self._changing:  # of two at once the second sees what the first has left
            found = self.open(id)
            job = change(found.job)
            before = _format_before(found, job)
            with self._database.begin() as tx:
                kept = job.to_json(found.folder)
                repository.save_job(tx, id=id, job=kept, format_before=before, owner=self._owner)
            found = replace(found, job=job)
            self.frames.invalidate(found)
        return found

    def save_marks(self, id: str, marks: Any, objects: Any = None) -> Session:
        """Keep the prompts and objects that the stage sends; raises PromptError where they do not fit."""
        clip = self.open(id).clip
        checked = prompts.from_json(marks)
        for prompt in checked:
            prompt.check(clip.width, clip.height, clip.duration)
        return self._change(id, prompts=checked, objects=prompts.objects_from_json(objects or []))

    def trim(self, id: str, start: Any, end: Any) -> Session:
        """Keep the frames from `start` to before `end`, seconds put to the nearest frame; None: no bound.

        Raises InputError where that is no time, or leaves nothing.
        """
        found = self.open(id)
        kept = self._range(found, start, end)
        if kept == (found.job.start, found.job.end):
            return found
        return self._change(id, start=kept[0], end=kept[1])

    def _range(self, found: Session, start: Any, end: Any) -> tuple[float, float | None]:
        times = self.frames.frame_times(found)
        first = _nearest(times, 0.0 if start is None else start)
        # The end of the last frame is an end, too.
        past = len(times) if end is None else _nearest([*times, found.clip.duration], end)
        if past <= first:
            raise InputError("The end must come after the start.")
        return times[first], None if past == len(times) else times[past]

    def edit(self, id: str, edited: Any, base: Any = None) -> tuple[Session, list[Conflict]]:
        """Take over what the stage sends of marks, objects and range; `base` is what it had before the edit.

        What was changed elsewhere since then stays; gives as well where both have changed the same. Without
        a `base` all is as the stage has it. Raises as `mark` and `trim`.
        """
        found = self.open(id)
        mine = self._marks(found, edited)
        before = None if base is None else self._marks(found, base)
        clashes: list[Conflict] = []

        def change(job: Job) -> Job:
            marks, odds = merge(before or Marks.of(job), mine, Marks.of(job))
            clashes.extend(odds)
            if marks.end is not None and marks.end <= marks.start:
                marks = replace(marks, start=mine.start, end=mine.end)
            return replace(job, **vars(marks))

        return self._alter(id, change), clashes

    def _marks(self, found: Session, value: Any) -> Marks:
        value = value if isinstance(value, dict) else {}
        clip, checked = found.clip, prompts.from_json(value.get("prompts"))
        for prompt in checked:
            prompt.check(clip.width, clip.height, clip.duration)
        objects = prompts.objects_from_json(value.get("objects") or [])
        return Marks(checked, objects, *self._range(found, value.get("start"), value.get("end")))

    def choose_model(self, id: str, key: str) -> Session:
        models.card(key)
        return self._change(id, model=key)

    def acknowledge(self, key: str) -> None:
        """Remember that the user has read what the licence of a model forbids. Raises WeightsError."""
        self._licences.accept(self._owner, models.card(key))

    def await_background(self, id: str, kind: Literal["picture", "video"]) -> Session:
        """Have a picture or video behind the subject that is still to be chosen; one that is there stays."""
        found = self.open(id)
        if isinstance(found.job.background, Picture if kind == "picture" else Footage):
            self._awaited.pop(found.id, None)
        else:
            self._awaited[found.id] = kind
        return replace(found, awaited_background=self._awaited.get(found.id))

    def choose_background(self, id: str, spec: str) -> Session:
        """`#rrggbb`, "blur", "blur:RADIUS" or "transparent"; a format that cannot hold it gives way."""
        behind = background.parse(spec)
        if isinstance(behind, Picture | Footage):
            raise InputError("A picture or video is uploaded, not named.")
        return self._lay(self.open(id), behind)

    def choose_picture(self, id: str, file: Path, name: str, fit: Fit = "fill") -> Session:
        """Take an uploaded picture into the session, as a video where it is animated.

        Raises BackgroundError where it is no picture, VideoError for an animation that cannot be used.
        """
        try:
            return self._choose_still(id, file, name, fit)
        except AnimatedPictureError:
            return self.choose_video(id, file, name, fit)
        finally:
            file.unlink(missing_ok=True)

    def _choose_still(self, id: str, file: Path, name: str, fit: Fit) -> Session:
        kept = self.open(id).folder / f"background-{uuid4().hex[:8]}.png"
        size = file.stat().st_size
        self._allowance.check_bytes(name, size)
        with (
            replacing(kept) as part,
            self.quota.reserve(self._owner, part, size) as held,
            self._intakes.slot(self._owner),
        ):
            sandbox.rewrite_picture(file, name, part)
            held.grow(part.stat().st_size)  # what is written may be more than what came
        return self._hang(id, Picture(kept, fit))

    def choose_video(self, id: str, file: Path, name: str, fit: Fit = "fill", held: bool = False) -> Session:
        """Take an uploaded video into the session as its background; raises VideoError where it is none."""
        try:
            folder = self.open(id).folder
            self._allowance.check_bytes(name, file.stat().st_size)
            with self.quota.reserve(self._owner, file), self._intakes.slot(self._owner):
                sandbox.check_video(file, name, admit=partial(self._admit, file))
                # A name that does not read as a picture's, whatever the upload was called.
                kept = folder / f"background-{uuid4().hex[:8]}.video"
                with replacing(kept) as part:
                    shutil.move(file, part)
        finally:
            file.unlink(missing_ok=True)
        return self._hang(id, Footage(kept, fit, held))

    def choose_stock_background(self, id: str, name: str, fit: Fit = "fill") -> Session:
        """Take one of scenes.NAMES into the session, as an uploaded picture; raises InputError for others."""
        shipped = stock_backgrounds.path(name)
        kept = self.open(id).folder / f"background-{name}{shipped.suffix}"
        with (
            replacing(kept) as part,
            self.quota.reserve(self._owner, part, shipped.stat().st_size),
        ):
            shutil.copyfile(shipped, part)
        return self._hang(id, Picture(kept, fit))

    def _hang(self, id: str, behind: Picture | Footage) -> Session:
        """Lay a file in the session's folder behind the subject, in place of the ones before."""
        before = self.open(id)
        found = self._lay(before, behind)
        # Whoever was on the way to a picture over the one before may still find it.
        needed = {b.path for b in (before.job.background, behind) if isinstance(b, Picture | Footage)}
        for old in behind.path.parent.glob("background-*"):
            if old not in needed and self._runner.position(id) is None:  # a run may need it
                old.unlink(missing_ok=True)
        return found

    def fit_background(self, id: str, fit: Fit, held: bool = False) -> Session:
        """How a picture or video is laid; `held` as in `Footage`. Other backgrounds stay as they are."""
        found = self.open(id)
        match found.job.background:
            case Picture(path):
                return self._lay(found, Picture(path, fit))
            case Footage(path):
                return self._lay(found, Footage(path, fit, held))
        return found

    def _lay(self, found: Session, behind: background.Background) -> Session:
        form, sound = found.job.format, found.job.sound
        if isinstance(behind, Transparent) and formats.by_key(form).needs_background:
            form = next(f.key for f in formats.FORMATS.values() if f.alpha)
        elif not isinstance(behind, Transparent):
            form = found.row.format_before or form
        self._awaited.pop(found.id, None)
        if sound == "behind" and not self.frames.has_sound(behind):
            sound = "own"
        return self._change(found.id, background=behind, format=form, sound=sound)

    def choose_edges(self, id: str, edges: Edges) -> Session:
        """Raises InputError for what is out of range."""
        edges.check()
        return self._change(id, edges=edges)

    def choose_format(self, id: str, key: str) -> Session:
        """A format without alpha takes a transparent background's place with a colour."""
        form = formats.by_key(key)
        behind = self.open(id).job.background
        if isinstance(behind, Transparent) and form.needs_background:
            behind = GREEN
        return self._change(id, format=key, background=behind)

    def choose_quality(self, id: str, quality: Quality) -> Session:
        return self._change(id, quality=quality)

    def choose_sound(self, id: str, sound: Sound) -> Session:
        return self._change(id, sound=sound)

    def choose_rate(self, id: str, rate: Fraction | None) -> Session:
        """Frames a second, evenly; None: each at its own time."""
        return self._change(id, rate=rate)

    def choose_hardware(self, id: str, hardware: bool) -> Session:
        return self._change(id, hardware=hardware)

    # ------------------------------------------------------------------ running

    def run(self, id: str) -> None:
        """Queue the session's job; raises InputError where it cannot be done as it stands.

        Asked twice it runs once.
        """
        found = self.open(id)
        if found.awaited_background:
            raise InputError(
                f"Choose the {found.awaited_background} that is to stand behind the subject first."
            )
        job, seconds = self._checked(found)
        need = self._needs(found, job) if self.quota.limit_bytes else 0
        with self._queueing:
            if self.open(id).running:
                return
            with self.quota.reserve(self._owner, found.folder, need) as held:
                with self._database.begin() as tx:
                    if not repository.queue(tx, id=found.id, owner=self._owner):
                        return
                self._submit(found, job, seconds, held)

    def _checked(self, found: Session) -> tuple[Job, float | None]:
        """What a run of the session does, and how many seconds it may take, where that is known.

        Raises InputError where it cannot be done as it stands.
        """
        form = formats.by_key(found.job.format)
        job = replace(found.effective_job, output=found.folder / f"{_RESULT}{uuid4().hex[:8]}{form.suffix}")
        job.check(found.clip)
        if self.frames.has_matte(found):
            return job, None  # what that saves is most of it, and has not been measured
        models.check_loadable(models.card(job.model), job.weights)
        found.check_licence()
        size = found.clip.width, found.clip.height
        return job, speeds.expected_seconds(job.model, size, found.clip.frames)

    def _needs(self, found: Session, job: Job) -> int:
        """Bytes that a run may take on the disk."""
        first, past = pts_range(job, found.clip)
        return preflight.disk_bytes(
            job, found.clip, sum(first <= pts < past for pts in self.frames.frame_pts(found))
        )

    def _submit(self, found: Session, job: Job, seconds: float | None, held: Reservation) -> None:
        """`held` is the room for what the run makes: until it is over."""
        self._gone(found.id)  # the run before it, whose end is told already, may be about to leave
        # What a killed one had in hand of its result: that name does not come again.
        for left in found.folder.glob(f".{_RESULT}*.part"):
            _erase(left)
        self._submitted[found.id] = self._owner
        self._runner.submit(found.id, job, str(self._owner or ""), seconds)
        held.keep(until=lambda: self._runner.position(found.id) is None)

    def _gone(self, id: str) -> None:
        """Wait until the runner has let go of a session's job, for as long as that may take."""
        for _ in range(_CANCEL_POLLS):
            if self._runner.position(id) is None:
                break
            time.sleep(0.1)

    def cancel(self, id: str) -> None:
        """Stop the session's run, or take it out of the line; without either there is nothing to do."""
        if not self._mine(id):
            id = str(self._row(id).id)
        with self._queueing:
            if not self._runner.cancel(id):
                with self._database.begin() as tx:
                    repository.leave_queue(tx, id=id, owner=self._owner)

    def queue_position(self, id: str) -> int | None:
        """0: running, 1: next in line; None: neither."""
        return self._runner.position(id) if self._mine(id) else None

    def eta(self, id: str) -> float | None:
        """In how many seconds the run is expected to start; None where nobody knows."""
        return self._runner.eta(id) if self._mine(id) else None

    def progress(self, id: str) -> Progress | None:
        return self._runner.progress(id) if self._mine(id) else None

    def _mine(self, id: str) -> bool:
        """Whether the runner has had this session from its user; known also while the database is away."""
        return id in self._submitted and self._submitted[id] == self._owner

    def result(self, id: str, result: str) -> tuple[Path, str, str]:
        """A result's file, its MIME type, and the name to download it under."""
        row = self._row(id)
        for kept in row.results:
            if str(kept.id) == result:
                form = formats.by_key(kept.format)
                return self._folder / str(row.id) / kept.file, form.mime, download_name(row, kept)
        raise InputError("There is no such result.")


def _readable(found: Session | Unreadable) -> Session:
    if isinstance(found, Unreadable):
        raise InputError(found.message)
    return found


def _format_before(found: Session, job: Job) -> str | None:
    """Which format comes back after transparency, once the session's job is this one."""
    if not isinstance(job.background, Transparent):
        return None
    if isinstance(found.job.background, Transparent):
        # A format that is chosen meanwhile is meant.
        return found.row.format_before if job.format == found.job.format else None
    return found.job.format if job.format != found.job.format else None


def _playable(found: Session) -> Session:
    if not found.job.source.exists():
        raise VideoError(f"{found.row.name}: this video is no longer on the disk. Upload it again.")
    return found


def _erase(path: Path) -> None:
    """Whatever it is, and also where a part of it cannot be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def download_name(row: SessionRow, result: Result) -> str:
    form = formats.by_key(result.format)
    what = "recorte" if form.content == "picture" else form.content
    return f"{Path(row.name).stem}-{what}{form.suffix}"


def _nearest(times: list[float], time: Any) -> int:
    """The place in `times`, which ascend, of the one that is nearest."""
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 10**9:
        raise InputError("A time is a number of seconds.")
    right = min(bisect.bisect_left(times, time), len(times) - 1)
    left = max(right - 1, 0)
    return left if time - times[left] < times[right] - time else right


def _plain_suffix(name: str) -> str:
    """The name's suffix where it is a harmless one: names from users never become paths."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 6 else ""
