"""Pictures in JSON, answered with the steps of their cut-out."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from db import repository
from db.models import State
from pipeline.languages.messages import Message
from tests.ui.server.api.conftest import Api, check_problem
from tests.ui.server.api.test_cutouts import working
from ui.server.api import events
from ui.server.middleware import access
from ui.sessions.runs import Run, Runs

pytestmark = pytest.mark.usefixtures("at_once")

BOX = [{"box": [8, 8, 40, 40]}]
SIZE = 64, 48


def encode(data: bytes | None = None) -> str:
    """Return a picture with a square in Base64, or other data."""
    if data is None:
        pixels = np.full((48, 64, 3), (20, 40, 200), np.uint8)
        pixels[12:36, 12:36] = (230, 200, 20)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        data = out.getvalue()
    return base64.b64encode(data).decode()


def ask(team: Api, accept: str = "*/*", options: dict[str, Any] | None = None, **body: Any) -> Any:
    return team.program("Ana", accept=accept).post("/cutouts", params=options, json=body)


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)


def picture(step: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(step["image_b64"], validate=True)))


def test_a_picture_is_answered_with_mask_cutout_and_result(team: Api) -> None:
    result = io.BytesIO()
    Image.new("RGBA", SIZE).save(result, "PNG")

    with working(lambda: team.line.step(result.getvalue())):
        mask, cutout, last = lines(ask(team, image_b64=encode(), prompts=BOX, name="a.png"))
    assert [each["step"] for each in (mask, cutout, last)] == ["mask", "cutout", "result"]
    for step, mode in ((mask, "L"), (cutout, "RGBA"), (last, "RGBA")):
        shown = picture(step)
        assert (shown.format, shown.mode, shown.size) == ("PNG", mode, SIZE)
        assert (step["width"], step["height"], step["media_type"]) == (*SIZE, "image/png")
    matte = np.asarray(picture(mask))
    assert matte[24, 24] == 255 and matte[2, 60] == 0
    session = team.program("Ana").get(f"/sessions/{last['session']}").json()
    assert session["name"] == "a.png" and session["results"][0]["id"] == last["result"]
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_steps_are_events_where_those_are_preferred(team: Api) -> None:
    with working(lambda: fail(team)):
        answer = ask(team, "text/event-stream", image_b64=encode(), prompts=BOX)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
    assert [event[0] for event in events] == ["event: mask", "event: cutout", "event: problem"]
    assert all(json.loads(event[1].removeprefix("data: ")) for event in events)
    check_problem(ask(team, "image/png", image_b64=encode()), 406)


def fail(team: Api) -> None:
    for key in list(team.line.jobs):
        del team.line.jobs[key]
        with team.database.begin() as tx:
            repository.change_state(tx, id=key, state=State.FAILED, error=Message("runs.internal_error"))


def test_a_run_that_fails_is_the_last_step(team: Api) -> None:
    with working(lambda: fail(team)):
        *_, last = lines(ask(team, image_b64=encode(), prompts=BOX))
    assert (last["step"], last["status"]) == ("problem", 422)
    assert last["detail"] == str(Message("runs.internal_error")) and last["type"].endswith("#invalid")


def test_a_step_that_cannot_be_made_is_a_problem_and_leaves_nothing(
    team: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model without its weights, and a failure of the server itself."""
    (only,) = lines(ask(team, image_b64=encode(), model="sam-vit-b"))
    assert only["step"] == "problem" and only["status"] == 422 and only["code"]
    assert team.program("Ana").get("/sessions").json()["items"] == []
    assert not list((team.home / "sessions").iterdir())

    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(team.service.frames, "render_frame", break_down)
    (only,) = lines(ask(team, image_b64=encode(), prompts=BOX))
    assert only["status"] == 500 and "broken" not in json.dumps(only)
    assert not list((team.home / "sessions").iterdir())


def test_a_run_that_takes_long_says_that_it_waits(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.0)
    reads: list[Run] = []
    read = Runs.read

    def note(self: Runs, run: UUID | str) -> Run:
        reads.append(read(self, run))
        return reads[-1]

    monkeypatch.setattr(Runs, "read", note)
    with working(lambda: fail(team) if len(reads) > 3 else None):
        steps = lines(ask(team, image_b64=encode(), prompts=BOX))
    waiting = [step for step in steps if step["step"] == "waiting"]
    assert waiting and waiting[0]["run"] and waiting[0]["queue_position"] == 1
    assert steps[-1]["step"] == "problem"


def test_choices_are_taken_from_the_address_and_from_the_body(team: Api) -> None:
    options = {"background": "blur:9", "format": "png", "grow": 2, "prompts": json.dumps(BOX)}
    more = {"background": "#102030", "edges": {"feather": 1.5}}
    with working(lambda: fail(team)):
        steps = lines(ask(team, options=options, image_b64=f"data:image/png;base64,{encode()}", **more))
    session = team.program("Ana").get(f"/sessions/{steps[0]['session']}").json()
    assert (session["background"], session["format"]) == ("#102030", "png")
    assert (session["edges"]["grow"], session["edges"]["feather"]) == (2, 1.5)
    assert session["prompts"][0]["box"] == BOX[0]["box"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"image_b64": "%%%"}, "is not Base64"),
        ({"image_b64": "abc"}, "is not Base64"),
        ({"image_b64": "data:image/png;base64,é"}, "is not Base64"),
        ({"image_b64": ""}, "no picture"),
        ({"image_b64": encode(b"no picture" * 99)}, "no picture"),
        ({"image_b64": 7}, "body.image_b64"),
        ({"image_b64": encode(), "video_b64": ""}, "body.video_b64"),
        ({"image_b64": encode(), "format": "vhs"}, "vhs"),
        ({"image_b64": encode(), "prompts": [{"box": [0, 0, 999, 999]}]}, ""),
        ({"image_b64": encode(), "prompts": [{"colour": 1}]}, "body.prompts.0.colour"),
        ({"image_b64": encode(), "grow": 1}, "body.grow"),
    ],
)
def test_what_is_refused_leaves_nothing(team: Api, body: dict[str, Any], sentence: str) -> None:
    answer = ask(team, **body)
    told = check_problem(answer, 422, code=answer.json().get("code"))
    assert sentence in told["detail"]
    assert team.program("Ana").get("/sessions").json()["items"] == []
    assert not list((team.home / "sessions").glob("*")) and not team.line.submitted
    assert not [path for path in (team.home / "uploads").rglob("*") if path.is_file()]


def test_a_video_is_no_picture(team: Api) -> None:
    told = check_problem(ask(team, image_b64=encode(team.clip.read_bytes())), 422)
    assert "no picture" in told["detail"] and not list((team.home / "sessions").iterdir())


def test_pictures_are_bounded(team: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    team.uploads.max_bytes = 100
    check_problem(ask(team, image_b64=encode()), 413)
    monkeypatch.setattr(access, "MAX_HELD_BYTES", 1000)
    check_problem(ask(team, image_b64="A" * 1000), 413)
    monkeypatch.setattr(events, "MOST_STREAMS", 0)
    check_problem(ask(team, image_b64=encode(b"1")), 429)
