"""What the page's events do, free of Gradio.

A session is a folder named by its id, holding the video, its background picture, its matte and its results,
and a row in the database that says the rest. Every error that leaves here is a sentence.
"""

from __future__ import annotations

import bisect
import math
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

from db import repository
from db.engine import Database
from db.errors import NotFound
from db.models import Result, SessionRow, State
from pipeline import background, formats, models, prompts, video, weights
from pipeline.background import Fit, Footage, Picture, Transparent
from pipeline.clip import Clip
from pipeline.edges import Edges
from pipeline.errors import InputError, VideoError
from pipeline.formats import Quality
from pipeline.job import GREEN, Job, Progress, Sound
from pipeline.pictures import opened
from pipeline.runner import Runner
from ui import overlay, scenes
from ui.downloads import Downloads
from ui.looks import Looks
from ui.opened import Opened, sounds

_LONGEST_NAME = 120
_CANCEL_POLLS = 50
_DELETED = ".deleted-"


class Actions:
    def __init__(self, home: Path, database: Database, runner: Runner, sample: Path) -> None:
        self._folder = home / "sessions"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._database = database
        self._runner = runner
        self._sample = sample
        self._changing = threading.Lock()
        self.looks = Looks(self.open)
        self.downloads = Downloads()

    # ------------------------------------------------------------------ sessions

    def create(self, file: Path, name: str) -> str:
        """A new session with the uploaded `file`, which is moved into it; gives its id.

        Raises VideoError where it is no video that can be used; the file is then removed.
        """
        try:
            clip = video.probe(file, name)
            return self._keep(file, clip)
        finally:
            file.unlink(missing_ok=True)

    def create_sample(self) -> str:
        copy = self._folder / f".{uuid4()}{self._sample.suffix}"
        shutil.copyfile(self._sample, copy)
        return self.create(copy, self._sample.name)

    def _keep(self, file: Path, clip: Clip) -> str:
        id = str(uuid4())
        folder = self._folder / id
        folder.mkdir()
        try:
            source = folder / f"source{_plain_suffix(clip.name)}"
            shutil.move(file, source)
            clip = replace(clip, path=source)
            video.keep_index(source)
            first = next(video.read(source), None)
            if first is None:
                raise VideoError(f"{clip.name}: not one picture of this video could be decoded.")
            model, _why = models.default()
            job = Job(source, folder / "result", model=model, matte=folder / "matte.mkv")
            name = clip.name[:_LONGEST_NAME]
            with self._database.begin() as tx:
                repository.create(
                    tx, id=id, name=name, source=source.name, clip=clip.to_json(), job=job.to_json(folder)
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return id

    def open(self, id: str) -> Opened:
        """Raises db's NotFound where there is no such session, VideoError where its video was removed."""
        found = self._found(id)
        if not found.job.source.exists():
            raise VideoError(f"{found.row.name}: this video is no longer on the disk. Upload it again.")
        return found

    def _found(self, id: str) -> Opened:
        with self._database.begin() as tx:
            return self._opened(repository.get(tx, id=id))

    def _opened(self, row: SessionRow) -> Opened:
        folder = self._folder / str(row.id)
        clip = Clip.from_json(row.clip, folder / row.source)
        return Opened(row, clip, Job.from_json(row.job, folder), folder)

    def sessions(self, search: str | None = None) -> list[Opened]:
        """Sessions, newest first."""
        with self._database.begin() as tx:
            return [self._opened(row) for row in repository.page(tx, limit=200, search=search or None)]

    def unfinished(self) -> str | None:
        """The newest session that is queued or running."""
        return next((found.id for found in self.sessions() if found.running), None)

    def rename(self, id: str, name: str) -> Opened:
        """An empty name changes nothing."""
        name = " ".join(name.split())[:_LONGEST_NAME]
        if name:
            with self._database.begin() as tx:
                repository.rename(tx, id=id, name=name)
        return self._found(id)

    def delete(self, id: str) -> None:
        """Row and files together: first out of sight, then gone, so that neither stays without the other."""
        found = self._found(id)
        self._runner.cancel(found.id)
        for _ in range(_CANCEL_POLLS):
            if self._runner.place(found.id) is None:
                break
            time.sleep(0.1)
        hidden = found.folder.with_name(f"{_DELETED}{found.id}")
        with suppress(FileNotFoundError):
            found.folder.rename(hidden)
        try:
            with self._database.begin() as tx:
                repository.delete(tx, id=id)
        except BaseException:
            with suppress(FileNotFoundError):
                hidden.rename(found.folder)
            raise
        shutil.rmtree(hidden, ignore_errors=True)

    def mend(self) -> None:
        """Clear away what a server that was killed left half-made, all of which is hidden.

        Only before anything runs. A session whose row outlived its deletion gets its files back.
        """
        for hidden in self._folder.glob(f"{_DELETED}*"):
            id = hidden.name.removeprefix(_DELETED)
            with suppress(NotFound):
                self._found(id)
                hidden.rename(self._folder / id)
        for left in [*self._folder.glob(".*"), *self._folder.glob("*/.*")]:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    # ------------------------------------------------------------------ choices

    def _change(self, id: str, **changes: Any) -> Opened:
        with self._changing:  # of two at once the second sees what the first has left
            found = self.open(id)
            job = replace(found.job, **changes)
            with self._database.begin() as tx:
                repository.save_job(tx, id=id, job=job.to_json(found.folder))
        return replace(found, job=job)

    def mark(self, id: str, marks: Any, objects: Any = None) -> Opened:
        """Keep the prompts and objects that the stage sends; raises PromptError where they do not fit."""
        clip = self.open(id).clip
        checked = prompts.from_json(marks)
        for prompt in checked:
            prompt.check(clip.width, clip.height, clip.duration)
        return self._change(id, prompts=checked, objects=prompts.objects_from_json(objects or []))

    def trim(self, id: str, start: Any, end: Any) -> Opened:
        """Keep the frames from `start` to before `end`, seconds put to the nearest frame; None: no bound.

        Raises InputError where that is no time, or leaves nothing.
        """
        found = self.open(id)
        times = self.looks.times(found)
        first = _nearest(times, 0.0 if start is None else start)
        # The end of the last frame is an end, too.
        past = len(times) if end is None else _nearest([*times, found.clip.duration], end)
        if past <= first:
            raise InputError("The end must come after the start.")
        kept = (times[first], None if past == len(times) else times[past])
        if kept == (found.job.start, found.job.end):
            return found
        return self._change(id, start=kept[0], end=kept[1])

    def choose_model(self, id: str, key: str) -> Opened:
        models.card(key)
        return self._change(id, model=key)

    def acknowledge(self, key: str) -> None:
        """Remember that what the licence of a model forbids was read. Raises WeightsError."""
        card = models.card(key)
        if card.restriction:
            weights.acknowledge(key, card.licence_url)

    def choose_background(self, id: str, spec: str) -> Opened:
        """`#rrggbb`, "blur", "blur:RADIUS" or "transparent"; a format that cannot hold it gives way."""
        behind = background.parse(spec)
        if isinstance(behind, Picture | Footage):
            raise InputError("A picture or video is uploaded, not named.")
        return self._lay(id, behind)

    def choose_picture(self, id: str, file: Path, name: str, fit: Fit = "fill") -> Opened:
        """Take an uploaded picture into the session; raises BackgroundError where it is none."""
        try:
            picture = opened(file, name)
        finally:
            file.unlink(missing_ok=True)
        kept = self.open(id).folder / f"background-{uuid4().hex[:8]}.png"
        # Written again from its pixels: upright, without what else a picture's file may carry.
        with video.replacing(kept) as part:
            overlay.save_png(picture, part)
        return self._hang(id, Picture(kept, fit))

    def choose_footage(self, id: str, file: Path, name: str, fit: Fit = "fill", held: bool = False) -> Opened:
        """Take an uploaded video into the session as its background; raises VideoError where it is none."""
        try:
            video.probe(file, name)
            if next(video.read(file), None) is None:
                raise VideoError(f"{name}: not one picture of this video could be decoded.")
            # A name that does not read as a picture's, whatever the upload was called.
            kept = self.open(id).folder / f"background-{uuid4().hex[:8]}.video"
            with video.replacing(kept) as part:
                shutil.move(file, part)
        finally:
            file.unlink(missing_ok=True)
        return self._hang(id, Footage(kept, fit, held))

    def choose_scene(self, id: str, name: str, fit: Fit = "fill") -> Opened:
        """Take one of scenes.NAMES into the session, as an uploaded picture; raises InputError for others."""
        shipped = scenes.path(name)
        kept = self.open(id).folder / f"background-{name}{shipped.suffix}"
        with video.replacing(kept) as part:
            shutil.copyfile(shipped, part)
        return self._hang(id, Picture(kept, fit))

    def _hang(self, id: str, behind: Picture | Footage) -> Opened:
        """Lay a file in the session's folder behind the subject, in place of the ones before."""
        before = self.open(id).job.background
        found = self._lay(id, behind)
        # Whoever was on the way to a picture over the one before may still find it.
        needed = {b.path for b in (before, behind) if isinstance(b, Picture | Footage)}
        for old in behind.path.parent.glob("background-*"):
            if old not in needed and self._runner.place(id) is None:  # a run may need it
                old.unlink(missing_ok=True)
        return found

    def fit_background(self, id: str, fit: Fit, held: bool = False) -> Opened:
        """How a picture or video is laid; `held` as in `Footage`. Other backgrounds stay as they are."""
        found = self.open(id)
        match found.job.background:
            case Picture(path):
                return self._lay(id, Picture(path, fit))
            case Footage(path):
                return self._lay(id, Footage(path, fit, held))
        return found

    def _lay(self, id: str, behind: background.Background) -> Opened:
        job = self.open(id).job
        form, sound = job.format, job.sound
        if isinstance(behind, Transparent) and formats.by_key(form).opaque:
            form = next(f.key for f in formats.FORMATS.values() if f.alpha)
        if sound == "behind" and not sounds(behind):
            sound = "own"
        return self._change(id, background=behind, format=form, sound=sound)

    def choose_edges(self, id: str, edges: Edges) -> Opened:
        """Raises InputError for what is out of range."""
        edges.check()
        return self._change(id, edges=edges)

    def choose_format(self, id: str, key: str) -> Opened:
        """A format without alpha takes a transparent background's place with a colour."""
        form = formats.by_key(key)
        behind = self.open(id).job.background
        if isinstance(behind, Transparent) and form.opaque:
            behind = GREEN
        return self._change(id, format=key, background=behind)

    def choose_quality(self, id: str, quality: Quality) -> Opened:
        return self._change(id, quality=quality)

    def choose_sound(self, id: str, sound: Sound) -> Opened:
        return self._change(id, sound=sound)

    def choose_rate(self, id: str, rate: Fraction | None) -> Opened:
        """Frames a second, evenly; None: each at its own time."""
        return self._change(id, rate=rate)

    def choose_hardware(self, id: str, hardware: bool) -> Opened:
        return self._change(id, hardware=hardware)

    # ------------------------------------------------------------------ running

    def run(self, id: str) -> None:
        """Queue the session's job; raises InputError where it cannot be done as it stands."""
        found = self.open(id)
        form = formats.by_key(found.job.format)
        job = replace(found.cut, output=found.folder / f"result-{uuid4().hex[:8]}{form.suffix}")
        job.check(found.clip)
        if found.kept is None:
            models.check(models.card(job.model), job.weights)
        if found.running or self._runner.place(id) is not None:
            raise InputError(f"{found.row.name} is being made already.")
        with self._database.begin() as tx:
            repository.change_state(tx, id=id, state=State.QUEUED)
        self._runner.submit(id, job)

    def cancel(self, id: str) -> None:
        self._runner.cancel(id)

    def place(self, id: str) -> int | None:
        """0: running, 1: next in line; None: neither."""
        return self._runner.place(id)

    def progress(self, id: str) -> Progress | None:
        return self._runner.progress(id)

    def result(self, id: str, result: str) -> tuple[Path, str, str]:
        """A result's file, its MIME type, and the name to download it under."""
        found = self._found(id)
        for kept in found.row.results:
            if str(kept.id) == result:
                form = formats.by_key(kept.format)
                return found.folder / kept.file, form.mime, download_name(found.row, kept)
        raise InputError("There is no such result.")


def download_name(row: SessionRow, result: Result) -> str:
    form = formats.by_key(result.format)
    what = "recorte" if form.content == "picture" else form.content
    return f"{Path(row.name).stem}-{what}{form.suffix}"


def _nearest(times: list[float], time: Any) -> int:
    """The place in `times`, which ascend, of the one that is nearest."""
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise InputError("A time is a number of seconds.")
    right = min(bisect.bisect_left(times, time), len(times) - 1)
    left = max(right - 1, 0)
    return left if time - times[left] < times[right] - time else right


def _plain_suffix(name: str) -> str:
    """The name's suffix where it is a harmless one: names from users never become paths."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 6 else ""
