"""The things on frames that clicks would take: found in turns that leave the model to others."""

from __future__ import annotations

import threading
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import models, preview
from pipeline.arrays import Matte
from pipeline.prompts import Point
from tests.waiting import until
from ui.sessions.rendering.things import ThingFinder, outline_mask
from ui.sessions.rendering.turns import ModelTurns

POINT = Point(5, 5)


def disc(radius: int) -> Matte:
    return np.asarray(
        cv2.circle(np.zeros((200, 300), np.uint8), (150, 100), radius, 255, cv2.FILLED), np.uint8
    )


class Model:
    """In place of a model that finds a disc in three steps, each of which waits for `go`."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.steps = 0

    def find_thing(self, *_: Any) -> Generator[None, None, Matte | None]:
        yield  # the frame is read
        for _ in range(3):
            self.steps += 1
            self.go.acquire()
            yield
        return disc(40)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(preview, "find_thing", model.find_thing)
    monkeypatch.setattr(models, "load", lambda *_: None)
    return model


def request(id: str = "a") -> Any:
    return SimpleNamespace(id=id, job=SimpleNamespace(model="m", device="cpu", weights=None))


class Search(threading.Thread):
    def __init__(self, finder: ThingFinder, id: str = "a") -> None:
        super().__init__()
        self.found: Any = "nothing yet"
        self._find = lambda: finder.find(request(id), 0, POINT)
        self.start()

    def run(self) -> None:
        self.found = self._find()


def test_a_search_is_given_up_when_a_click_wants_the_model(model: Model) -> None:
    turns = ModelTurns()
    finder = ThingFinder(turns, lambda *_: iter(()))  # type: ignore[arg-type]
    search = Search(finder)
    until(lambda: model.steps == 1)
    clicked = threading.Event()

    def click() -> None:
        with turns.request():
            clicked.set()
            done.wait()

    done = threading.Event()
    hand = threading.Thread(target=click)
    hand.start()
    until(lambda: len(turns._waiting) == 1)
    model.go.release(9)
    assert clicked.wait(60) and model.steps == 1  # after the step that was under way, and no other
    done.set()
    search.join()
    hand.join()
    assert search.found is None and model.steps == 1
    again = Search(finder)
    again.join()
    assert again.found and model.steps == 4 and finder._newest == {}


def test_a_newer_search_of_the_session_ends_the_one_before_it(model: Model) -> None:
    finder = ThingFinder(ModelTurns(), lambda *_: iter(()))  # type: ignore[arg-type]
    first = Search(finder)
    until(lambda: model.steps == 1)
    second = Search(finder)
    until(lambda: len(finder._newest) == 1 and second.is_alive())
    other = Search(finder, "b")
    until(lambda: len(finder._newest) == 2)
    model.go.release(9)
    for search in (first, second, other):
        search.join()
    assert first.found is None and second.found and other.found
    assert finder._newest == {}


def test_the_outline_of_a_mask_lies_on_its_edge_and_has_few_corners() -> None:
    ring = np.where(disc(20) > 0, 0, disc(60)).astype(np.uint8)
    ring[0:3, 0:3] = 255  # a speck
    outer, inner = sorted(outline_mask(ring))
    for line, radius in ((outer, 60), (inner, 20)):
        distances = np.hypot(*(np.array(line) - (150, 100)).T)
        assert np.abs(distances - radius).max() < 2.5 and 6 < len(line) < 80
    assert outline_mask(np.zeros((9, 9), np.uint8)) == []
