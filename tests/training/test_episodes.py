"""Episodes: the same ones whoever makes them, and each of one kind or the other."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from training import episodes
from training.episodes import STEPS, Episode, Episodes, Request
from training.photos import Photos

SIDE, COUNT = 64, 40


@pytest.fixture(scope="module")
def generated(learnt: Photos) -> list[Episode]:
    """Carried, and corrected ones, by turns."""
    made = Episodes(learnt, seed=1)
    return [made[Request(n, SIDE, propagated=n % 2 == 0)] for n in range(COUNT)]


def same(one: Episode, other: Episode) -> bool:
    assert one.keys() == other.keys()
    return all(np.array_equal(value, other[name]) for name, value in one.items())  # type: ignore[literal-required]


def test_episodes_are_reproducible(learnt: Photos, generated: list[Episode]) -> None:
    later = Episodes(learnt, seed=1)
    assert all(same(later[Request(n, SIDE, n % 2 == 0)], generated[n]) for n in (11, 7, 8))
    assert not same(generated[7], generated[9])
    assert not same(Episodes(learnt, seed=2)[Request(7, SIDE, False)], generated[7])


def test_the_dataset_is_endless(learnt: Photos) -> None:
    far = Episodes(learnt, seed=1)[Request(10**9, 96, True)]
    assert far["pictures"].shape == (STEPS, 96, 96, 3)


def test_an_episode_is_propagated_or_corrected(generated: list[Episode]) -> None:
    carried, corrected = generated[::2], generated[1::2]
    for episode in corrected:
        assert len(episode["pictures"]) == len(episode["alphas"]) == 1
        assert not episode["prior"].any() and not episode["flows"].size
    for episode in carried:
        assert len(episode["pictures"]) == STEPS and len(episode["flows"]) == STEPS - 2
        assert not np.array_equal(*episode["pictures"][1:3])
    assert sum(episode["prior"].any() for episode in carried) > 0.6 * len(carried)
    assert sum(episode["flows"].any() for episode in carried) > 0.8 * len(carried)
    marked = [bool(episode["marks"].any()) for episode in generated]
    assert 0.4 * COUNT < sum(marked) < COUNT


def test_the_flow_leads_from_each_frame_to_the_one_before(generated: list[Episode]) -> None:
    nearer = []
    for episode in generated:
        alphas = episode["alphas"][1:]
        for before, after, way in zip(alphas, alphas[1:], episode["flows"], strict=False):
            if way.any():
                carried = episodes.optical_flow.warp(before, way.astype(np.float32))
                apart = [np.abs(a.astype(float) - after).mean() for a in (carried, before)]
                nearer.append(apart[0] < apart[1])
    assert np.mean(nearer) > 0.6


def test_batches_have_the_shapes_of_the_network(generated: list[Episode]) -> None:
    batch = episodes.prepare_batch(default_collate(generated[:6:2]), torch.device("cpu"))
    shapes = {name: tuple(value.shape) for name, value in batch.items()}
    assert shapes == {
        "pictures": (3, STEPS, 3, SIDE, SIDE),
        "alphas": (3, STEPS, 1, SIDE, SIDE),
        "marks": (3, 2, SIDE, SIDE),
        "prior": (3, 1, SIDE, SIDE),
        "flows": (3, STEPS - 2, SIDE, SIDE, 2),
        "use_truth": (3,),
    }
    for name in ("pictures", "alphas", "marks", "prior"):
        assert batch[name].dtype == torch.float32 and batch[name].min() >= 0 and batch[name].max() <= 1
    assert batch["use_truth"].dtype == torch.bool
    first = generated[0]["pictures"][1, 5, 9] / 255
    assert batch["pictures"][0, 1, :, 5, 9].tolist() == pytest.approx(first.tolist())
