"""The costs of a click on a frame, counted: transactions, openings of a video, and looks for weights.

A click is the edit of the page and the request for the frame's picture that the browser answers it with.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import event

from db.engine import Database
from db.errors import NotFound
from db.models import User
from pipeline.process import process
from pipeline.video.reading.source import Source
from pipeline.weights import locate
from pipeline.weights.spec import File
from tests.ui import line
from tests.ui.hosted import LocalWorker
from tests.ui.page.test_handlers import Call, call
from tests.ui.test_owners import Gate
from ui.server import media
from ui.sessions import saved as module
from ui.sessions.removal import remove_user
from ui.sessions.rendering.inference import InferenceService
from ui.sessions.service import SessionService

__all__ = ["call"]  # a fixture

EMPTY: dict[str, Any] = {"prompts": [], "objects": [], "start": 0, "end": None}
WORKER = "worker"


class Counts(NamedTuple):
    """Counts of the work that a click has caused."""

    transactions: int
    opens: int
    """Openings of a video, in the server and in the worker."""
    lookups: int
    """Looks of one process for one file of weights, the most of any, in the edit or in the request."""


class ThreadWorker(LocalWorker):
    """Hosts in a thread of its own, which shares nothing with the server's but memory, as a process would."""

    def __init__(self) -> None:
        super().__init__(InferenceService)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=WORKER)
        self._readers = self.hosted._stored._readers
        self._readers._timer._seconds = 3600.0  # what is counted does not depend on the machine's speed

    def call(self, method: Callable[..., Any], *args: Any) -> Any:
        return self._thread.submit(super().call, method, *args).result()

    def close(self) -> None:
        self._thread.shutdown()
        self._readers.close()


@pytest.fixture
def service(own: Database, tmp_path: Path) -> Iterator[SessionService]:
    worker, queue = ThreadWorker(), line.ManualRunner(None)
    yield SessionService(tmp_path, own, queue, line.SAMPLE, worker)  # type: ignore[arg-type]
    worker.close()


@pytest.fixture
def id(service: SessionService, own: Database, clip: Path, tmp_path: Path) -> str:
    """A session with the model that comes with the program."""
    made = line.session_maker(tmp_path, own, clip)()
    service.choices.choose_model(made, "recorte")
    return made


class Clicker:
    """A browser that marks frames of a session, one point each time, and asks for the picture."""

    def __init__(self, service: SessionService, call: Call, id: str) -> None:
        self._service, self._call, self.id = service, call, id
        self._base = EMPTY
        self.transactions: Counter[str] = Counter()
        self.opens = 0
        self.lookups: Counter[tuple[bool, File]] = Counter()
        """By process (True: the worker) and file."""
        server = FastAPI()
        server.include_router(media.router(service))
        server.add_middleware(Gate)
        self.client = TestClient(server)

    def edit(self, frame: int, x: int) -> dict[str, Any]:
        """Mark the frame in place of all others; return the stage's value."""
        time = self._service.frames.frame_times(self._service.open(self.id))[frame]
        marks = [{"time": time, "points": [{"x": x, "y": 90, "keep": True}], "object": 1}]
        self.forget()
        edit = EMPTY | {"prompts": marks, "base": self._base, "seq": x}
        value: dict[str, Any] = self._call("stage", "input", edit, self.id)["stage"]
        self._base = {key: value[key] for key in EMPTY}
        return value

    def picture(self, value: dict[str, Any], frame: int, user: UUID | None = None) -> Response:
        address = f"{value['media']}/frames/{frame}?view=mask&rev={value['rev'].replace('#', '%23')}"
        return self.client.get(address, headers={} if user is None else {"x-user": str(user)})

    def click(self, frame: int, x: int) -> Counts:
        """Mark the frame and ask for its picture, which has to be final; return the counts of both."""
        value = self.edit(frame, x)
        lookups = self.lookups.copy()
        self.lookups.clear()
        answer = self.picture(value, frame)
        assert answer.status_code == 200 and answer.headers["Recorte-Final"] == "1"
        assert "immutable" in answer.headers["Cache-Control"]
        assert lookups and self.lookups
        most = max(*lookups.values(), *self.lookups.values())
        return Counts(self.transactions.total(), self.opens, most)

    def forget(self) -> None:
        self.transactions.clear()
        self.lookups.clear()
        self.opens = 0


@pytest.fixture
def clicker(
    service: SessionService, own: Database, call: Call, id: str, monkeypatch: pytest.MonkeyPatch
) -> Clicker:
    clicker = Clicker(service, call, id)
    opening, searching = Source._open, locate._search

    def opened(source: Source) -> None:
        clicker.opens += 1
        opening(source)

    def searched(file: File) -> Path | None:
        clicker.lookups[threading.current_thread().name.startswith(WORKER), file] += 1
        return searching(file)

    def began(_: object) -> None:
        clicker.transactions[threading.current_thread().name] += 1

    monkeypatch.setattr(Source, "_open", opened)
    monkeypatch.setattr(locate, "_search", searched)
    event.listen(own.engine, "begin", began)
    return clicker


def test_a_click_takes_one_transaction_and_opens_the_video_twice_at_most(clicker: Clicker) -> None:
    # Probed once, and opened once more for its frames, which the model and the picture share.
    assert clicker.click(9, 100) == Counts(transactions=1, opens=2, lookups=1)
    assert clicker.click(9, 110) == Counts(transactions=1, opens=0, lookups=1)
    assert clicker.click(12, 100) == Counts(transactions=1, opens=0, lookups=1)  # ahead in the open file
    assert clicker.click(1, 100) == Counts(transactions=1, opens=1, lookups=1)  # behind
    clicker.picture({"media": f"/media/{clicker.id}", "rev": ""}, 20)
    assert clicker.click(20, 100).opens == 0  # it was shown before


def test_a_stored_matte_is_opened_for_its_first_pictures_only(
    service: SessionService, clicker: Clicker, id: str
) -> None:
    clicker.click(3, 100)
    job = service.open(id).effective_job
    for _ in process(replace(job, output=service.open(id).folder / "result-1.mp4")):
        pass
    assert clicker.click(3, 110).opens == 1  # for whose matte it is
    assert clicker.click(3, 120) == Counts(transactions=1, opens=0, lookups=1)
    # The mark that the matte was made from: its picture is of the file, which is indexed and opened once.
    assert clicker.click(3, 100).opens <= 3
    assert service.frames.has_matte(service.open(id))
    assert clicker.click(3, 100) == Counts(transactions=1, opens=0, lookups=1)


# ---------------------------------------------------------------- pictures of what was just saved


def test_a_picture_of_another_revision_is_read_from_the_database(clicker: Clicker) -> None:
    value = clicker.edit(3, 100)
    clicker.forget()
    for rev in ("", "another"):
        assert clicker.picture(value | {"rev": rev}, 3).status_code == 200
    assert clicker.transactions.total() == 2


def test_a_saved_session_is_given_to_its_owner_only(clicker: Clicker, own: Database) -> None:
    with own.begin() as tx:
        tx.add(user := User(name="Ana", password=""))
    value = clicker.edit(3, 100)
    assert clicker.picture(value, 3, user.id).status_code == 404
    assert clicker.picture(value, 3).status_code == 200


@pytest.mark.parametrize("delete", ["delete", "delete_later"])
def test_a_saved_session_that_is_deleted_is_gone_at_once(
    service: SessionService, clicker: Clicker, delete: str
) -> None:
    value = clicker.edit(3, 100)
    assert clicker.picture(value, 3).status_code == 200
    getattr(service, delete)(clicker.id)
    assert clicker.picture(value, 3).status_code == 404


def test_a_saved_session_whose_account_is_removed_beside_the_server_is_gone_at_once(
    service: SessionService, own: Database, clip: Path, tmp_path: Path
) -> None:
    with own.begin() as tx:
        tx.add(user := User(name="Ana", password=""))
    hers = service.for_owner(user.id)
    saved = hers.choices.choose_model(line.session_maker(tmp_path, own, clip)(user.id), "recorte")
    revision = service.frames.revision(saved)
    assert hers.open_for_picture(saved.id, revision) is saved
    remove_user(own, tmp_path, "Ana")
    with pytest.raises(NotFound):
        hers.open_for_picture(saved.id, revision)


def test_a_saved_session_is_kept_for_some_seconds(
    service: SessionService, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = service.choices.choose_sound(id, "none")
    revision = service.frames.revision(saved)
    assert service.open_for_picture(id, revision) is saved
    monkeypatch.setattr(module, "SECONDS", -1)
    opened = service.open_for_picture(id, revision)
    assert opened is not saved and opened.job == saved.job


def test_few_saved_sessions_are_kept(service: SessionService, id: str) -> None:
    saved, kept = service.choices.choose_sound(id, "none"), module.SavedSessions()
    kept.add(saved)
    for _ in range(module.MAX_SESSIONS):
        row = SimpleNamespace(id=uuid4(), owner_id=None)
        kept.add(replace(saved, row=row))  # type: ignore[arg-type]
    assert kept.find(str(row.id), None) is not None and kept.find(id, None) is None
