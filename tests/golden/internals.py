"""All that the golden tests import of the program and of the other tests, each under one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import numpy as np

from db import users
from db.engine import Database
from db.ledger import Ledger
from db.tokens import hash_token
from pipeline import models
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.formats import FORMATS
from pipeline.job import Job
from pipeline.jobs import sandbox
from pipeline.jobs.runner import Runner
from pipeline.keys import matte_key, result_key
from pipeline.matte import MatteFile
from pipeline.models.matte_in import BorrowedMatte
from pipeline.process import process
from pipeline.prompts import Box, Object, Point, Prompt, Stroke
from pipeline.propagation import spool
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index, save_index
from tests.executors import Here
from tests.pipeline import stand_in
from tests.ui.hosted import LocalWorker
from ui.server.login import login_file
from ui.server.login.login_sessions import DatabaseLoginSessions
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.service import SessionService

__all__ = [
    "FORMATS",
    "Blur",
    "BorrowedMatte",
    "Box",
    "Colour",
    "Database",
    "Edges",
    "Footage",
    "Job",
    "Object",
    "Picture",
    "Point",
    "Prompt",
    "Stroke",
    "Transparent",
    "matte_key",
    "result_key",
    "stand_in",
    "users",
]

STAND_IN_PROGRAM = "tests.pipeline.stand_in"

keep_index = save_index
identifier = UUID


def frame_times(path: Path) -> list[int]:
    """The pts of a video's frames."""
    return list(load_index(path).pts)


def mattes(path: Path) -> Iterator[np.ndarray]:
    """The planes of a matte file, `[H, W]` uint8."""
    return (frame.image for frame in read_frames(path, pixel_format="gray"))


def matte_of(path: Path) -> tuple[str, int, int]:
    """Return a matte file's key, its first pts and the one past its last."""
    kept = MatteFile.open(path)
    return kept.key, kept.start, kept.end


def run(job: Job) -> set[str]:
    """Run a job to its end; returns the stages that it went through."""
    with closing(process(job)) as steps:
        return {step.stage for step in steps}


class Counted:
    """A model that counts the frames it is given and notes the state that each stream begins with."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.frames = 0
        self.states: list[Any] = []

    def predict(self, stills: Iterator[Any], state: Any = None) -> Iterator[Any]:
        self.states.append(state)
        return self._inner.predict(self._counted(stills), *([] if state is None else [state]))

    def _counted(self, stills: Iterator[Any]) -> Iterator[Any]:
        for still in stills:
            self.frames += 1
            yield still


@contextmanager
def counted(key: str) -> Iterator[Counted]:
    """The model of a key, which counts for the length of the block."""
    card = models.card(key)
    model = Counted(models.load(key, "cpu"))
    with _loading(key, lambda *_: model, card):
        yield model


@contextmanager
def no_model_loads() -> Iterator[None]:
    """Fail the test where any model is loaded in the block."""

    def refuse(*_: object) -> Any:
        raise AssertionError("a model is loaded")

    models.unload()
    with patch.dict(
        models.cards(), {key: replace(card, load=refuse) for key, card in models.cards().items()}
    ):
        yield


@contextmanager
def _loading(key: str, load: Callable[..., Any], card: Any) -> Iterator[None]:
    models.unload()
    with patch.dict(models.cards(), {key: replace(card, load=load)}):
        yield
    models.unload()


def close_segments_often(seconds: float) -> None:
    """Set how often this process closes a segment of what a stream found."""
    spool.CHUNK_SECONDS = seconds


def take_over_login_file(home: Path, database: Database, now: float) -> None:
    """Do what a starting server does with the login file of earlier versions, `now` seconds after 1970."""
    login_file.take_over(home, database, lambda: now)


def find_login(database: Database, token: str) -> Any:
    """Return the visitor whose cookie has this token; None without one."""
    login = DatabaseLoginSessions(database).find(hash_token(token))
    return None if login is None else login.visitor


@contextmanager
def service(home: Path, database: Database) -> Iterator[Any]:
    """The session service of a data folder, for the local user; all in this process."""
    with (
        patch.object(sandbox, "Worker", LocalWorker),
        closing(Ledger(database)) as ledger,
        closing(Runner(ledger, [Here(process)])) as runner,
    ):
        yield SessionService(home, database, runner, Path(), LocalWorker(InferenceService))
