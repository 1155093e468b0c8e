"""Choices and marks of a session at the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.server.api.conftest import Api, check_problem
from ui.sessions.library import stock_backgrounds

pytestmark = pytest.mark.usefixtures("at_once")

USUAL = {"keep": 0.0, "match": 0.0, "match_to": "background"}

CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"model": "recorte"}, {}),
    ({"background": "blur:12"}, {}),
    ({"background": "transparent"}, {"background": "transparent", "format": "webm"}),
    ({"format": "prores"}, {}),
    ({"format": "webm", "background": "transparent"}, {}),
    ({"start": 0.1, "end": 0.3}, {}),
    ({"start": 0.11, "end": None}, {"start": pytest.approx(0.125), "end": None}),
    ({"quality": "small"}, {}),
    ({"sound": "none"}, {}),
    ({"edges": {"grow": 2.5}}, {"edges": {"clean": True, "grow": 2.5, "feather": 0.0, "despill": "none"}}),
    (
        {"light": {"shadow": {"angle": 120}}},
        {
            "light": {
                "shadow": {"angle": 120, "length": 0.5, "softness": 0.4, "strength": 0.5},
                "wrap": 0,
                **USUAL,
            }
        },
    ),
    ({"light": {"wrap": 0.25}}, {"light": {"shadow": None, "wrap": 0.25, **USUAL}}),
    ({"rate": "30000/1001"}, {}),
    ({"rate": None}, {}),
    ({"hardware": True}, {}),
    ({"crop": "9:16"}, {}),
    ({"hair": True}, {}),
    ({"upscale": 4}, {}),
    ({"model": "classes", "classes": ["dog", "cat"]}, {}),
    ({"name": "Sea", "starred": True, "quality": "best"}, {}),
]


@pytest.mark.parametrize(("sent", "told"), CHANGES)
def test_choices_are_changed(team: Api, sent: dict[str, Any], told: dict[str, Any]) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    before = client.get(f"/sessions/{id}").json()
    answer = client.patch(f"/sessions/{id}", json=sent)
    assert answer.status_code == 200, answer.text
    expected = told or {
        key: pytest.approx(value, abs=0.05) if key in ("start", "end") and value is not None else value
        for key, value in sent.items()
    }
    changed = answer.json()
    assert {key: changed[key] for key in expected} == expected
    assert client.get(f"/sessions/{id}").json() == changed
    untouched = before.keys() - sent.keys() - expected.keys() - {"changed_at", "format"}
    assert {key: changed[key] for key in untouched} == {key: before[key] for key in untouched}


REFUSED: list[dict[str, Any]] = [
    {"model": "nobody's"},
    {"model": None},
    {"upscale": 3},
    {"upscale": 8},
    {"background": "no colour"},
    {"background": "/etc/passwd.png"},
    {"background": "../other/background-1.png"},
    {"background": "transparent", "format": "mp4"},
    {"format": "vhs"},
    {"start": -1e10},
    {"start": 0.4, "end": 0.1},
    {"quality": "perfect"},
    {"sound": "behind"},
    {"edges": {"grow": 51}},
    {"edges": {"sharpness": 1}},
    {"light": {"shadow": {"strength": 2}}},
    {"light": {"glow": 1}},
    {"rate": "1/0"},
    {"rate": "241"},
    {"crop": "7:3"},
    {"model": "classes", "classes": ["unicorn"]},
    {"weights": "/etc/passwd"},
    {"source": "other.mp4"},
]


@pytest.mark.parametrize("sent", REFUSED)
def test_a_refused_choice_changes_nothing(team: Api, sent: dict[str, Any]) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    before = client.get(f"/sessions/{id}").json()
    answer = client.patch(f"/sessions/{id}", json={"name": "Sea", "starred": True, "hair": True} | sent)
    assert check_problem(answer, 422, code=answer.json().get("code"))["detail"]
    assert client.get(f"/sessions/{id}").json() == before


def test_an_opaque_background_brings_the_format_back(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    assert client.patch(f"/sessions/{id}", json={"background": "transparent"}).json()["format"] == "webm"
    assert client.patch(f"/sessions/{id}", json={"background": "blur"}).json()["format"] == "mp4"


def test_an_uploaded_background_can_be_laid_otherwise(team: Api) -> None:
    ana = team.users["Ana"]
    id = team.make(ana)
    team.service.for_owner(ana).choices.choose_stock_background(id, stock_backgrounds.NAMES[0])
    client = team.program("Ana")
    told = client.get(f"/sessions/{id}").json()["background"]
    name, _, fit = told.partition("?")
    assert fit == "fill"
    answer = client.patch(f"/sessions/{id}", json={"background": f"{name}?stretch"})
    assert answer.json()["background"] == f"{name}?stretch"


def test_marks_are_replaced(team: Api) -> None:
    id = team.make(team.users["Ana"])
    client = team.program("Ana")
    marks = {
        "prompts": [
            {"time": 0.25, "points": [{"x": 40, "y": 45}, {"x": 5, "y": 5, "keep": False}], "object": 2},
            {"box": [100, 70, 20, 20]},
            {"time": 0.1, "strokes": [{"path": [[1, 2], [30, 40]], "width": 8, "keep": False}]},
        ],
        "objects": [{"number": 2, "name": "Ball", "on": False}],
    }
    told = client.put(f"/sessions/{id}/prompts", json=marks).json()
    assert [each["time"] for each in told["prompts"]] == [0, 0.1, 0.25]
    assert told["prompts"][0]["box"] == [20, 20, 100, 70] and told["prompts"][2]["object"] == 2
    assert told["prompts"][2]["points"][1] == {"x": 5, "y": 5, "keep": False, "whole": False}
    assert told["objects"] == [{"number": 2, "name": "Ball", "on": False}]
    again = client.put(f"/sessions/{id}/prompts", json={key: told[key] for key in marks})
    assert again.json()["prompts"] == told["prompts"]
    for refused in (
        {"prompts": [{"points": [{"x": 1000, "y": 5}]}]},
        {"prompts": [{"time": 9, "points": [{"x": 1, "y": 5}]}]},
        {"prompts": [{"points": [{"x": 1, "y": 5}], "color": 1}]},
        {"prompts": "all"},
        {},
    ):
        answer = client.put(f"/sessions/{id}/prompts", json=refused)
        check_problem(answer, 422, code=answer.json().get("code"))
    assert client.get(f"/sessions/{id}").json()["prompts"] == told["prompts"]
    assert client.put(f"/sessions/{id}/prompts", json={"prompts": []}).json()["prompts"] == []
