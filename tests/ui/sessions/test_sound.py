"""The sound of a session's video over HTTP: written once, in parts, and within the quota."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from db.engine import Database
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.ui import line
from ui.server import media
from ui.sessions.limits.upload_limits import UploadLimits
from ui.sessions.service import SessionService

Make = Callable[..., str]


@pytest.fixture
def make(own: Database, clip: Path, tmp_path: Path) -> Make:
    return line.session_maker(tmp_path, own, clip)


def service_of(home: Path, database: Database, **limits: Any) -> SessionService:
    return line.make_service(home, database, line.ManualRunner(None), limits=UploadLimits(**limits))


@pytest.fixture
def client(own: Database, tmp_path: Path) -> Iterator[TestClient]:
    server = FastAPI()
    server.include_router(media.router(service_of(tmp_path, own)))
    with TestClient(server) as client:
        yield client


def test_the_sound_is_served_in_parts(client: TestClient, make: Make, tmp_path: Path, clip: Path) -> None:
    address = f"/media/{(id := make())}/sound"
    whole = client.get(address)
    assert whole.status_code == 200 and whole.headers["content-type"] == "audio/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(address, headers={"Range": "bytes=100-299"})
    assert part.status_code == 206 and part.content == whole.content[100:300]
    file = tmp_path / "sessions" / id / "sound.m4a"
    assert file.read_bytes() == whole.content
    (stream,) = ffprobe.probe(file)["streams"]
    assert float(stream["duration"]) == pytest.approx(probe_clip(clip).duration, abs=0.03)


def test_the_sound_is_written_once(
    client: TestClient, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/media/{(id := make())}/sound"
    assert client.get(address).status_code == 200
    file = tmp_path / "sessions" / id / "sound.m4a"
    file.write_bytes(b"as it is")
    assert client.get(address).content == b"as it is"


def test_a_video_without_sound_is_answered_with_404_and_a_sentence(
    own: Database, small_clip: Path, client: TestClient, tmp_path: Path
) -> None:
    id = line.session_maker(tmp_path, own, small_clip)()
    answer = client.get(f"/media/{id}/sound", headers={"Accept-Language": "en"})
    assert answer.status_code == 404 and answer.json() == {"error": "This video has no sound."}
    spanish = client.get(f"/media/{id}/sound", headers={"Accept-Language": "es"})
    assert spanish.json() == {"error": "Este vídeo no tiene sonido."}


def test_the_sound_counts_towards_the_quota(own: Database, make: Make, tmp_path: Path) -> None:
    id = make()
    folder = tmp_path / "sessions" / id
    before = sum(path.stat().st_size for path in folder.iterdir())
    server = FastAPI()
    server.include_router(media.router(service_of(tmp_path, own, quota_bytes=before + 5000)))
    with TestClient(server) as client:
        answer = client.get(f"/media/{id}/sound")
        assert answer.status_code == 422 and "that you may keep here" in answer.json()["error"]
    assert not (folder / "sound.m4a").exists()
    roomy = service_of(tmp_path, own, quota_bytes=before + 200_000)
    size = roomy.sound(id).stat().st_size
    assert roomy.used_bytes() == before + size
