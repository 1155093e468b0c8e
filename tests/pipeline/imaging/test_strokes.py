"""Brush strokes on a frame's pixels: coverage, order, points along them, and simplification."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.imaging import strokes
from pipeline.prompts import Point, Prompt, Stroke

HEIGHT, WIDTH = 60, 90


def grey(value: int = 128) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), value, np.uint8)


def distance(*path: tuple[float, float]) -> np.ndarray:
    """The distance of each pixel's centre to a polyline, by many places along it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    vertices = np.array(path)
    along = [a + t * (b - a) for a, b in pairwise(vertices) for t in np.linspace(0, 1, 400)]
    return np.min([np.hypot(x - px, y - py) for px, py in along or vertices], axis=0)


@pytest.mark.parametrize("keep", [True, False])
def test_a_stroke_is_opaque_inside_soft_at_its_edge_and_nothing_outside(keep: bool) -> None:
    path = ((10.5, 12.25), (50.0, 30.0), (48.0, 55.5))
    painted, away = strokes.paint(grey(), [Stroke(path, 9.0, keep)]), distance(*path)
    assert (painted[away < 4.0] == 255 * keep).all()
    assert (painted[away > 5.0] == 128).all()
    expected = np.clip(4.5 + 0.5 - away, 0, 1)
    coverage = strokes.paint(grey(0), [Stroke(path, 9.0)]) / 255
    assert np.abs(coverage - expected).max() < 0.02
    assert len(np.unique(coverage)) > 20


def test_a_dot_is_a_disc() -> None:
    painted = strokes.paint(grey(0), [Stroke(((40.0, 20.0),), 12.0)])
    assert abs(float(painted.sum()) / 255 - np.pi * 36) < 2


def test_strokes_reach_over_the_border_of_the_frame() -> None:
    painted = strokes.paint(grey(0), [Stroke(((-20.0, 30.0), (WIDTH + 20.0, 30.0)), 6.0)])
    assert (painted[28:32] == 255).all() and not painted[:26].any()
    assert not strokes.paint(grey(0), [Stroke(((-50.0, -50.0), (-40.0, -50.0)), 6.0)]).any()


def test_of_two_strokes_the_later_one_counts_and_painting_again_changes_nothing() -> None:
    across, down = ((0.0, 30.0), (90.0, 30.0)), ((45.0, 0.0), (45.0, 60.0))
    kept, removed = Stroke(across, 10.0), Stroke(down, 10.0, keep=False)
    for pair, middle in (((kept, removed), 0), ((removed, kept), 255)):
        painted = strokes.paint(grey(), pair)
        assert painted[30, 45] == middle and painted[30, 5] == 255 and painted[5, 45] == 0
        assert np.array_equal(strokes.paint(painted, pair), painted)
    assert strokes.paint(grey(), []) is not None and (strokes.paint(grey(), []) == 128).all()


def test_points_lie_on_what_their_stroke_has_painted() -> None:
    kept, removed = Stroke(((5.0, 30.0), (85.0, 30.0)), 6.0), Stroke(((45.0, 30.0),), 20.0, keep=False)
    points = strokes.sample_points((kept, removed), HEIGHT, WIDTH)
    painted = strokes.paint(grey(), (kept, removed))
    assert {point.keep for point in points} == {True, False}
    assert all(painted[int(p.y), int(p.x)] == 255 * p.keep for p in points)
    assert len(strokes.sample_points((kept,), HEIGHT, WIDTH)) == 5
    assert strokes.sample_points((Stroke(((45.0, 30.0),), 4.0),), HEIGHT, WIDTH) == (Point(45.0, 30.0),)
    assert strokes.sample_points((Stroke(((-45.0, 30.0),), 4.0),), HEIGHT, WIDTH) == ()


def test_points_along_strokes_are_added_once() -> None:
    prompt = Prompt(0, (Point(1, 2),), strokes=(Stroke(((45.0, 30.0),), 4.0),))
    told = strokes.with_points(prompt, HEIGHT, WIDTH)
    assert told.points == (Point(1, 2), Point(45.0, 30.0)) and told.strokes == prompt.strokes
    assert strokes.with_points(told, HEIGHT, WIDTH) == told


def test_a_simplified_stroke_paints_the_same() -> None:
    t = np.linspace(0, 3, 300)
    drawn = Stroke(tuple(zip((10 + 20 * t).tolist(), (30 + 15 * np.sin(2 * t)).tolist(), strict=True)), 8.0)
    short = strokes.simplify(drawn)
    assert 2 < len(short.path) < 30 and short.path[0] == (10.0, 30.0)
    one, other = (strokes.paint(grey(0), [stroke]).astype(int) for stroke in (drawn, short))
    assert np.abs(one - other).max() <= 130  # half a pixel at the edge
    assert ((one > 127) != (other > 127)).mean() < 0.01
    dot = Stroke(((1.0, 1.0),), 3.0)
    assert strokes.simplify(dot) == dot
