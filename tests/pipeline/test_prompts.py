"""Marks: order, checks, JSON."""

import json
import math

import pytest

from pipeline import prompts
from pipeline.errors import PromptError
from pipeline.prompts import MOST_STROKES, MOST_VERTICES, Box, Object, Point, Prompt, Stroke


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


STROKE = Stroke(((1.0, 2.0), (9.5, 2.25)), 4.0)


def test_strokes_are_an_addition_to_the_json_of_a_prompt() -> None:
    erased = Stroke(((5.0, 5.0),), 1.5, keep=False)
    given = (
        Prompt(0.5, strokes=(STROKE, erased)),
        Prompt(1.0, (Point(3, 4),), candidate=1, strokes=(erased,)),
    )
    written = json.loads(json.dumps(prompts.to_json(given)))
    assert written[0] == {
        "time": 0.5,
        "strokes": [
            {"path": [[1.0, 2.0], [9.5, 2.25]], "width": 4.0, "keep": True},
            {"path": [[5.0, 5.0]], "width": 1.5, "keep": False},
        ],
    }
    assert prompts.from_json(written) == given
    # A prompt without strokes is written as it was before there were any.
    old = {
        "time": 0.25,
        "points": [{"x": 1.0, "y": 2.0, "keep": True}],
        "box": [0.0, 0.0, 5.0, 5.0],
        "object": 2,
    }
    assert prompts.to_json(prompts.from_json([old])) == [old]


def test_strokes_of_one_object_on_one_frame_are_merged_in_their_order() -> None:
    later = Stroke(((3.0, 3.0),), 2.0, keep=False)
    merged = prompts.normalise(
        [Prompt(1, strokes=(STROKE,)), Prompt(1, (Point(1, 1),)), Prompt(1, strokes=(later,))]
    )
    assert merged == (Prompt(1, (Point(1, 1),), strokes=(STROKE, later)),)


def test_a_stroke_to_keep_can_initialise_an_object_and_one_to_remove_cannot() -> None:
    erased = Prompt(0, strokes=(Stroke(((3.0, 3.0),), 2.0, keep=False),), object=2)
    painted = Prompt(0, strokes=(STROKE,))
    assert painted and painted.paints and not painted.initialises and not erased.paints
    assert list(prompts.group_by_object([painted, erased])) == [1]
    assert list(prompts.group_by_object([erased])) == [2]


def test_a_single_click_keeps_its_candidate_beside_strokes() -> None:
    chosen = Prompt(0, (Point(1, 1),), candidate=2)
    merged = chosen.merge(Prompt(0, strokes=(STROKE,)))
    merged.check(100, 50, 2.0)
    assert merged.candidate == 2 and merged.is_single_click


@pytest.mark.parametrize(
    ("stroke", "sentence"),
    [
        (Stroke((), 4.0), "has from 1 to 500 points"),
        (Stroke(((1.0, 1.0),) * (MOST_VERTICES + 1), 4.0), "has from 1 to 500 points"),
        (Stroke(((1.0, 1.0),), 0.0), "from 1 to 100 pixels wide"),
        (Stroke(((1.0, 1.0),), 101.0), "from 1 to 100 pixels wide"),
        (Stroke(((1.0, 1.0),), math.nan), "from 1 to 100 pixels wide"),
        (Stroke(((math.nan, 1.0),), 4.0), "at nan,1 lies outside"),
        (Stroke(((1.0, math.inf),), 4.0), "at 1,inf lies outside"),
        (Stroke(((500.0, 1.0),), 4.0), "at 500,1 lies outside"),
    ],
)
def test_a_wrong_stroke_is_refused_with_a_sentence(stroke: Stroke, sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        Prompt(0, strokes=(stroke,)).check(100, 50, 2.0)


def test_strokes_are_bounded_in_number_also_where_they_are_read() -> None:
    many = Prompt(0, strokes=(STROKE,) * (MOST_STROKES + 1))
    for refuse in (lambda: many.check(100, 50, 2.0), lambda: prompts.from_json([many.to_json()])):
        with pytest.raises(PromptError, match=f"more than {MOST_STROKES} brush strokes"):
            refuse()
    replaced = Prompt(0, strokes=(STROKE,) * MOST_STROKES)
    replaced.check(100, 50, 2.0)
    Prompt(0, strokes=(Stroke(((-3.0, 55.0),), 4.0),)).check(100, 50, 2.0)  # beside the frame


@pytest.mark.parametrize(
    "strokes",
    [
        5,
        [5],
        [{}],
        [{"path": [[1]], "width": 2}],
        [{"path": [[1, 2]]}],
        [{"path": 3, "width": 2}],
        [{"path": [["a", 2]], "width": 2}],
    ],
)
def test_json_that_is_no_stroke_is_refused(strokes: object) -> None:
    with pytest.raises(PromptError, match="Marks are read as"):
        prompts.from_json([{"time": 0, "strokes": strokes}])
