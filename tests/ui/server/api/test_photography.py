"""Product photography at the API: steps, the result with the product's own pixels, and what is refused."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.errors import NotFound
from pipeline.compositing.background import Picture, format_spec
from pipeline.compositing.canvas import fit_to_canvas
from pipeline.generation import backgrounds, cards, loading
from pipeline.process import process
from tests.pipeline.enlarging import tiny as enlarging
from tests.pipeline.generation import tiny
from tests.pipeline.hub import apart
from tests.ui.server.api.conftest import Api, check_problem
from tests.ui.server.api.test_cutouts import working
from ui.server.api import events
from ui.server.middleware import access

pytestmark = [
    pytest.mark.usefixtures("at_once"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

ADDRESS = "/photography/background"
BOX = [{"box": [8, 8, 40, 40]}]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cards.Generator]:
    yield tiny.install(tmp_path / "weights", monkeypatch)
    loading.unload()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)


def square() -> np.ndarray:
    drawn = np.random.default_rng(1).integers(0, 30, (48, 64, 3), np.uint8)
    drawn[12:36, 12:36] += np.uint8((200, 170, 20))
    drawn[:, :, 2] += 20
    return drawn


def encode(data: bytes | None = None) -> str:
    """Return a picture with a square in Base64, or other data."""
    if data is None:
        out = io.BytesIO()
        Image.fromarray(square()).save(out, "PNG")
        data = out.getvalue()
    return base64.b64encode(data).decode()


def decode(step: dict[str, Any]) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(step["image_b64"], validate=True))) as picture:
        return np.asarray(picture)


def ask(team: Api, accept: str = "*/*", **body: Any) -> Any:
    sent = {"image_b64": encode(), "words": "a marble counter", "prompts": BOX} | body
    return team.program("Ana", accept=accept).post(ADDRESS, json=sent)


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def render(team: Api) -> None:
    """Do what a worker does with the first job in the line."""
    for job in list(team.line.jobs.values())[:1]:
        for _ in process(job):
            pass
        team.line.step(job.output.read_bytes())


def test_the_result_has_the_products_own_pixels_before_another_background(
    team: Api, card: cards.Generator
) -> None:
    with working(lambda: render(team)):
        steps = lines(ask(team, seed=5, name="mug.png"))
    names = [step["step"] for step in steps if step["step"] != "waiting"]
    assert names == ["mask", "cutout", "product", *["drawing"] * 4, "result"]
    told = next(step for step in steps if step["step"] == "product")
    assert told["white"] is False and 0.3 < told["x"] < 0.4 and told["side"] == "none"
    assert told["prompt"].startswith("a marble counter. Photograph of one product")
    assert [(step["done"], step["total"]) for step in steps if step["step"] == "drawing"] == [
        (done, 3) for done in range(4)
    ]
    mask, result = decode(steps[0]), decode(steps[-1])
    assert (steps[-1]["media_type"], result.shape) == ("image/png", (48, 64, 3))
    inside, outside = mask == 255, mask == 0
    assert inside.sum() > 400 and outside.sum() > 400
    assert np.array_equal(result[inside], square()[inside])
    assert np.abs(result[outside].astype(int) - square()[outside]).mean() > 20
    id = steps[-1]["session"]
    assert team.program("Ana").get(f"/sessions/{id}").json()["name"] == "mug.png"
    behind = team.service.for_owner(team.users["Ana"]).open(id).job.background
    assert isinstance(behind, Picture) and behind.path.parent.name == id
    assert format_spec(behind, behind.path.parent).endswith("?stretch")
    with Image.open(behind.path) as picture:
        behind_it = fit_to_canvas(np.asarray(picture), 64, 48, "stretch")
    assert np.array_equal(behind_it[outside], result[outside])


def test_a_background_that_is_too_small_is_enlarged(
    team: Api, card: cards.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(monkeypatch, tmp_path / "user")
    enlarging.install(tmp_path / "weights", monkeypatch)
    large = io.BytesIO()
    Image.fromarray(square()).resize((192, 144)).save(large, "PNG")
    box = [{"box": [24, 24, 120, 120]}]
    with working(lambda: render(team)):
        *_, result = lines(
            ask(team, image_b64=encode(large.getvalue()), prompts=box, enlarge=True, upscale=2)
        )
    assert result["step"] == "result" and decode(result).shape == (288, 384, 3)
    behind = team.service.for_owner(team.users["Ana"]).open(result["session"]).job.background
    assert isinstance(behind, Picture) and behind.enlarge
    (made,) = backgrounds.cache_folder().glob("*.png")
    with Image.open(behind.path) as small, Image.open(made) as picture:
        assert small.size == (80, 48) and picture.size == (320, 192)


def test_steps_are_events_where_those_are_preferred(team: Api, card: cards.Generator) -> None:
    with working(lambda: render(team)):
        answer = ask(team, "text/event-stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event.split("\n")[0] for event in answer.text.strip().split("\n\n")][2:4] == [
        "event: product",
        "event: drawing",
    ]
    check_problem(ask(team, "image/png"), 406)


def left(team: Api) -> list[Path]:
    kept = [*(team.home / "sessions").glob("*"), *(team.home / "uploads").rglob("*")]
    return [path for path in kept if path.is_file() or path.parent.name == "sessions"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"image_b64": "%%%"}, "is not Base64"),
        ({"image_b64": ""}, "no picture"),
        ({"image_b64": encode(b"no picture" * 99)}, "no picture"),
        ({"words": ""}, "body.words"),
        ({"words": "  "}, "Say in words"),
        ({"words": "a" * 1001}, "body.words"),
        ({"seed": -1}, "body.seed"),
        ({"generator": "nothing"}, "nothing"),
        ({"background": "white"}, "body.background"),
        ({"crop": "1:1"}, "body.crop"),
        ({"format": "vhs"}, "vhs"),
    ],
)
def test_what_is_refused_leaves_nothing(
    team: Api, card: cards.Generator, body: dict[str, Any], sentence: str
) -> None:
    answer = ask(team, **body)
    told = check_problem(answer, 422, code=answer.json().get("code"))
    assert sentence in told["detail"]
    assert not left(team) and not team.line.submitted


def test_videos_forms_and_what_is_too_large_are_refused(
    team: Api, card: cards.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = check_problem(ask(team, image_b64=encode(team.clip.read_bytes())), 422)
    assert "no picture" in told["detail"]
    ana = team.program("Ana")
    check_problem(ana.post(ADDRESS, files={"file": b"1"}), 415)
    check_problem(ana.post(ADDRESS, content=b"{", headers={"content-type": "application/json"}), 400)
    team.uploads.max_bytes = 100
    check_problem(ask(team), 413)
    monkeypatch.setattr(events, "MOST_STREAMS", 0)
    check_problem(ask(team), 429)
    monkeypatch.setattr(access, "MAX_HELD_BYTES", 1000)
    check_problem(ask(team, image_b64="A" * 1000), 413)
    check_problem(team.client().post(ADDRESS, json={}), 401)
    assert not left(team)


def test_missing_weights_are_said_before_the_picture_is_looked_at(
    team: Api, card: cards.Generator, tmp_path: Path
) -> None:
    next((tmp_path / "weights").rglob("model.safetensors")).unlink()
    check_problem(ask(team), 422, code="weights.missing")
    assert not left(team)


def test_a_picture_with_nothing_in_it_is_a_problem_and_leaves_nothing(
    team: Api, card: cards.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = [{"number": 1, "on": False}]
    *_, last = lines(ask(team, objects=off))
    assert (last["step"], last["status"]) == ("problem", 422)
    assert not left(team) and not team.line.submitted


def test_only_the_owner_and_only_whole_pictures_are_filled(team: Api, card: cards.Generator) -> None:
    id = team.make(team.users["Ana"])  # of a video
    with pytest.raises(NotFound):
        next(team.service.for_owner(team.users["Ben"]).word_backgrounds.fill(id, "a loft"))
    with pytest.raises(Exception, match="single picture"):
        next(team.service.for_owner(team.users["Ana"]).word_backgrounds.fill(id, "a loft"))
