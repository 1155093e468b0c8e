"""Choices of a session: marks, kept range, model, background, format and other fields of its job."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from db import repository
from pipeline import formats, models, prompts
from pipeline.compositing import background
from pipeline.compositing.background import Fit, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.errors import AnimatedPictureError, InputError
from pipeline.formats import Quality
from pipeline.job import GREEN, Job, Sound
from ui.sessions import stock_backgrounds
from ui.sessions.intake import Intake
from ui.sessions.merging import Conflict, Marks, merge
from ui.sessions.queueing import RunQueue
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.session import Session
from ui.sessions.store import SessionStore


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

    # ------------------------------------------------------------------ marks and range

    def save_marks(self, id: str, marks: Any, objects: Any = None) -> Session:
        """Save prompts and objects as the stage sends them. Raises PromptError for ones that do not fit."""
        checked = _read_prompts(self._open(id), marks)
        return self._change(id, prompts=checked, objects=prompts.objects_from_json(objects or []))

    def trim(self, id: str, start: Any, end: Any) -> Session:
        """Keep the frames from `start` to before `end` (seconds, rounded to the nearest frame; None: all)."""
        found = self._open(id)
        kept = self._range(found, start, end)
        if kept == (found.job.start, found.job.end):
            return found
        return self._change(id, start=kept[0], end=kept[1])

    def edit(self, id: str, edited: Any, base: Any = None) -> tuple[Session, list[Conflict]]:
        """Save marks, objects and range as the stage sends them, merged with changes made elsewhere.

        `base` is what the stage had before the edit; without it `edited` replaces everything. Returns the
        conflicts as well. Raises as `save_marks` and `trim`.
        """
        conflicts: list[Conflict] = []

        def change(found: Session) -> Job:
            job = found.job
            mine = self._read_marks(found, edited)
            before = None if base is None else self._read_marks(found, base)
            marks, added = merge(before or Marks.of(job), mine, Marks.of(job))
            conflicts.extend(added)
            if marks.end is not None and marks.end <= marks.start:
                marks = replace(marks, start=mine.start, end=mine.end)
            return replace(job, **vars(marks))

        return self._alter(id, change), conflicts

    # ------------------------------------------------------------------ background

    def await_background(self, id: str, kind: Literal["picture", "video"]) -> Session:
        """Note that a picture or video is still to be uploaded; a background of that kind is kept."""
        found = self._open(id)
        awaited = self._store.awaited_backgrounds
        if isinstance(found.job.background, Picture if kind == "picture" else Footage):
            awaited.pop(found.id, None)
        else:
            awaited[found.id] = kind
        return replace(found, awaited_background=awaited.get(found.id))

    def choose_background(self, id: str, spec: str) -> Session:
        """Choose `#rrggbb`, "blur", "blur:RADIUS" or "transparent"; an opaque format is replaced."""
        behind = background.parse(spec)
        if isinstance(behind, Picture | Footage):
            raise InputError("A picture or video is uploaded, not named.")
        return self._set_background(self._open(id), behind)

    def choose_picture(self, id: str, file: Path, name: str, fit: Fit = "fill") -> Session:
        """Take an uploaded picture as background, or an animated one as a video.

        Raises BackgroundError for a file that is no picture, VideoError for an unusable animation.
        """
        try:
            kept = self._intake.take_picture(file, name, self._open(id).folder, self._owner)
            return self._set_file_background(id, Picture(kept, fit))
        except AnimatedPictureError:
            return self.choose_video(id, file, name, fit)
        finally:
            file.unlink(missing_ok=True)

    def choose_video(self, id: str, file: Path, name: str, fit: Fit = "fill", held: bool = False) -> Session:
        """Take an uploaded video as background; raises VideoError for an unusable one."""
        try:
            kept = self._intake.take_video(file, name, self._open(id).folder, self._owner)
        finally:
            file.unlink(missing_ok=True)
        return self._set_file_background(id, Footage(kept, fit, held))

    def choose_stock_background(self, id: str, name: str, fit: Fit = "fill") -> Session:
        """Take one of `stock_backgrounds.NAMES` as background."""
        stock_backgrounds.path(name)  # an unknown name is refused before the session is looked up
        kept = self._intake.copy_stock_background(name, self._open(id).folder, self._owner)
        return self._set_file_background(id, Picture(kept, fit))

    def fit_background(self, id: str, fit: Fit, held: bool = False) -> Session:
        """Set how a picture or video is laid, `held` as in `Footage`; other backgrounds stay as they are."""
        found = self._open(id)
        match found.job.background:
            case Picture(path):
                return self._set_background(found, Picture(path, fit))
            case Footage(path):
                return self._set_background(found, Footage(path, fit, held))
        return found

    # ------------------------------------------------------------------ other fields

    def choose_model(self, id: str, key: str) -> Session:
        models.card(key)
        return self._change(id, model=key)

    def choose_edges(self, id: str, edges: Edges) -> Session:
        edges.check()
        return self._change(id, edges=edges)

    def choose_format(self, id: str, key: str) -> Session:
        """Choose a format; one without alpha replaces a transparent background with a colour."""
        form = formats.by_key(key)
        behind = self._open(id).job.background
        if isinstance(behind, Transparent) and form.needs_background:
            behind = GREEN
        return self._change(id, format=key, background=behind)

    def choose_quality(self, id: str, quality: Quality) -> Session:
        return self._change(id, quality=quality)

    def choose_sound(self, id: str, sound: Sound) -> Session:
        return self._change(id, sound=sound)

    def choose_rate(self, id: str, rate: Fraction | None) -> Session:
        """Choose a constant rate in frames per second; None keeps the source's frame times."""
        return self._change(id, rate=rate)

    def choose_hardware(self, id: str, hardware: bool) -> Session:
        return self._change(id, hardware=hardware)

    # ------------------------------------------------------------------

    def _open(self, id: str) -> Session:
        return self._store.open(id, self._owner)

    def _change(self, id: str, **changes: Any) -> Session:
        return self._alter(id, lambda found: replace(found.job, **changes))

    def _alter(self, id: str, change: Callable[[Session], Job]) -> Session:
        """Read, change and save a session's job in one transaction."""
        with self._store.job_lock:
            with self._store.database.begin() as tx:
                found = self._store.open_row(repository.get(tx, id=id, owner=self._owner))
                job = change(found)
                before = _format_before(found, job)
                saved = job.to_json(found.folder)
                repository.save_job(tx, id=id, job=saved, format_before=before, owner=self._owner)
            found = replace(found, job=job)
            self._frames.invalidate(found)
        return found

    def _range(self, found: Session, start: Any, end: Any) -> tuple[float, float | None]:
        """Return the times of the first frame that is kept and of the first after it; None: to the end."""
        times = self._frames.frame_times(found)
        first = _nearest(times, 0.0 if start is None else start)
        # The end of the last frame is a valid end, too.
        past = len(times) if end is None else _nearest([*times, found.clip.duration], end)
        if past <= first:
            raise InputError("The end must come after the start.")
        return times[first], None if past == len(times) else times[past]

    def _read_marks(self, found: Session, value: Any) -> Marks:
        value = value if isinstance(value, dict) else {}
        checked = _read_prompts(found, value.get("prompts"))
        objects = prompts.objects_from_json(value.get("objects") or [])
        return Marks(checked, objects, *self._range(found, value.get("start"), value.get("end")))

    def _set_background(self, found: Session, behind: background.Background) -> Session:
        form, sound = found.job.format, found.job.sound
        if isinstance(behind, Transparent) and formats.by_key(form).needs_background:
            form = next(f.key for f in formats.FORMATS.values() if f.alpha)
        elif not isinstance(behind, Transparent):
            form = found.row.format_before or form
        self._store.awaited_backgrounds.pop(found.id, None)
        if sound == "behind" and not self._frames.has_sound(behind):
            sound = "own"
        return self._change(found.id, background=behind, format=form, sound=sound)

    def _set_file_background(self, id: str, behind: Picture | Footage) -> Session:
        """Set a background file in the session's folder, and delete the ones before the previous."""
        before = self._open(id)
        found = self._set_background(before, behind)
        # A request for a picture over the previous background may still be under way.
        needed = {b.path for b in (before.job.background, behind) if isinstance(b, Picture | Footage)}
        for old in behind.path.parent.glob("background-*"):
            if old not in needed and self._queue.is_gone(id):  # a run may need it
                old.unlink(missing_ok=True)
        return found


def _read_prompts(found: Session, value: Any) -> tuple[prompts.Prompt, ...]:
    checked = prompts.from_json(value)
    for prompt in checked:
        prompt.check(found.clip.width, found.clip.height, found.clip.duration)
    return checked


def _format_before(found: Session, job: Job) -> str | None:
    """Return the format that comes back after transparency, once the session's job is `job`."""
    if not isinstance(job.background, Transparent):
        return None
    if isinstance(found.job.background, Transparent):
        # A format that is chosen meanwhile is meant to stay.
        return found.row.format_before if job.format == found.job.format else None
    return found.job.format if job.format != found.job.format else None


def _nearest(times: list[float], time: Any) -> int:
    """Return the index of the time nearest to `time`; `times` are ascending seconds."""
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 10**9:
        raise InputError("A time is a number of seconds.")
    right = min(bisect.bisect_left(times, time), len(times) - 1)
    left = max(right - 1, 0)
    return left if time - times[left] < times[right] - time else right
