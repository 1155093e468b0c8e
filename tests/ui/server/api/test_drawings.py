"""Pictures made of words at the API: steps, pictures, the choice of one, and what is refused."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.compositing.background import Picture
from pipeline.generation import cards, loading
from tests.pipeline.generation import tiny
from tests.ui.server.api.conftest import Api, check_problem

pytestmark = [
    pytest.mark.usefixtures("at_once"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cards.Generator]:
    yield tiny.install(tmp_path / "weights", monkeypatch)
    loading.unload()


def ask(team: Api, id: str, **body: Any) -> Any:
    return team.program("Ana").post(f"/sessions/{id}/background/words", json=body)


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_pictures_are_drawn_step_by_step_and_one_is_chosen(team: Api, card: cards.Generator) -> None:
    id = team.make(team.users["Ana"])
    steps = lines(ask(team, id, words="a  sunlit loft", seed=7, count=2))
    drawing = [step for step in steps if step["step"] == "drawing"]
    assert [step["drawn"] for step in drawing] == sorted(step["drawn"] for step in drawing)
    assert drawing[-1]["drawn"] == drawing[-1]["pictures"] == 2
    assert [step["done"] for step in drawing[:4]] == [0, 1, 2, 3]
    *_, one, other = steps
    assert [one["background"], other["background"]] == [
        "words:a sunlit loft?seed=7",
        "words:a sunlit loft?seed=8",
    ]
    data = base64.b64decode(one["image_b64"])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (one["width"], one["height"])
    assert one["image_b64"] != other["image_b64"]
    ana = team.program("Ana")
    assert ana.patch(f"/sessions/{id}", json={"background": other["background"]}).status_code == 200
    behind = team.service.for_owner(team.users["Ana"]).open(id).job.background
    assert isinstance(behind, Picture)
    assert behind.path.read_bytes() == base64.b64decode(other["image_b64"])
    larger = ana.patch(f"/sessions/{id}", json={"background": f"{other['background']},enlarge"})
    assert larger.json()["background"].endswith("?fill,enlarge")
    # The same words go on behind the seeds that are there; they are drawn in place of the others.
    more = lines(ask(team, id, words="a sunlit loft", count=1))
    assert more[-1]["seed"] == 9
    gone = ana.patch(f"/sessions/{id}", json={"background": one["background"]})
    check_problem(gone, 422, code="background.words_not_made")
    assert behind.path.exists()


def test_what_cannot_be_drawn_is_refused_before_the_first_step(
    team: Api, card: cards.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = team.make(team.users["Ana"])
    for body in (
        {},
        {"words": ""},
        {"words": "a" * 1001},
        {"words": "a", "count": 5},
        {"words": "a", "no": 1},
    ):
        check_problem(ask(team, id, **body), 422)
    check_problem(ask(team, id, words="  "), 422, code="background.no_words")
    check_problem(
        ask(team, team.make(team.users["Ben"]), words="a loft"), 404, code="choices.no_such_session"
    )
    next((tmp_path / "weights").rglob("model.safetensors")).unlink()
    missing = check_problem(ask(team, id, words="a loft"), 422, code="weights.missing")
    assert "Tiny" in missing["detail"]
    monkeypatch.setattr(cards, "_EXTRA", ("no_such_package",))
    lacking = check_problem(ask(team, id, words="a loft"), 422, code="background.words_packages")
    assert "requirements-generate.txt" in lacking["detail"]


def test_a_drawing_that_is_cancelled_leaves_what_was_proposed(team: Api, card: cards.Generator) -> None:
    id = team.make(team.users["Ana"])
    lines(ask(team, id, words="a loft", count=1))
    mine = team.service.for_owner(team.users["Ana"]).word_backgrounds
    steps = mine.propose(id, "a garden")
    next(steps), next(steps)
    mine.cancel(id)
    assert [step for step in steps if step.drawn > 1] == []
    assert mine.picture(id, 0).is_file()
    # So does one whose reader has gone.
    steps = mine.propose(id, "a garden")
    next(steps), next(steps)
    steps.close()
    assert mine.picture(id, 0).is_file()
