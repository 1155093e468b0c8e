"""Uploads taken into sessions: checked against limits and quota, probed in a sandbox, moved into place."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from db import repository
from pipeline import formats, models
from pipeline.clip import Clip
from pipeline.compositing.background import Transparent
from pipeline.files import clean_name, replacing
from pipeline.job import GREEN, Job
from pipeline.jobs import sandbox
from pipeline.languages.messages import Message
from pipeline.models.matte_in import BorrowedMatte
from pipeline.video.reading.index_cache import index_path
from ui.sessions.library import stock_backgrounds
from ui.sessions.limits.quota import Quota
from ui.sessions.limits.shares import FairSemaphore
from ui.sessions.limits.upload_limits import UploadLimits
from ui.sessions.store import LONGEST_NAME, SessionStore

_PROBES, _PROBES_EACH, _PROBES_WAITING = 6, 2, 2
"""Uploads that are probed at once in all, of each user, and how many more of each user wait."""


MATTE_PREFIX = "matte-in-"
"""Begins the names of mattes of another tool in a session's folder."""


MASK_PREFIX = "mask-"
"""Begins the names of masks of single frames there."""


class Intake:
    """Takes uploaded files; an upload is deleted if it is refused. Thread-safe.

    Every method raises InputError for a file beyond the limits, QuotaExceeded for one beyond the quota.
    """

    def __init__(self, store: SessionStore, quota: Quota, limits: UploadLimits) -> None:
        self._store = store
        self._quota = quota
        self._limits = limits
        self._probes = FairSemaphore(
            _PROBES,
            _PROBES_EACH,
            _PROBES_WAITING,
            Message("choices.uploads_busy"),
        )

    def create_session(self, file: Path, name: str, owner: UUID | None) -> str:
        """Create a session with the uploaded video, which is moved into it; returns its id.

        Raises VideoError for a file that is not a usable video.
        """
        name = clean_name(name)
        try:
            self._limits.check_bytes(name, file.stat().st_size)
            with self._quota.reserve(owner, file), self._probes.slot(owner):
                clip = sandbox.check_video(file, name, index=True, admit=partial(self._admit, file))
                return self._store_session(file, clip, owner)
        finally:
            file.unlink(missing_ok=True)
            index_path(file).unlink(missing_ok=True)

    def copy_sample(self, sample: Path) -> Path:
        """Copy the sample video to a hidden file that `create_session` can take."""
        copied = self._store.folder / f".{uuid4()}{sample.suffix}"
        try:
            shutil.copyfile(sample, copied)
        except BaseException:
            copied.unlink(missing_ok=True)
            raise
        return copied

    def take_picture(self, file: Path, name: str, folder: Path, owner: UUID | None) -> Path:
        """Rewrite an uploaded picture as PNG into a session's folder; returns its path.

        Raises BackgroundError for a file that is no picture, AnimatedPictureError for an animation.
        """
        target = folder / f"background-{uuid4().hex[:8]}.png"
        size = file.stat().st_size
        self._limits.check_bytes(name, size)
        with (
            replacing(target) as part,
            self._quota.reserve(owner, part, size) as reservation,
            self._probes.slot(owner),
        ):
            sandbox.rewrite_picture(file, name, part)
            reservation.grow(part.stat().st_size)  # the PNG may be larger than the upload
        return target

    def take_video(self, file: Path, name: str, folder: Path, owner: UUID | None) -> Path:
        """Move an uploaded video into a session's folder as a background; returns its path.

        Raises VideoError for a file that is not a usable video.
        """
        self._limits.check_bytes(name, file.stat().st_size)
        with self._quota.reserve(owner, file), self._probes.slot(owner):
            sandbox.check_video(file, name, admit=partial(self._admit, file))
            # A suffix that is no picture's, whatever the upload was called.
            target = folder / f"background-{uuid4().hex[:8]}.video"
            with replacing(target) as part:
                shutil.move(file, part)
        return target

    def take_matte(self, file: Path, name: str, job: Job, folder: Path, owner: UUID | None) -> Path:
        """Move an uploaded matte of another tool into a session's folder; returns its path.

        Raises InputError for a file that is no matte of the job's video.
        """
        self._limits.check_bytes(name, file.stat().st_size)
        with self._quota.reserve(owner, file), self._probes.slot(owner):
            sandbox.check_matte(BorrowedMatte(file), name, job)
            target = folder / f"{MATTE_PREFIX}{uuid4().hex[:8]}{_safe_suffix(name)}"
            with replacing(target) as part:
                shutil.move(file, part)
        return target

    def take_mask(self, file: Path, name: str, clip: Clip, folder: Path, owner: UUID | None) -> Path:
        """Rewrite an uploaded mask as a grey PNG in the frames' size into a session's folder.

        Returns its path. Raises InputError for a file that is no mask of the clip's frames.
        """
        target = folder / f"{MASK_PREFIX}{uuid4().hex[:8]}.png"
        size = file.stat().st_size
        self._limits.check_bytes(name, size)
        with (
            replacing(target) as part,
            self._quota.reserve(owner, part, size) as reservation,
            self._probes.slot(owner),
        ):
            sandbox.rewrite_mask(file, name, clip, part)
            reservation.grow(part.stat().st_size)
        return target

    def copy_stock_background(self, name: str, folder: Path, owner: UUID | None) -> Path:
        """Copy one of `stock_backgrounds.NAMES` into a session's folder; raises InputError for others."""
        shipped = stock_backgrounds.path(name)
        target = folder / f"background-{name}{shipped.suffix}"
        with (
            replacing(target) as part,
            self._quota.reserve(owner, part, shipped.stat().st_size),
        ):
            shutil.copyfile(shipped, part)
        return target

    def _admit(self, file: Path, clip: Clip) -> None:
        """Raise InputError for a probed video beyond the limits."""
        self._limits.check(clip, file.stat().st_size)

    def _store_session(self, file: Path, clip: Clip, owner: UUID | None) -> str:
        id = str(uuid4())
        folder = self._store.folder / id
        folder.mkdir()
        try:
            source = folder / f"source{_safe_suffix(clip.name)}"
            shutil.move(file, source)
            shutil.move(index_path(file), index_path(source))
            clip = replace(clip, path=source)
            model, _why = models.choose_default(accepts=partial(self._store.licences.has_accepted, owner))
            form = formats.default_for(clip.is_picture)
            job = Job(
                source,
                folder / "result",
                model=model,
                format=form.key,
                background=Transparent() if form.still else GREEN,
                matte=folder / "matte.mkv",
            )
            with self._store.database.begin() as tx:
                repository.create(
                    tx,
                    id=id,
                    name=clip.name[:LONGEST_NAME],
                    source=source.name,
                    clip=clip.to_json(),
                    job=job.to_json(folder),
                    owner=owner,
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._quota.forget()
        return id


def is_own_mask(path: Path, folder: Path) -> bool:
    """Return True for the file of a mask that was taken into this session's folder."""
    named = re.fullmatch(MASK_PREFIX + r"[0-9a-f]+\.png", path.name) is not None
    return named and path.parent == folder and path.is_file()


def _safe_suffix(name: str) -> str:
    """Return the name's suffix if it is short and alphanumeric, else "": user input never becomes a path."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 6 else ""
