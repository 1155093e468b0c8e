"""Sessions and a line of jobs in which nothing is computed: who may do what, and what stays."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from db import repository
from db.engine import Database
from pipeline.job import Job, Progress
from pipeline.jobs.events import RunFinished
from pipeline.video.reading.index_cache import save_index
from pipeline.video.reading.probe import probe_clip
from tests.ui.hosted import LocalWorker
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.service import SessionService

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample.mp4"


class ManualRunner:
    """In place of the runner: a job is done when the test says `step`, by writing a file."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self.jobs: dict[str, Job] = {}
        self.submitted: list[str] = []
        self.users: list[str] = []

    def submit(self, key: str, job: Job, user: str = "", seconds: float | None = None) -> None:
        with self._lock:
            if key in self.jobs:
                raise ValueError(f"a job of {key} is under way")
            self.jobs[key] = job
            self.submitted.append(key)
            self.users.append(user)

    def cancel(self, key: str) -> bool:
        with self._lock:
            if self.jobs.pop(key, None) is None:
                return False
        self._sink.cancelled(key)
        return True

    def position(self, key: str) -> int | None:
        with self._lock:
            return list(self.jobs).index(key) + 1 if key in self.jobs else None

    def holds(self, key: str) -> bool:
        return self.position(key) is not None

    def is_idle(self) -> bool:
        with self._lock:
            return not self.jobs

    def eta(self, key: str) -> float | None:
        place = self.position(key)
        return None if place is None else 90.0 * place

    def progress(self, key: str) -> None:
        return None

    def step(self, result: bytes = b"result") -> str | None:
        """Do the first job in the line, and give its key."""
        with self._lock:
            if not self.jobs:
                return None
            key, job = next(iter(self.jobs.items()))
        self._sink.started(key)
        job.output.write_bytes(result)
        with self._lock:
            del self.jobs[key]
        self._sink.finished(key, result_record(job.output.name))
        return key


def result_record(file: str) -> RunFinished:
    """Return what a runner reports of a result."""
    form = "png-still" if file.endswith(".png") else "mp4"
    return RunFinished(form, "#00ff00", "grabcut", file, bytes=6, frames=12, seconds=1.0)


def progress_of(frames: int) -> Progress:
    """Return what a runner reports after so many of 12 frames."""
    return Progress("matte", frames, 12, rate=1.0, left=None)


def make_service(home: Path, database: Database, line: ManualRunner, **more: Any) -> SessionService:
    return SessionService(home, database, line, SAMPLE, LocalWorker(InferenceService), **more)  # type: ignore[arg-type]


def session_maker(home: Path, database: Database, clip: Path) -> Callable[..., str]:
    """Makes sessions as an upload would, only quicker."""
    probed = probe_clip(clip, "a.mp4")
    (home / "sessions").mkdir(parents=True, exist_ok=True)

    def make(owner: UUID | None = None, name: str = "a.mp4") -> str:
        id = str(uuid4())
        folder = home / "sessions" / id
        folder.mkdir()
        source = folder / "source.mp4"
        shutil.copyfile(clip, source)
        save_index(source)
        job = Job(source, folder / "result", model="grabcut", matte=folder / "matte.mkv")
        with database.begin() as tx:
            repository.create(
                tx,
                id=id,
                name=name,
                source=source.name,
                clip=probed.to_json(),
                job=job.to_json(folder),
                owner=owner,
            )
        return id

    return make


def add_result(database: Database, home: Path, id: str, file: str = "result-1.mp4") -> str:
    """Give a session a result; the result's id."""
    (home / "sessions" / id / file).write_bytes(b"result")
    with database.begin() as tx:
        return str(repository.add_result(tx, id=id, result=result_record(file)).id)
