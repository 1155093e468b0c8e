"""Checks of what a job needs beside its model, before its run is queued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from db.engine import Database
from db.ledger import Ledger
from db.models import State
from pipeline.compositing.background import Picture
from pipeline.errors import BackgroundError, WeightsError
from tests.pipeline.enlarging import tiny
from tests.pipeline.hub import apart
from tests.ui import line
from ui.sessions.service import SessionService

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def queue(database: Database) -> Iterator[line.ManualRunner]:
    with closing(Ledger(database)) as ledger:
        yield line.ManualRunner(ledger)


@pytest.fixture
def service(
    tmp_path: Path, database: Database, queue: line.ManualRunner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SessionService]:
    apart(monkeypatch, tmp_path / "user")  # no weights
    made = line.make_service(tmp_path / "home", database, queue)
    yield made
    for session in made.list_sessions():
        made.delete(session.id)


@pytest.fixture
def id(tmp_path: Path, database: Database, service: SessionService, clip: Path) -> str:
    return line.session_maker(tmp_path / "home", database, clip)()


def lay(service: SessionService, id: str, size: tuple[int, int]) -> Path:
    """Lay a picture of a size behind the session's subject, to be enlarged."""
    path = service.open(id).folder / f"background-{size[0]}.png"
    Image.new("RGB", size, "navy").save(path)
    service.choices.set_file_background(id, Picture(path))
    assert service.choices.enlarge_background(id, True).job.background == Picture(path, enlarge=True)
    return path


def test_a_run_is_not_queued_without_the_weights_that_enlarge_its_background(
    service: SessionService,
    queue: line.ManualRunner,
    id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lay(service, id, (160, 90))  # behind 320 × 180
    with pytest.raises(WeightsError, match="download swin2sr-x2"):
        service.run(id)
    assert service.open(id).row.state is State.READY and not queue.submitted
    path = lay(service, id, (80, 45))
    with pytest.raises(WeightsError, match="download swin2sr-x4"):
        service.run(id)
    path.unlink()
    with pytest.raises(BackgroundError, match="no such background picture"):
        service.run(id)
    assert not queue.submitted
    lay(service, id, (320, 180))  # it covers the frame: nothing is needed
    service.run(id)
    assert queue.submitted == [id]
    service.cancel(id)
    lay(service, id, (160, 90))
    tiny.install(tmp_path / "weights", monkeypatch)
    service.run(id)
    assert queue.submitted == [id, id]


def test_only_a_picture_is_enlarged(service: SessionService, id: str) -> None:
    before = service.open(id).job.background
    assert service.choices.enlarge_background(id, True).job.background == before
