"""Marks drawn as planes beside a picture."""

import numpy as np
import pytest

from pipeline.models import prompt_maps
from pipeline.models.prompt_maps import KEPT, REMOVED, SO_FAR
from pipeline.prompts import Box, Point, Stroke


def test_maps_without_prompts_are_empty() -> None:
    maps = prompt_maps.draw(32, 48)
    assert maps.shape == (3, 32, 48) and maps.dtype == np.float32 and not maps.any()


def test_points_are_discs_on_the_map_of_their_label() -> None:
    maps = prompt_maps.draw(40, 60, [Point(10, 20), Point(45.6, 8.2, keep=False)])
    for plane, x, y in ((KEPT, 10, 20), (REMOVED, 45, 8)):
        ys, xs = maps[plane].nonzero()
        assert (xs.mean(), ys.mean()) == (x, y) and set(maps[plane][ys, xs]) == {1}
        assert np.hypot(xs - x, ys - y).max() == 4
    assert not maps[SO_FAR].any()


def test_a_box_is_filled_and_a_point_inside_it_is_brighter() -> None:
    maps = prompt_maps.draw(40, 60, [Point(25, 20)], Box(10.4, 4.6, 50, 37))
    expected = np.zeros((40, 60), bool)
    expected[5:37, 10:50] = True
    assert np.array_equal(maps[KEPT] > 0, expected)
    assert maps[KEPT, 20, 25] == 1 and maps[KEPT, 6, 11] == 0.5
    assert not maps[REMOVED].any()


@pytest.mark.parametrize(
    ("box", "share"),
    [(Box(-30, -20, 30, 20), 0.25), (Box(30, 20, 90, 70), 0.25), (Box(-50, -50, -1, -1), 0)],
)
def test_a_box_is_clipped_to_the_grid(box: Box, share: float) -> None:
    assert (prompt_maps.draw(40, 60, box=box)[KEPT] > 0).mean() == share


@pytest.mark.parametrize("corner", [(0, 0), (60, 0), (0, 40), (60, 40)])
def test_a_point_on_the_border_is_drawn(corner: tuple[float, float]) -> None:
    assert 5 < prompt_maps.draw(40, 60, [Point(*corner)])[KEPT].sum() < 30


def test_the_earlier_mask_has_a_map_of_its_own() -> None:
    mask = np.random.default_rng(0).random((40, 60), np.float32)
    maps = prompt_maps.draw(40, 60, [Point(5, 5)], mask=mask)
    assert np.array_equal(maps[SO_FAR], mask) and maps[KEPT, 5, 5] == 1
    maps[SO_FAR] = 0
    assert mask.any()  # what was given stays as it is


def test_a_point_can_be_added_to_existing_maps() -> None:
    one_by_one = prompt_maps.draw(40, 60, [Point(10, 10)])
    prompt_maps.add_point(one_by_one, Point(30, 20, keep=False))
    prompt_maps.add_point(one_by_one, Point(12, 11))
    together = prompt_maps.draw(40, 60, [Point(10, 10), Point(30, 20, keep=False), Point(12, 11)])
    assert np.array_equal(one_by_one, together)


def test_a_stroke_to_keep_is_a_line_and_one_to_remove_a_row_of_points() -> None:
    path = ((8.0, 20.0), (100.0, 20.0))
    maps = prompt_maps.draw(40, 120, strokes=[Stroke(path, 30.0)])
    assert maps[KEPT, 20, 8:100].all() and not maps[KEPT, :15].any() and not maps[REMOVED].any()
    maps = prompt_maps.draw(40, 120, strokes=[Stroke(path, 30.0), Stroke(path, 30.0, keep=False)])
    assert not maps[KEPT, 20, 12:96].any()
    row = maps[REMOVED, 20] > 0
    assert (np.diff(row.astype(int)) == 1).sum() == 3 and 20 < row.sum() < 40
    dot = prompt_maps.draw(40, 120, strokes=[Stroke(((30.0, 20.0),), 3.0, keep=False)])
    assert np.array_equal(dot, prompt_maps.draw(40, 120, [Point(30.0, 20.0, keep=False)]))
