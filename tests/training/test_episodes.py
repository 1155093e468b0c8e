"""Episodes: the same ones whoever makes them, and each of one kind or the other."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from training import episodes
from training.episodes import STEPS, Episode, Episodes
from training.photos import Photos

SIDE, COUNT = 64, 40


@pytest.fixture(scope="module")
def found(learnt: Photos) -> list[Episode]:
    made = Episodes(learnt, SIDE, seed=1, first=0, count=COUNT)
    return [made[n] for n in range(len(made))]


def same(one: Episode, other: Episode) -> bool:
    assert one.keys() == other.keys()
    return all(np.array_equal(value, other[name]) for name, value in one.items())  # type: ignore[literal-required]


def test_an_episode_is_the_same_whoever_makes_it(learnt: Photos, found: list[Episode]) -> None:
    later = Episodes(learnt, SIDE, seed=1, first=7, count=5)
    assert len(later) == 5
    assert all(same(later[n], found[7 + n]) for n in (4, 0, 2))
    assert not same(found[7], found[8])
    assert not same(Episodes(learnt, SIDE, seed=2, first=7, count=1)[0], found[7])


def test_there_is_no_end_of_them_but_the_count(learnt: Photos) -> None:
    far = Episodes(learnt, SIDE, seed=1, first=10**9, count=1)
    assert far[0]["pictures"].shape == (STEPS, SIDE, SIDE, 3)


def test_each_is_carried_or_corrected(found: list[Episode]) -> None:
    carried = [episode for episode in found if episode["carried"]]
    corrected = [episode for episode in found if not episode["carried"]]
    assert len(carried) > 10 and len(corrected) > 8
    for episode in corrected:
        assert (episode["pictures"] == episode["pictures"][0]).all()
        assert (episode["alphas"] == episode["alphas"][0]).all()
        assert not episode["prior"].any() and not episode["way"].any()
    assert all(not np.array_equal(*episode["pictures"][1:]) for episode in carried)
    assert sum(episode["prior"].any() for episode in carried) > 0.6 * len(carried)
    assert sum(episode["way"].any() for episode in carried) > 0.8 * len(carried)
    marked = [bool(episode["marks"].any()) for episode in found]
    assert 0.4 * COUNT < sum(marked) < COUNT


def test_the_flow_leads_from_the_third_frame_to_the_second(found: list[Episode]) -> None:
    nearer = []
    for episode in found:
        if episode["way"].any():
            carried = episodes.propagate.warp(episode["alphas"][1], episode["way"].astype(np.float32))
            apart = [
                np.abs(a.astype(float) - episode["alphas"][2]).mean() for a in (carried, episode["alphas"][1])
            ]
            nearer.append(apart[0] < apart[1])
    assert np.mean(nearer) > 0.6


def test_a_batch_is_as_the_network_is_given_it(found: list[Episode]) -> None:
    batch = episodes.batch(default_collate(found[:3]), torch.device("cpu"))
    shapes = {name: tuple(value.shape) for name, value in batch.items()}
    assert shapes == {
        "pictures": (3, STEPS, 3, SIDE, SIDE),
        "alphas": (3, STEPS, 1, SIDE, SIDE),
        "marks": (3, 2, SIDE, SIDE),
        "prior": (3, 1, SIDE, SIDE),
        "way": (3, SIDE, SIDE, 2),
        "carried": (3,),
        "told": (3,),
    }
    for name in ("pictures", "alphas", "marks", "prior"):
        assert batch[name].dtype == torch.float32 and batch[name].min() >= 0 and batch[name].max() <= 1
    assert batch["carried"].dtype == batch["told"].dtype == torch.bool
    first = found[0]["pictures"][1, 5, 9] / 255
    assert batch["pictures"][0, 1, :, 5, 9].tolist() == pytest.approx(first.tolist())
