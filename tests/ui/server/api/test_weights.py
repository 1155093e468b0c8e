"""Models at the API one by one, with a hub on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import hub as hubs
from tests.ui.server.api.conftest import Api, check_problem
from tests.waiting import until
from ui.sessions import downloads
from ui.sessions.service import SessionService

pytestmark = pytest.mark.usefixtures("at_once")

KEY = "sam-vit-b"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield hubs.apart(monkeypatch, tmp_path)


class Step:
    def __init__(self, done: int, total: int) -> None:
        self.done, self.total = done, total


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """In place of the network: a download that goes on by a tenth whenever the test lets it."""
    steps = threading.Semaphore(0)

    def download_files(needed: Any) -> Iterator[Step]:
        for part in range(11):
            yield Step(needed.bytes * part // 10, needed.bytes)
            steps.acquire()

    monkeypatch.setattr(downloads, "download_files", download_files)
    return steps


def test_a_model_says_what_is_missing(team: Api) -> None:
    client = team.program("Ana")
    model = client.get(f"/models/{KEY}").json()
    listed = {each["key"]: each for each in client.get("/models").json()["items"]}
    assert {name: value for name, value in model.items() if name != "weights"} == listed[KEY]
    weights = model["weights"]
    assert weights == client.get(f"/models/{KEY}/weights").json()
    assert weights["state"] == "missing" and not model["present"]
    assert sum(file["bytes"] for file in weights["missing"]) == weights["total"] == model["download_bytes"]
    assert client.get("/models/recorte").json()["weights"] == {
        "state": "present", "done": 0, "total": 0, "error": None, "missing": [],
    }  # fmt: skip
    assert client.get("/models/vitmatte/weights").json()["state"] == "missing"
    for ask, path in (
        (client.get, ""),
        (client.post, "/licence"),
        (client.post, "/weights"),
        (client.get, "/weights"),
        (client.delete, "/weights"),
    ):
        check_problem(ask(f"/models/nothing{path}"), 404, code="choices.no_such_model")


def test_weights_are_downloaded_followed_and_cancelled(team: Api, fetching: threading.Semaphore) -> None:
    client, other = team.program("Ana"), team.program("Ben")
    answer = client.post(f"/models/{KEY}/weights")
    assert answer.status_code == 202 and answer.json()["state"] == "downloading"
    assert answer.headers["location"] == f"/api/v1/models/{KEY}/weights"
    address = answer.headers["location"].removeprefix("/api/v1")
    for _ in range(3):
        fetching.release()
    until(lambda: client.get(address).json()["done"] > 0)
    assert other.post(address).json()["state"] == "downloading"  # the same one
    assert threading.active_count() and len([t for t in threading.enumerate() if t.name == "download"]) == 1
    until(lambda: client.get(address).json()["done"] >= client.get(address).json()["total"] * 3 // 10)
    assert client.delete(address).status_code == 204
    fetching.release()
    until(lambda: team.service.downloads.state(KEY) is None)
    assert client.get(address).json()["state"] == "missing"
    assert client.delete(address).status_code == 204  # without any nothing happens


def test_a_download_that_fails_says_why(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def download_files(needed: Any) -> Iterator[Step]:
        raise RuntimeError("not for users")
        yield

    monkeypatch.setattr(downloads, "download_files", download_files)
    client = team.program("Ana", accept_language="de")
    client.post(f"/models/{KEY}/weights")
    until(lambda: client.get(f"/models/{KEY}/weights").json()["state"] == "failed")
    told = client.get(f"/models/{KEY}/weights").json()["error"]
    assert told and "not for users" not in told


def test_a_licence_is_acknowledged_by_each_user_before_the_download(
    team: Api, fetching: threading.Semaphore
) -> None:
    client, other = team.program("Ana"), team.program("Ben")
    (bound, *_) = [
        m for m in client.get("/models").json()["items"] if m["restriction"] and m["download_bytes"]
    ]
    address = f"/models/{bound['key']}"
    assert not bound["acknowledged"]
    check_problem(client.post(f"{address}/weights"), 422, code="weights.licence")
    assert client.post(f"{address}/licence").status_code == 204
    assert client.get(address).json()["acknowledged"] and not other.get(address).json()["acknowledged"]
    check_problem(other.post(f"{address}/weights"), 422, code="weights.licence")
    check_problem(other.delete(f"{address}/weights"), 422, code="weights.licence")
    assert client.post(f"{address}/weights").json()["state"] == "downloading"
    client.delete(f"{address}/weights")
    fetching.release()
    until(lambda: team.service.downloads.state(bound["key"]) is None)


def test_a_matte_of_another_tool_is_taken(team: Api, tmp_path: Path) -> None:
    client = team.program("Ana")
    id = team.make(team.users["Ana"])
    address = f"/sessions/{id}/matte-in"

    def send(data: bytes, **options: Any) -> Any:
        return client.put(address, params=options, files={"f": ("matte.mp4", data)})

    answer = send(team.clip.read_bytes(), invert=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "matte-in"
    theirs: SessionService = team.service.for_owner(team.users["Ana"])
    borrowed = theirs.open(id).job.matte_in
    assert borrowed is not None and borrowed.invert and not borrowed.unpremultiply
    check_problem(send(b"no matte" * 99), 422, code=send(b"no matte" * 99).json()["code"])
    assert theirs.open(id).job.matte_in == borrowed
    with team.clip.open("rb") as file:
        stranger = team.program("Ben").put(address, files={"f": ("matte.mp4", file)})
    check_problem(stranger, 404, code="choices.no_such_session")
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]
