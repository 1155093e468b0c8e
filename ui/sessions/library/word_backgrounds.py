"""Backgrounds made of words: several to choose from, or one around a product, drawn in the worker process."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from uuid import UUID

from pipeline.compositing.background import Fit, Picture, Words, check_words
from pipeline.errors import BackgroundError, InputError
from pipeline.generation import backgrounds, product
from pipeline.generation.cards import find_card
from pipeline.generation.drawing import Step
from pipeline.generation.product import Facts
from ui.sessions.choices import Choices
from ui.sessions.library import drawn_backgrounds
from ui.sessions.library.drawn_backgrounds import Proposals
from ui.sessions.limits.quota import Quota
from ui.sessions.rendering.frames import FrameClient
from ui.sessions.rendering.protocol import DrawingStep
from ui.sessions.session import Session
from ui.sessions.store import SessionStore

PROPOSED = 4
"""Pictures that are proposed at once."""


class DrawingStopped(BackgroundError):
    """The background of a session was stopped while it was filled in."""


class Drawings:
    """Drawings in progress, by session; a newer one of a session ends the one before it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: dict[str, threading.Event] = {}

    def begin(self, id: str) -> threading.Event:
        """Return the event that is set once a session's drawing is to end."""
        with self._lock:
            if id in self._going:
                self._going[id].set()
            self._going[id] = threading.Event()
            return self._going[id]

    def end(self, id: str, stop: threading.Event | None = None) -> None:
        """End a session's drawing; with `stop` only if it is that one."""
        with self._lock:
            going = self._going.get(id)
            if going is not None and stop in (None, going):
                going.set()
                del self._going[id]


class WordBackgrounds:
    """Pictures made of words for one user's sessions.

    Every method raises NotFound for a session that the user does not have.
    """

    def __init__(
        self,
        store: SessionStore,
        quota: Quota,
        frames: FrameClient,
        choices: Choices,
        drawings: Drawings,
        owner: UUID | None,
    ) -> None:
        self._store = store
        self._quota = quota
        self._frames = frames
        self._choices = choices
        self._drawings = drawings
        self._owner = owner

    def propose(
        self, id: str, text: str, seed: int | None = None, count: int = PROPOSED
    ) -> Generator[DrawingStep, None, Proposals]:
        """Draw pictures of words, and return which are there to choose from; yields the progress.

        `seed` is the first one's; None: the one behind those of the same words that are there. What was
        proposed before is left as it is until all are drawn, or if it is cancelled. Raises BackgroundError
        for no words or too many, InputError where packages, weights or memory are missing.
        """
        session = self._store.open(id, self._owner)
        text = " ".join(text.split())
        check_words(text)
        before = drawn_backgrounds.read(session.folder)
        if seed is None:
            seed = max(before.seeds, default=-1) + 1 if before.text == text else 0
        proposals = Proposals(text, tuple(range(seed, seed + count)))
        words = tuple(Words(text, each) for each in proposals.seeds)
        size = session.job.result_size(session.clip)
        backgrounds.check(words[0], size)
        width, height = backgrounds.picture_size(find_card(), *size)
        listed = session.folder / drawn_backgrounds.FOLDER
        stop = self._drawings.begin(id)
        try:
            with (
                self._quota.reserve(self._owner, listed, count * width * height * 3),
                closing(self._frames.draw_backgrounds(session, words)) as steps,
            ):
                for step in steps:
                    if stop.is_set():
                        drawn_backgrounds.clear(session.folder, session.clip, session.job, before)
                        return before
                    yield step
            drawn_backgrounds.save(session.folder, proposals)
            drawn_backgrounds.clear(session.folder, session.clip, session.job, proposals)
            return proposals
        finally:
            self._drawings.end(id, stop)
            self._quota.forget()

    def fill(
        self, id: str, text: str, seed: int | None = None, model: str = "", *, enlarge: bool = False
    ) -> Generator[Facts | Step, None, Session]:
        """Fill in the background around the product of a picture, and take it; yields facts and progress.

        `seed` None: the one behind that of the background which is there. With `enlarge` a run enlarges it
        where it is smaller than the picture. Returns the session. Raises as `propose`, InputError for a
        video, a crop, and a picture in which nothing is cut out, DrawingStopped where it is cancelled.
        """
        session = self._store.open(id, self._owner)
        if seed is None:
            seed = drawn_backgrounds.next_seed_around(session.job)
        words = Words(" ".join(text.split()), seed, model)
        check_words(words.text)
        if not session.clip.is_still or session.job.follows_subject(session.clip):
            raise InputError("product.one_whole_picture")
        product.check(words)
        width, height = backgrounds.picture_size(find_card(model), session.clip.width, session.clip.height)
        path = drawn_backgrounds.path_around(session.folder, seed)
        facts: Facts | None = None
        stop = self._drawings.begin(id)
        try:
            with (
                self._quota.reserve(self._owner, path, width * height * 3),
                closing(self._frames.fill_background(session, words, path)) as steps,
            ):
                for step in steps:
                    if stop.is_set():
                        raise DrawingStopped("background.stopped")
                    if isinstance(step, Facts):
                        facts = step
                    yield step
            if facts is not None:
                drawn_backgrounds.save_facts(path, facts)
            return self._choices.set_file_background(id, Picture(path, "stretch", enlarge))
        finally:
            self._drawings.end(id, stop)
            self._quota.forget()

    def cancel(self, id: str) -> None:
        """End the drawing of a session's pictures, if there is one."""
        self._store.open(id, self._owner)
        self._drawings.end(id)

    def picture(self, id: str, seed: int) -> Path:
        """Return the file of a proposed picture, a PNG. Raises BackgroundError where there is none."""
        session = self._store.open(id, self._owner)
        words = drawn_backgrounds.read(session.folder).words(seed)
        return drawn_backgrounds.find(session.folder, session.clip, session.job, words)

    def choose(self, id: str, seed: int, fit: Fit = "fill") -> Session:
        """Take a proposed picture as background. Raises BackgroundError where there is none of that seed."""
        session = self._store.open(id, self._owner)
        words = drawn_backgrounds.read(session.folder).words(seed)
        spec = Words(words.text, words.seed, fit=fit)
        return self._choices.set_file_background(
            id, drawn_backgrounds.take(session.folder, session.clip, session.job, spec)
        )
