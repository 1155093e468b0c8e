"""Cut-outs at the API: a video and its options in one request."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from db import repository
from db.models import State
from pipeline.languages.messages import Message
from tests.ui.server.api.conftest import Api, check_problem
from ui.server.api import events
from ui.server.api.cutouts.routes import LONGEST_WAIT, _read_wait

pytestmark = pytest.mark.usefixtures("at_once")

BOX = json.dumps([{"box": [20, 15, 140, 80]}])


def ask(team: Api, headers: dict[str, str] | None = None, **options: Any) -> Any:
    with team.clip.open("rb") as file:
        return team.program("Ana").post(
            "/cutouts", params=options, headers=headers, files={"file": ("Beach.mp4", file)}
        )


@contextmanager
def working(work: Callable[[], object]) -> Iterator[None]:
    """Do this again and again in another thread."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.01):
            work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_video_with_options_is_run(team: Api) -> None:
    answer = ask(
        team,
        prompts=BOX,
        background="blur:9",
        format="webm",
        grow=2,
        start=0.125,
        classes=["dog", "cat"],
        crop="1:1",
        rate="25",
        light=json.dumps({"shadow": {"angle": 30}, "wrap": 0.25}),
    )
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}" and run["state"] == "queued"
    session = team.program("Ana").get(f"/sessions/{run['session']}").json()
    chosen = ("name", "background", "format", "start", "crop", "rate", "classes")
    assert [session[each] for each in chosen] == [
        "Beach.mp4", "blur:9", "webm", 0.125, "1:1", "25", ["dog", "cat"],
    ]  # fmt: skip
    assert session["edges"] == {"clean": True, "grow": 2, "feather": 0, "despill": "none"}
    assert (session["light"]["wrap"], session["light"]["shadow"]["angle"]) == (0.25, 30)
    assert session["prompts"][0]["box"] == [20, 15, 140, 80]
    assert team.line.submitted == [run["session"]]


def test_the_result_itself_is_sent_to_who_waits(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    with working(team.line.step):
        answer = ask(team, {"prefer": "respond-async, wait=60", "want-repr-digest": "sha-256=1"}, prompts=BOX)
    assert (answer.status_code, answer.content) == (200, b"result"), answer.text
    assert answer.headers["content-type"] == "video/mp4" and "repr-digest" in answer.headers
    assert answer.headers["content-disposition"] == 'attachment; filename="Beach-recorte.mp4"'
    assert answer.headers["preference-applied"] == "wait=60"
    result = answer.headers["content-location"].removeprefix("/api/v1")
    assert team.program("Ana").get(result).content == b"result"


def test_a_picture_comes_back_at_once(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "#804020").save(data, "PNG")

    def send(**headers: str) -> Any:
        return team.program("Ana", **headers).post(
            "/cutouts",
            params={"prompts": '[{"box": [8, 8, 40, 40]}]'},
            files={"f": ("a.png", data.getvalue())},
        )

    with working(team.line.step):
        answer = send()
        assert (answer.status_code, answer.content) == (200, b"result"), answer.text
        assert "preference-applied" not in answer.headers
    assert send(prefer="respond-async").status_code == 202
    clips = [team.program("Ana").get(f"/sessions/{id}").json()["clip"] for id in team.line.submitted]
    assert all(clip["picture"] and clip["frames"] == 1 for clip in clips)


def test_who_does_not_wait_long_enough_is_sent_the_run(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = ask(team, {"prefer": "wait=1"}, prompts=BOX)
    assert (waited.status_code, waited.json()["state"]) == (202, "queued")
    assert waited.headers["preference-applied"] == "wait=1"
    monkeypatch.setattr(events, "MOST_STREAMS", 0)  # too many wait already
    assert ask(team, {"prefer": "wait=600"}, prompts=BOX).status_code == 202


def test_a_run_without_a_result_is_a_problem(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    failed: set[str] = set()

    def fail() -> None:
        for key in {*team.line.jobs} - failed:
            failed.add(key)
            with team.database.begin() as tx:
                repository.change_state(tx, id=key, state=State.FAILED, error=Message("runs.internal_error"))

    with working(fail):
        answer = ask(team, {"prefer": "wait=60"}, prompts=BOX)
    told = check_problem(answer, 422)
    assert told["detail"] == str(Message("runs.internal_error"))
    assert answer.headers["location"].startswith("/api/v1/runs/")


@pytest.mark.parametrize(
    "options",
    [
        {"format": "vhs"},
        {"format": "mp4", "background": "transparent"},
        {"background": "/etc/passwd.png"},
        {"prompts": '[{"box": [0, 0, 1000, 1000]}]'},
        {"prompts": "[{}"},
        {"prompts": '[{"colour": 1}]'},
        {"grow": 99},
        {"weights": "/etc/passwd"},
        {"end": "nan"},
        {"light": '{"wrap": 2}'},
        {"light": "{"},
    ],
)
def test_what_is_refused_leaves_nothing(team: Api, options: dict[str, Any]) -> None:
    answer = ask(team, **options)
    check_problem(answer, 422, code=answer.json().get("code"))
    assert team.program("Ana").get("/sessions").json()["items"] == []
    assert not list((team.home / "sessions").iterdir()) and not team.line.submitted
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_a_finished_upload_is_cut_out(team: Api) -> None:
    id = "0123456789abcdef" * 2
    folder = team.home / "uploads" / str(team.users["Ana"]) / id
    folder.mkdir(parents=True)
    (folder / "Beach.mp4").write_bytes(team.clip.read_bytes())
    check_problem(team.program("Ben").post("/cutouts", json={"upload": id}), 404)
    assert team.program("Ana").post("/cutouts", json={"upload": id}).status_code == 202
    check_problem(team.program("Ana").post("/cutouts", json={"upload": id}), 404)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("respond-async", 0),
        ("wait=10", 10),
        ("Wait = 10", 10),
        ('respond-async;x, wait="7"', 7),
        ("wait=ten", 0),
        ("await=10", 0),
        ("wait=999999999", LONGEST_WAIT),
    ],
)
def test_a_preference_to_wait_is_read(prefer: str | None, seconds: float) -> None:
    assert _read_wait(prefer) == seconds
