"""Things found by words: in turns with clicks, for sessions, and over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from db.engine import Database
from pipeline import models
from pipeline.errors import InputError, WeightsError
from pipeline.models import helpers, word_networks
from pipeline.propagation import words
from pipeline.weights import licences
from tests.ui import line
from tests.ui.hosted import LocalWorker
from tests.waiting import DEADLINE, until
from ui.page import stage
from ui.server import media
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.service import SessionService
from ui.sessions.session import Session


class Detector:
    """In place of the network: a dog at one place, on any picture."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.networks: list[str] = []
        self.searches = 0
        self.until_searches = 1
        """A call waits until so many searches have begun."""
        self._begun = threading.Condition()

    def load(self, _device: str, network: str) -> Detector:
        self.networks.append(network)
        with self._begun:
            self.searches += 1
            self._begun.notify_all()
        return self

    def __call__(self, image: np.ndarray, phrases: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(tuple(phrases))
        with self._begun:
            assert self._begun.wait_for(lambda: self.searches >= self.until_searches, DEADLINE)
        scores = [[0.8 if phrase == "a dog" else 0.1 for phrase in phrases]]
        return np.array([(10, 20, 60, 80)], np.float32), np.array(scores, np.float32)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Detector:
    detector = Detector()
    monkeypatch.setattr(words, "load_detector", detector.load)
    return detector


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are said to be here: what would load them is the stand-in."""
    there = replace(helpers.GROUNDING_DINO, weights=replace(helpers.GROUNDING_DINO.weights, files=()))
    monkeypatch.setattr(helpers, "GROUNDING_DINO", there)


@pytest.fixture
def inference() -> InferenceService:
    return InferenceService()


@pytest.fixture
def service(own: Database, tmp_path: Path, inference: InferenceService) -> SessionService:
    queue: Any = line.ManualRunner(None)
    return SessionService(tmp_path, own, queue, line.SAMPLE, LocalWorker(lambda: inference))


@pytest.fixture
def session(service: SessionService) -> Session:
    return service.open(service.create_sample())


def test_what_words_name_becomes_ordinary_prompts(
    service: SessionService, session: Session, detector: Detector
) -> None:
    hits = service.frames.find_words(session, "A dog, a cat")
    assert hits is not None and {hit.phrase for hit in hits} == {"a dog"}
    assert detector.asked[0] == ("a dog", "a cat")
    first = hits[0].prompt
    assert first.time == 0 and first.to_json()["box"] == [10, 20, 60, 80]
    saved = service.choices.save_marks(session.id, [hit.prompt.to_json() for hit in hits])
    assert saved.job.prompts == tuple(hit.prompt for hit in hits)


def test_what_cannot_be_found_is_said(service: SessionService, session: Session, detector: Detector) -> None:
    boxless = next(card.key for card in models.cards().values() if not card.box)
    without = replace(session, job=replace(session.job, model=boxless))
    for asked, text, key in (
        (session, "a cat", "words.not_found"),
        (session, " , ", "words.needed"),
        (without, "a dog", "words.no_boxes"),
    ):
        with pytest.raises(InputError) as raised:
            service.frames.find_words(asked, text)
        assert raised.value.message.key == key


def test_a_newer_search_ends_the_one_before_it(
    service: SessionService, session: Session, detector: Detector, inference: InferenceService
) -> None:
    found: dict[str, Any] = {}

    def search(text: str) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: found.update({text: service.frames.find_words(session, text)})
        )
        thread.start()
        return thread

    detector.until_searches = 2
    older = search("a dog")
    until(lambda: bool(detector.asked))
    newer = search("a dog, a cat")
    older.join(DEADLINE)
    newer.join(DEADLINE)
    assert found["a dog"] is None and found["a dog, a cat"][0].phrase == "a dog"
    assert inference._words._newest == {}


@pytest.fixture
def client(service: SessionService) -> Iterator[TestClient]:
    served = FastAPI()
    served.include_router(media.router(service))
    with TestClient(served) as client:
        yield client


def test_the_address_answers_with_boxes(
    client: TestClient, session: Session, detector: Detector, present: None
) -> None:
    answer = client.get(f"/media/{session.id}/words", params={"q": "a dog"})
    told = answer.json()
    assert answer.status_code == 200 and told["ready"] is True
    assert told["found"][0] == {"words": "a dog", "prompt": {"time": 0.0, "box": [10, 20, 60, 80]}}
    refused = client.get(f"/media/{session.id}/words", params={"q": "a cat"})
    assert refused.status_code == 422 and "“a cat”" in refused.json()["error"]


def test_the_address_takes_the_network_that_is_chosen_where_its_weights_are(
    client: TestClient,
    session: Session,
    detector: Detector,
    present: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    address = f"/media/{session.id}/words"
    missing = client.get(address, params={"q": "a dog", "model": "sam3"}).json()
    assert missing["ready"] is False and "weights of SAM 3 are needed" in missing["message"]
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "weights"))
    card = replace(models.card("sam3"), weights=None)
    monkeypatch.setitem(models.cards(), "sam3", card)
    unread = client.get(address, params={"q": "a dog", "model": "sam3"}).json()
    assert unread["ready"] is False and detector.networks == []
    licences.acknowledge("sam3", card.licence_url)
    told = client.get(address, params={"q": "a dog", "model": "sam3"}).json()
    assert told["ready"] is True and told["found"] and detector.networks == ["sam3"]
    client.get(address, params={"q": "a dog"})
    assert detector.networks == ["sam3", "grounding-dino"]
    unknown = client.get(address, params={"q": "a dog", "model": "yolo"})
    assert unknown.status_code == 422 and "yolo" in unknown.json()["error"]


def test_the_address_searches_again_only_where_it_is_told(
    client: TestClient, session: Session, detector: Detector, present: None
) -> None:
    address = f"/media/{session.id}/words"
    told = client.get(address, params={"q": "a dog", "again": [0.5, 0.8]}).json()
    assert [hit["prompt"]["time"] >= 0.5 for hit in told["found"]] == [True, True]
    assert len(detector.asked) == 2
    late = client.get(address, params={"q": "a dog", "again": [99]})
    assert late.status_code == 422 and "“a dog”" in late.json()["error"]
    assert client.get(address, params={"q": "a dog", "again": "soon"}).status_code == 422


def test_sam_3_is_taken_where_it_alone_is_ready(
    client: TestClient,
    session: Session,
    detector: Detector,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "weights"))
    card = replace(models.card("sam3"), weights=None)
    monkeypatch.setitem(models.cards(), "sam3", card)
    licences.acknowledge("sam3", card.licence_url)
    told = client.get(f"/media/{session.id}/words", params={"q": "a dog"}).json()
    assert told["ready"] is True and detector.networks == ["sam3"]


def test_a_choice_is_offered_where_there_is_one(
    service: SessionService,
    session: Session,
    present: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stage.stage_value(session, service.frames)["words"] == []
    card = replace(models.card("sam3"), weights=None)
    monkeypatch.setitem(models.cards(), "sam3", card)
    willing = replace(session, accepts=lambda _card: True)
    assert stage.stage_value(willing, service.frames)["words"] == [
        {"key": "grounding-dino", "label": "GroundingDINO"},
        {"key": "sam3", "label": "SAM 3"},
    ]
    unwilling = replace(session, accepts=lambda _card: False)
    assert stage.stage_value(unwilling, service.frames)["words"] == []
    with pytest.raises(WeightsError, match="military"):
        service.frames.find_words(unwilling, "a dog", word_networks.SAM3)


def test_without_weights_the_address_says_what_is_needed(client: TestClient, session: Session) -> None:
    told = client.get(f"/media/{session.id}/words", params={"q": "a dog"}).json()
    assert told == {
        "ready": False,
        "message": "To find things by words, the weights of GroundingDINO are needed. "
        "Their download is offered under “Subject”.",
    }
