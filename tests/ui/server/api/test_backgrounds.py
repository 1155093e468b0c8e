"""Pictures and videos behind the subject, sent to the API."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.ui.server.api.conftest import Api, check_problem

pytestmark = pytest.mark.usefixtures("at_once")

NOTHING = "00000000-0000-4000-8000-000000000000"


def png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (32, 18), "#2040c0").save(data, "PNG")
    return data.getvalue()


def send(client: Any, id: str, name: str, data: bytes, **options: str) -> Any:
    return client.put(f"/sessions/{id}/background", params=options, files={"file": (name, data)})


def test_a_picture_is_put_behind_the_subject(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    told = send(client, id, "sea.png", png(), kind="picture", fit="stretch")
    assert told.status_code == 200, told.text
    name, _, fit = told.json()["background"].partition("?")
    assert fit == "stretch" and (team.home / "sessions" / id / name).is_file()
    client.put(f"/sessions/{id}/prompts", json={"prompts": [{"box": [20, 15, 140, 80]}]})
    answer = client.get(f"/sessions/{id}/frames/0", params={"view": "over"}, headers={"accept": "image/png"})
    assert Image.open(io.BytesIO(answer.content)).getpixel((1, 1)) == (0x20, 0x40, 0xC0)
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_a_video_is_put_behind_the_subject(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    told = send(client, id, "sea.mp4", team.clip.read_bytes(), kind="video", hold="true")
    assert told.json()["background"].endswith("?fill,hold"), told.text
    laid = client.patch(
        f"/sessions/{id}", json={"background": told.json()["background"].split("?")[0] + "?fit"}
    )
    assert laid.json()["background"].endswith("?fit"), laid.text


def test_what_is_neither_is_refused(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    before = client.get(f"/sessions/{id}").json()
    for kind in ("picture", "video"):
        answer = send(client, id, "a.png", b"nothing of the kind", kind=kind)
        check_problem(answer, 422, code=answer.json()["code"])
    check_problem(send(client, id, "a.png", png()), 422)
    check_problem(send(client, id, "a.png", png(), kind="picture", fit="tile"), 422)
    check_problem(client.put(f"/sessions/{id}/background?kind=picture", content=b"x"), 415)
    assert client.get(f"/sessions/{id}").json() == before
    for other in (id, NOTHING):
        answer = send(team.program("Ben"), other, "a.png", png(), kind="picture")
        check_problem(answer, 404, code="choices.no_such_session")
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]
