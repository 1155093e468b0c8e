"""Marks: order, checks, JSON."""

import json
import math

import pytest

from pipeline import prompts
from pipeline.errors import PromptError
from pipeline.prompts import Box, Object, Point, Prompt


def test_json_round_trip() -> None:
    given = (
        Prompt(0.0, (Point(1, 2), Point(3.5, 4.25, keep=False)), Box(0, 1, 10.5, 20)),
        Prompt(1 / 3, (Point(0.1, 0.2),)),
        Prompt(2.5, box=Box(1, 2, 3, 4)),
        Prompt(2.5, (Point(5, 6),), object=2, candidate=0),
    )
    assert prompts.from_json(json.loads(json.dumps(prompts.to_json(given)))) == given


def test_normalise_sorts_merges_and_drops_empty_prompts() -> None:
    a, b, c = Point(1, 1), Point(2, 2, keep=False), Point(3, 3)
    first, second = Box(0, 0, 5, 5), Box(1, 1, 6, 6)
    given = [Prompt(2, (a,)), Prompt(1), Prompt(0, (b,), first), Prompt(0, (c,), second)]
    assert prompts.normalise(given) == (Prompt(0, (b, c), second), Prompt(2, (a,)))


def test_prompts_of_two_objects_on_one_frame_are_not_merged() -> None:
    a, b, c = Point(1, 1), Point(2, 2), Point(3, 3)
    given = [Prompt(0, (b,), object=2), Prompt(0, (a,)), Prompt(0, (c,), object=2)]
    assert prompts.normalise(given) == (Prompt(0, (a,)), Prompt(0, (b, c), object=2))
    assert prompts.group_by_object([*given, Prompt(1, (c,))]) == {
        1: (Prompt(0, (a,)), Prompt(1, (c,))),
        2: (Prompt(0, (b,), object=2), Prompt(0, (c,), object=2)),
    }


def test_only_a_single_click_has_a_candidate() -> None:
    lone = Prompt(0, (Point(1, 1),), candidate=2)
    lone.check(100, 50, 2.0)
    assert lone.merge(Prompt(0)).candidate == 2
    assert lone.merge(Prompt(0, (Point(2, 2),))).candidate is None
    assert lone.merge(Prompt(0, box=Box(0, 0, 9, 9))).candidate is None


def test_objects_json_round_trip() -> None:
    thing = Object(3, "Ball", on=False)
    assert Object.from_json(json.loads(json.dumps(thing.to_json()))) == thing
    assert Object.from_json({"number": 2}) == Object(2)
    assert len(Object.from_json({"number": 1, "name": "x" * 999}).name) < 100
    for wrong in (None, {}, {"number": "one"}, {"number": 1.5}, {"number": math.inf}, {"number": 0}, [1]):
        with pytest.raises(PromptError):
            Object.from_json(wrong)


def test_corners_of_a_box_come_in_any_order() -> None:
    assert Box.between(9, 8, 1, 2) == Box(1, 2, 9, 8)
    assert prompts.from_json([{"box": [9, 8, 1, 2]}]) == (Prompt(box=Box(1, 2, 9, 8)),)


@pytest.mark.parametrize(
    "data",
    [
        {},
        "text",
        [7],
        [{"points": [{"x": 1}]}],
        [{"points": [[1, 2]]}],
        [{"points": 3}],
        [{"box": [1, 2, 3]}],
        [{"box": ["a", 2, 3, 4]}],
        [{"time": "soon", "points": [{"x": 1, "y": 2}]}],
        [{"object": 1.7, "points": [{"x": 1, "y": 2}]}],
        [{"object": math.inf, "points": [{"x": 1, "y": 2}]}],
        [{"candidate": "best", "points": [{"x": 1, "y": 2}]}],
        [{"object": n, "points": [{"x": 1, "y": 2}]} for n in range(1, 101)],
        [{"time": None, "points": [{"x": 1, "y": 2}]}],
    ],
)
def test_invalid_prompt_lists_are_refused(data: object) -> None:
    with pytest.raises(PromptError):
        prompts.from_json(data)


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        (Prompt(0, (Point(101, 10),)), "outside the picture"),
        (Prompt(0, (Point(-1, 10),)), "outside the picture"),
        (Prompt(0, (Point(10, 50.5),)), "outside the picture"),
        (Prompt(0, (Point(math.nan, 10),)), "outside the picture"),
        (Prompt(0, box=Box(10, 10, 120, 20)), "outside the picture"),
        (Prompt(0, box=Box(10, 10, 10.5, 20)), "less than one pixel"),
        (Prompt(0, box=Box(math.nan, 10, 20, 20)), "outside the picture"),
        (Prompt(2.1, (Point(1, 1),)), "2.00 s long"),
        (Prompt(-0.1, (Point(1, 1),)), "2.00 s long"),
        (Prompt(math.nan, (Point(1, 1),)), "2.00 s long"),
        (Prompt(0, (Point(1, 1),), object=0), "numbered from 1"),
        (Prompt(0, (Point(1, 1),), candidate=3), "single click"),
        (Prompt(0, (Point(1, 1),), candidate=-1), "single click"),
        (Prompt(0, (Point(1, 1), Point(2, 2)), candidate=0), "single click"),
        (Prompt(0, (Point(1, 1, keep=False),), candidate=0), "single click"),
        (Prompt(0, (Point(1, 1),), Box(0, 0, 9, 9), candidate=0), "single click"),
    ],
)
def test_prompts_outside_the_clip_are_refused(prompt: Prompt, word: str) -> None:
    with pytest.raises(PromptError, match=word):
        prompt.check(100, 50, 2.0)


def test_prompts_on_the_border_are_accepted() -> None:
    Prompt(2.0, (Point(0, 0), Point(100, 50)), Box(0, 0, 100, 50)).check(100, 50, 2.0)
