"""Choices of a session: marks, kept range, model, background, format and other fields of its job."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from db import repository
from pipeline import formats, models, prompts
from pipeline.compositing import aspect, background
from pipeline.compositing.background import Fit, Footage, Picture, Transparent, Words
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import Light
from pipeline.errors import AnimatedPictureError, BackgroundError, InputError, PromptError
from pipeline.formats import Quality
from pipeline.job import GREEN, Job, Sound
from pipeline.models import classes, matte_in
from pipeline.models.matte_in import BorrowedMatte
from pipeline.prompts import MaskFile
from ui.sessions.intake import MATTE_PREFIX, Intake, is_own_mask
from ui.sessions.library import drawn_backgrounds, stock_backgrounds
from ui.sessions.merging import Conflict, Marks, merge
from ui.sessions.queueing import RunQueue
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.session import Session
from ui.sessions.store import SessionStore

_PLAIN = frozenset({"quality", "sound", "rate", "hardware", "crop", "hair", "upscale", "classes", "light"})
CHANGEABLE = _PLAIN | {"model", "background", "format", "start", "end", "edges"}
"""Fields of a job that `Choices.change` takes."""


class Choices:
    """Changes the jobs of one user's sessions; each method returns the session as it then is.

    Every method raises NotFound for a session that the user does not have, InputError for a value that is
    refused.
    """

    def __init__(
        self, store: SessionStore, intake: Intake, queue: RunQueue, frames: FrameClient, owner: UUID | None
    ) -> None:
        self._store = store
        self._intake = intake
        self._queue = queue
        self._frames = frames
        self._owner = owner

    def change(self, id: str, values: Mapping[str, Any]) -> Session:
        """Change fields of the job, of those in `CHANGEABLE`, all or none; given as the job's JSON has them.

        Of `edges` those options are changed that are given. An uploaded background can be named as it is, and
        laid otherwise. Format and background replace each other as when one of them is chosen on the page;
        where both are given, they have to go together.
        """
        if not CHANGEABLE.issuperset(values):
            raise InputError("choices.unreadable")

        def change(session: Session) -> Job:
            job = session.job
            if "model" in values:
                job = _with_model(job, values["model"])
            if "background" in values:
                bg = drawn_backgrounds.parse(values["background"], session.folder, session.clip, job)
                job = self._with_background(session, job, bg)
            if "format" in values:
                key = values["format"]
                job = replace(job, format=key) if "background" in values else _with_format(job, key)
            if "start" in values or "end" in values:
                start, end = values.get("start", job.start), values.get("end", job.end)
                start, end = self._range(session, start, end)
                job = replace(job, start=start, end=end)
            plain = {name: values[name] for name in values.keys() & _PLAIN}
            edges = job.edges.to_json() | values.get("edges", {})
            job = Job.from_json(job.to_json(session.folder) | plain | {"edges": edges}, session.folder)
            job.check_choices()
            return job

        session = self._alter(id, change)
        if "background" in values:
            self._store.awaited_backgrounds.pop(session.id, None)
            session = replace(session, awaited_background=None)
        return session

    # ------------------------------------------------------------------ marks and range

    def save_marks(self, id: str, marks: Any, objects: Any = None) -> Session:
        """Save prompts and objects as the stage sends them. Raises PromptError for ones that do not fit."""
        checked = _read_prompts(self._open(id), marks)
        return self._change(id, prompts=checked, objects=prompts.objects_from_json(objects or []))

    def trim(self, id: str, start: Any, end: Any) -> Session:
        """Keep the frames from `start` to before `end` (seconds, rounded to the nearest frame; None: all)."""
        session = self._open(id)
        new_range = self._range(session, start, end)
        if new_range == (session.job.start, session.job.end):
            return session
        return self._change(id, start=new_range[0], end=new_range[1])

    def edit(self, id: str, edited: Any, base: Any = None) -> tuple[Session, list[Conflict]]:
        """Save marks, objects and range as the stage sends them, merged with changes made elsewhere.

        `base` is what the stage had before the edit; without it `edited` replaces everything. Returns the
        conflicts as well. Raises as `save_marks` and `trim`.
        """
        conflicts: list[Conflict] = []

        def change(session: Session) -> Job:
            job = session.job
            mine = self._read_marks(session, edited)
            previous = None if base is None else self._read_marks(session, base)
            marks, added = merge(previous or Marks.of(job), mine, Marks.of(job))
            conflicts.extend(added)
            if marks.end is not None and marks.end <= marks.start:
                marks = replace(marks, start=mine.start, end=mine.end)
            return replace(job, **vars(marks))

        return self._alter(id, change), conflicts

    # ------------------------------------------------------------------ background

    def await_background(self, id: str, kind: Literal["picture", "video"]) -> Session:
        """Note that a picture or video is still to be uploaded; a background of that kind is kept."""
        session = self._open(id)
        awaited = self._store.awaited_backgrounds
        if isinstance(session.job.background, Picture if kind == "picture" else Footage):
            awaited.pop(session.id, None)
        else:
            awaited[session.id] = kind
        return replace(session, awaited_background=awaited.get(session.id))

    def choose_background(self, id: str, spec: str) -> Session:
        """Choose `#rrggbb`, "blur", "blur:RADIUS" or "transparent"; an opaque format is replaced."""
        bg = background.parse(spec)
        if isinstance(bg, Picture | Footage):
            raise InputError("background.not_uploaded")
        if isinstance(bg, Words):
            raise BackgroundError("background.words_not_made")
        return self._set_background(self._open(id), bg)

    def choose_picture(self, id: str, file: Path, name: str, fit: Fit = "fill") -> Session:
        """Take an uploaded picture as background, or an animated one as a video.

        Raises BackgroundError for a file that is no picture, VideoError for an unusable animation.
        """
        try:
            path = self._intake.take_picture(file, name, self._open(id).folder, self._owner)
            return self.set_file_background(id, Picture(path, fit))
        except AnimatedPictureError:
            return self.choose_video(id, file, name, fit)
        finally:
            file.unlink(missing_ok=True)

    def choose_video(self, id: str, file: Path, name: str, fit: Fit = "fill", held: bool = False) -> Session:
        """Take an uploaded video as background; raises VideoError for an unusable one."""
        try:
            path = self._intake.take_video(file, name, self._open(id).folder, self._owner)
        finally:
            file.unlink(missing_ok=True)
        return self.set_file_background(id, Footage(path, fit, held))

    def choose_stock_background(self, id: str, name: str, fit: Fit = "fill") -> Session:
        """Take one of `stock_backgrounds.NAMES` as background."""
        stock_backgrounds.path(name)  # an unknown name is refused before the session is looked up
        path = self._intake.copy_stock_background(name, self._open(id).folder, self._owner)
        return self.set_file_background(id, Picture(path, fit))

    def fit_background(self, id: str, fit: Fit, held: bool = False) -> Session:
        """Set how a picture or video is laid, `held` as in `Footage`; other backgrounds stay as they are."""
        session = self._open(id)
        match session.job.background:
            case Picture() as picture:
                return self._set_background(session, replace(picture, fit=fit))
            case Footage(path):
                return self._set_background(session, Footage(path, fit, held))
        return session

    def enlarge_background(self, id: str, enlarge: bool) -> Session:
        """Set whether a picture that is smaller than the frame is enlarged; others stay as they are."""
        session = self._open(id)
        picture = session.job.background
        if isinstance(picture, Picture):
            return self._set_background(session, replace(picture, enlarge=enlarge))
        return session

    def set_file_background(self, id: str, bg: Picture | Footage) -> Session:
        """Set a background file in the session's folder, and delete the ones before the previous."""
        previous = self._open(id)
        session = self._set_background(previous, bg)
        # A request for a picture over the previous background may still be under way.
        needed = {b.path for b in (previous.job.background, bg) if isinstance(b, Picture | Footage)}
        for old in bg.path.parent.glob("background-*"):
            if old not in needed and self._queue.is_gone(id):  # a run may need it
                old.unlink(missing_ok=True)
        return session

    # ------------------------------------------------------------------ other fields

    def choose_model(self, id: str, key: str) -> Session:
        return self._alter(id, lambda session: _with_model(session.job, key))

    def choose_classes(self, id: str, names: list[str]) -> Session:
        """Choose the classes that are the subject, for the model that knows them."""
        job = replace(self._open(id).job, model="classes", classes=tuple(names))
        job.check_classes()
        return self._change(id, classes=job.classes)

    def choose_matte(self, id: str, file: Path, name: str) -> Session:
        """Take an uploaded matte of another tool in place of a model. Raises InputError for an unfit one."""
        try:
            previous = self._open(id)
            path = self._intake.take_matte(file, name, previous.job, previous.folder, self._owner)
        finally:
            file.unlink(missing_ok=True)
        before = previous.job.matte_in
        session = self._change(id, model=matte_in.KEY, matte_in=BorrowedMatte(path))
        needed = {path, *([] if before is None else [before.path])}  # as of a background
        for old in path.parent.glob(f"{MATTE_PREFIX}*"):
            if old not in needed and self._queue.is_gone(id):
                old.unlink(missing_ok=True)
        return session

    def read_matte(self, id: str, invert: bool, unpremultiply: bool) -> Session:
        """Set how the matte of another tool is read, as in `BorrowedMatte`; without one nothing changes."""
        borrowed = self._open(id).job.matte_in
        if borrowed is None:
            return self._open(id)
        return self._change(id, matte_in=BorrowedMatte(borrowed.path, invert, unpremultiply))

    def add_mask(
        self, id: str, file: Path, name: str, time: float, object: int = 1, invert: bool = False
    ) -> Session:
        """Take an uploaded picture as the mask of an object on the frame shown at `time`, in seconds.

        It replaces one that is there. Raises InputError for a file that is no mask of the video's frames,
        PromptError for a time or an object that there cannot be.
        """
        try:
            session = self._open(id)
            place = prompts.Prompt.from_json({"time": time, "object": object})
            place.check(session.clip.width, session.clip.height, session.clip.duration)
            path = self._intake.take_mask(file, name, session.clip, session.folder, self._owner)
        finally:
            file.unlink(missing_ok=True)
        added = replace(place, mask=MaskFile(path, invert))

        def change(session: Session) -> Job:
            return replace(session.job, prompts=prompts.normalise((*session.job.prompts, added)))

        return self._alter(id, change)

    def invert_masks(self, id: str, invert: bool) -> Session:
        """Set whether white is the background in all masks that were given for single frames."""

        def change(session: Session) -> Job:
            turned = (
                p if p.mask is None else replace(p, mask=replace(p.mask, invert=invert))
                for p in session.job.prompts
            )
            return replace(session.job, prompts=tuple(turned))

        return self._alter(id, change)

    def choose_hair(self, id: str, hair: bool) -> Session:
        """Choose whether the alpha along edges is found anew."""
        return self._change(id, hair=hair)

    def choose_edges(self, id: str, edges: Edges) -> Session:
        edges.check()
        return self._change(id, edges=edges)

    def choose_light(self, id: str, light: Light) -> Session:
        light.check()
        return self._change(id, light=light)

    def choose_format(self, id: str, key: str) -> Session:
        """Choose a format; one without alpha replaces a transparent background with a colour."""
        return self._alter(id, lambda session: _with_format(session.job, key))

    def choose_quality(self, id: str, quality: Quality) -> Session:
        return self._change(id, quality=quality)

    def choose_sound(self, id: str, sound: Sound) -> Session:
        return self._change(id, sound=sound)

    def choose_rate(self, id: str, rate: Fraction | None) -> Session:
        """Choose a constant rate in frames per second; None keeps the source's frame times."""
        return self._change(id, rate=rate)

    def choose_crop(self, id: str, crop: str | None) -> Session:
        """Choose a key of `aspect.ASPECTS` that the result is cropped to; None: the whole frame."""
        if crop is not None and crop not in aspect.ASPECTS:
            raise InputError("choices.aspect_ratio", value=crop, known=", ".join(aspect.ASPECTS))
        return self._change(id, crop=crop)

    def choose_hardware(self, id: str, hardware: bool) -> Session:
        return self._change(id, hardware=hardware)

    # ------------------------------------------------------------------

    def _open(self, id: str) -> Session:
        return self._store.open(id, self._owner)

    def _change(self, id: str, **changes: Any) -> Session:
        return self._alter(id, lambda session: replace(session.job, **changes))

    def _alter(self, id: str, change: Callable[[Session], Job]) -> Session:
        """Read, change and save a session's job in one transaction."""
        with self._store.job_lock:
            with self._store.database.begin() as tx:
                session = self._store.open_row(repository.get(tx, id=id, owner=self._owner))
                job = change(session)
                format_before = _format_before(session, job)
                saved = job.to_json(session.folder)
                repository.save_job(tx, id=id, job=saved, format_before=format_before, owner=self._owner)
            session = replace(session, job=job)
            self._store.saved.add(session)
            self._frames.invalidate(session)
        return session

    def _range(self, session: Session, start: Any, end: Any) -> tuple[float, float | None]:
        """Return the times of the first frame that is kept and of the first after it; None: to the end."""
        times = self._frames.frame_times(session)
        first = _nearest(times, 0.0 if start is None else start)
        # The end of the last frame is a valid end, too.
        past = len(times) if end is None else _nearest([*times, session.clip.duration], end)
        if past <= first:
            raise InputError("marks.end_before_start")
        return times[first], None if past == len(times) else times[past]

    def _read_marks(self, session: Session, value: Any) -> Marks:
        value = value if isinstance(value, dict) else {}
        checked = _read_prompts(session, value.get("prompts"))
        objects = prompts.objects_from_json(value.get("objects") or [])
        return Marks(checked, objects, *self._range(session, value.get("start"), value.get("end")))

    def _set_background(self, session: Session, bg: background.Background) -> Session:
        self._store.awaited_backgrounds.pop(session.id, None)
        return self._alter(session.id, lambda current: self._with_background(current, current.job, bg))

    def _with_background(self, session: Session, job: Job, bg: background.Background) -> Job:
        """Return the job with a background, and with a format and a sound that go with it."""
        form, sound = job.format, job.sound
        if isinstance(bg, Transparent) and formats.by_key(form).needs_background:
            still = formats.by_key(form).still
            form = next(f.key for f in formats.FORMATS.values() if f.alpha and f.still == still)
        elif not isinstance(bg, Transparent):
            form = session.row.format_before or form
        if sound == "behind" and not self._frames.has_sound(bg):
            sound = "own"
        return replace(job, background=bg, format=form, sound=sound)


def _with_model(job: Job, key: str) -> Job:
    """Return the job with a model; one that knows classes gets the usual ones where none is chosen."""
    if models.card(key).classes and not job.classes:
        return replace(job, model=key, classes=classes.DEFAULT)
    return replace(job, model=key)


def _with_format(job: Job, key: str) -> Job:
    """Return the job with a format; one without alpha replaces a transparent background with a colour."""
    form = formats.by_key(key)
    transparent = isinstance(job.background, Transparent) and form.needs_background
    return replace(job, format=key, background=GREEN if transparent else job.background)


def _read_prompts(session: Session, value: Any) -> tuple[prompts.Prompt, ...]:
    checked = prompts.from_json(value, session.folder)
    for prompt in checked:
        prompt.check(session.clip.width, session.clip.height, session.clip.duration)
        if prompt.mask is not None and not is_own_mask(prompt.mask.path, session.folder):
            raise PromptError("mask_in.not_uploaded")
    return checked


def _format_before(session: Session, job: Job) -> str | None:
    """Return the format that comes back after transparency, once the session's job is `job`."""
    if not isinstance(job.background, Transparent):
        return None
    if isinstance(session.job.background, Transparent):
        # A format that is chosen meanwhile is meant to stay.
        return session.row.format_before if job.format == session.job.format else None
    return session.job.format if job.format != session.job.format else None


def _nearest(times: list[float], time: Any) -> int:
    """Return the index of the time nearest to `time`; `times` are ascending seconds."""
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 10**9:
        raise InputError("marks.not_a_time")
    right = min(bisect.bisect_left(times, time), len(times) - 1)
    left = max(right - 1, 0)
    return left if time - times[left] < times[right] - time else right
