"""Sessions made of files that programs send."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.server.api.conftest import Api, check_problem
from ui.sessions.limits.quota import Quota

pytestmark = pytest.mark.usefixtures("at_once")


def left(api: Api) -> list[Path]:
    """All that is left of uploads."""
    return [path for path in (api.home / "uploads").rglob("*") if path.is_file()]


def test_a_file_in_a_form_becomes_a_session(team: Api) -> None:
    client = team.program("Ana")
    with team.clip.open("rb") as file:
        answer = client.post("/sessions", files={"file": ("Beach.mp4", file)})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/sessions/{made['id']}"
    assert (made["name"], made["clip"]["frames"], made["state"]) == ("Beach.mp4", 12, "ready")
    assert client.get(f"/sessions/{made['id']}").json() == made
    source = team.home / "sessions" / made["id"] / "source.mp4"
    assert source.read_bytes() == team.clip.read_bytes() and not left(team)
    check_problem(team.program("Ben").get(f"/sessions/{made['id']}"), 404, code="choices.no_such_session")


def test_what_is_no_video_is_refused_and_deleted(team: Api) -> None:
    client = team.program("Ana")
    answer = client.post("/sessions", files={"file": ("a.mp4", b"no video at all")})
    assert check_problem(answer, 422, code=answer.json()["code"])["code"].startswith("video.")
    check_problem(client.post("/sessions", data={"file": "x"}), 415)
    check_problem(client.post("/sessions", files={"a": ("a.mp4", b"x"), "b": ("b.mp4", b"y")}), 400)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    check_problem(client.post("/sessions", content=b"--x\r\n", headers=headers), 400)
    check_problem(client.post("/sessions", content=b"x"), 415)
    assert not left(team) and client.get("/sessions").json()["items"] == []


def test_an_upload_beyond_the_limit_is_refused_while_it_comes(team: Api) -> None:
    team.uploads.max_bytes = 100_000
    answer = team.program("Ana").post("/sessions", files={"file": ("a.mp4", b"0" * 300_000)})
    check_problem(answer, 413)
    assert not left(team)


def test_an_upload_beyond_the_quota_is_refused(team: Api) -> None:
    team.uploads.quota = Quota(1000)
    answer = team.program("Ana").post("/sessions", files={"file": ("a.mp4", b"0" * 3000)})
    check_problem(answer, 507, code="limits.quota")
    assert not left(team)


def test_a_finished_upload_becomes_a_session_of_its_user(team: Api) -> None:
    ana, ben = team.program("Ana"), team.program("Ben")
    id = "0123456789abcdef" * 2
    folder = team.home / "uploads" / str(team.users["Ana"]) / id
    folder.mkdir(parents=True)
    (folder / "Beach.mp4").write_bytes(team.clip.read_bytes())
    for unknown in (id, "f" * 32, "../" + id, "", "é"):
        check_problem(ben.post("/sessions", json={"upload": unknown}), 404)
    (folder / "part").touch()
    check_problem(ana.post("/sessions", json={"upload": id}), 404)
    (folder / "part").unlink()
    answer = ana.post("/sessions", json={"upload": id})
    assert (answer.status_code, answer.json()["name"]) == (201, "Beach.mp4")
    assert not folder.exists()
    for malformed in ({}, {"upload": 1}, {"upload": id, "name": "x"}, []):
        check_problem(ana.post("/sessions", json=malformed), 422)
