"""Previews of a session at the API."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from pipeline.errors import InputError
from tests.ui.server.api.conftest import Api, check_problem

pytestmark = pytest.mark.usefixtures("at_once")

BOX = {"prompts": [{"box": [20, 15, 140, 80]}]}


@pytest.fixture
def marked(team: Api) -> str:
    id = team.make(team.users["Ana"])
    team.program("Ana").put(f"/sessions/{id}/prompts", json=BOX)
    return id


def ask(team: Api, id: str, **body: Any) -> Any:
    return team.program("Ana").post(f"/sessions/{id}/previews", json=body or None)


def test_the_frames_of_the_page_are_previewed(team: Api, marked: str) -> None:
    answer = ask(team, marked)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    theirs = team.service.for_owner(team.users["Ana"])
    session = theirs.open(marked)
    assert [each["frame"] for each in items] == theirs.frames.preview_frames(session)
    assert theirs.frames.cached_previews(session) == theirs.frames.preview_frames(session)
    assert [each["time"] for each in items] == sorted(each["time"] for each in items)
    assert all(each["picture_b64"] is None for each in items)
    client = team.program("Ana")
    for each in items:
        for name in ("over", "original"):
            picture = client.get(each[name].removeprefix("/api/v1"))
            assert picture.status_code == 200 and picture.headers["content-type"] == "image/png"


def test_chosen_frames_and_times_are_previewed_with_their_pictures(team: Api, marked: str) -> None:
    times = team.service.frames.frame_times(team.service.for_owner(team.users["Ana"]).open(marked))
    chosen = {"frames": [11, 3, 3], "times": [times[5] + 0.001, times[3]]}
    items = ask(team, marked, pictures=True, **chosen).json()["items"]
    assert [each["frame"] for each in items] == [3, 5, 11]
    assert [each["time"] for each in items] == [times[3], times[5], times[11]]
    for each in items:
        picture = Image.open(io.BytesIO(base64.b64decode(each["picture_b64"])))
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (160, 90))
        assert each["media_type"] == "image/jpeg"
    team.program("Ana").patch(f"/sessions/{marked}", json={"background": "transparent"})
    (only,) = ask(team, marked, frames=[3], pictures=True).json()["items"]
    picture = Image.open(io.BytesIO(base64.b64decode(only["picture_b64"])))
    assert (picture.format, picture.mode, only["media_type"]) == ("PNG", "RGBA", "image/png")


def test_what_cannot_be_previewed_is_a_problem(
    team: Api, marked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_problem(
        team.program("Ben").post(f"/sessions/{marked}/previews"), 404, code="choices.no_such_session"
    )
    check_problem(ask(team, marked, frames=[12]), 404, code="video.no_such_frame")
    for refused in ({"times": [99]}, {"times": [-1]}, {"frames": [0] * 25}, {"views": []}):
        check_problem(ask(team, marked, **refused), 422)
    check_problem(ask(team, marked, times=[0, 99]), 422)
    theirs = team.service.for_owner(team.users["Ana"])
    theirs.choices.await_background(marked, "video")
    check_problem(ask(team, marked), 422, code="background.choose_video")
    theirs.choices.choose_background(marked, "blur")
    steps = theirs.frames.make_previews

    def change_marks(*arguments: Any) -> Any:
        for numbers in steps(*arguments):
            theirs.choices.save_marks(marked, [])
            yield numbers

    monkeypatch.setattr(theirs.frames, "make_previews", change_marks)
    check_problem(ask(team, marked), 409, code="marks.changed")

    def refuse(*arguments: Any) -> Any:
        raise InputError("choices.previews_busy")

    monkeypatch.setattr(theirs.frames, "make_previews", refuse)
    check_problem(ask(team, marked), 429, code="choices.previews_busy")
