"""Clicks, boxes and earlier masks that are made from the truth."""

import numpy as np
import pytest

from pipeline.models import prompt_maps
from pipeline.prompts import Box
from tests.training import made
from training import prompt_simulation

SEEDS = range(40)


def square(x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_the_picture_border_counts_as_an_edge() -> None:
    deep = prompt_simulation.distance_to_edge(np.ones((9, 15), bool))
    assert deep[0, 0] == pytest.approx(deep[8, 7], abs=0.1) and deep.argmax() // 15 == 4


@pytest.mark.parametrize(("lacking", "spilt", "keep"), [(21, 11, True), (11, 21, False)])
def test_a_correction_is_in_the_middle_of_the_largest_error(lacking: int, spilt: int, keep: bool) -> None:
    common = square(40, 40, 20)
    point = prompt_simulation.correction_click(common | square(32, 2, spilt), common | square(2, 32, lacking))
    assert point is not None and point.keep is keep
    assert (point.x, point.y) == ((12, 42) if keep else (42, 12))


def test_a_correct_mask_gets_no_click() -> None:
    mask = square(10, 10, 20)
    assert prompt_simulation.correction_click(mask, mask) is None
    assert prompt_simulation.correction_click(mask, mask | square(40, 40, 2)) is None  # an edge, no part


def test_a_random_point_is_well_inside() -> None:
    mask = square(10, 20, 30)
    points = [prompt_simulation.random_point(mask, np.random.default_rng(seed)) for seed in SEEDS]
    assert all(point and 14 <= point.x <= 35 and 24 <= point.y <= 45 for point in points)
    assert len({(point.x, point.y) for point in points if point}) > 30
    assert prompt_simulation.random_point(np.zeros((64, 64), bool), np.random.default_rng(0)) is None


def test_first_prompts_are_on_the_subject() -> None:
    mask = made.disc() > 127
    boxes = points = removed = 0
    for seed in SEEDS:
        given = prompt_simulation.simulate_prompts(made.disc(), np.random.default_rng(seed))
        assert given.shape == (3, *mask.shape) and not given[prompt_maps.SO_FAR].any()
        kept, beside = given[prompt_maps.KEPT], given[prompt_maps.REMOVED]
        if (kept == 0.5).any():
            boxes += 1
            assert (kept[mask] > 0).mean() > 0.9 and (kept[~mask] == 0).mean() > 0.5
        if (kept == 1).any():
            points += 1
            assert (mask[kept == 1]).mean() > 0.6
        if beside.any():
            removed += 1
            assert mask[beside == 1].mean() < 0.6
        assert kept.any()
    assert boxes > 10 and points > 10 and removed > 3


def test_an_empty_mask_gets_no_foreground_prompt() -> None:
    for seed in SEEDS:
        assert not prompt_simulation.simulate_prompts(
            np.zeros((64, 64), np.uint8), np.random.default_rng(seed)
        )[prompt_maps.KEPT].any()


def test_sampled_boxes_surround_the_subject() -> None:
    mask = square(20, 10, 30)
    for seed in SEEDS:
        box = prompt_simulation._sample_box(mask, np.random.default_rng(seed))
        assert np.abs(np.subtract([box.x0, box.y0, box.x1, box.y1], [20, 10, 50, 40])).max() <= 3.1
    whole = prompt_simulation._sample_box(np.ones((40, 60), bool), np.random.default_rng(0))
    assert 0 <= whole.x0 < 2 and 0 <= whole.y0 < 2 and 58 < whole.x1 <= 60 and 38 < whole.y1 <= 40
    assert isinstance(whole, Box)


def test_a_perturbed_mask_overlaps_the_true_one() -> None:
    alpha = made.disc()
    overlaps = []
    for seed in SEEDS:
        perturbed = prompt_simulation.perturb_mask(alpha, np.random.default_rng(seed))
        assert perturbed.dtype == np.float32 and perturbed.shape == alpha.shape
        assert perturbed.min() >= 0 and perturbed.max() <= 1
        assert np.abs(perturbed - alpha / 255).max() > 0.1
        inside, truth = perturbed > 0.5, alpha > 127
        overlaps.append((inside & truth).sum() / (inside | truth).sum())
    assert 0.5 < np.mean(overlaps) < 0.95 and min(overlaps) < 0.6


def test_an_empty_mask_can_be_perturbed() -> None:
    for seed in SEEDS:
        perturbed = prompt_simulation.perturb_mask(np.zeros((64, 64), np.uint8), np.random.default_rng(seed))
        assert np.isfinite(perturbed).all() and perturbed.mean() < 0.2
