"""What answers cost, who learns of it, and a training that goes on where it stopped."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from pipeline import planes, propagate
from pipeline.networks.recorte import Features, Memory, Recorte
from training import episodes, learn
from training.episodes import STEPS, Episodes
from training.learn import Recipe, Size, Training
from training.photos import Photos

CPU = torch.device("cpu")
SIDE = 64


@pytest.fixture(scope="module")
def batch(learnt: Photos) -> dict[str, Tensor]:
    """Four episodes, by turns carried and corrected."""
    made = Episodes(learnt, SIDE, seed=3, first=0, count=20)
    found = sorted((made[n] for n in range(len(made))), key=lambda episode: episode["carried"])
    chosen = [found[-1], found[0], found[-2], found[1]]
    assert [episode["carried"] for episode in chosen] == [True, False, True, False]
    return episodes.batch(default_collate(chosen), CPU)


@pytest.fixture
def network() -> Recorte:
    """One in which no layer is silent any more."""
    torch.manual_seed(0)
    network = Recorte()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0, 0.1)
    return network


def test_what_an_answer_costs_reaches_all_that_led_to_it(network: Recorte, batch: dict[str, Tensor]) -> None:
    paid = learn.cost(network, batch)
    assert paid.ndim == 0 and 0.2 < float(paid.detach()) < 10
    torch.autograd.backward(paid)
    for name, part in network.named_children():
        reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters()]
        assert np.mean(reached) > 0.9, name
    assert network.sharpness.grad is not None and network.sharpness.grad != 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())


def test_marks_and_memory_can_begin_to_speak(batch: dict[str, Tensor]) -> None:
    """Layers that begin as zero have a slope to leave it by."""
    network = Recorte()
    torch.autograd.backward(learn.cost(network, batch))
    for branch in (network.recall, network.marks[-1]):
        *_, last = branch.children()
        assert isinstance(last, nn.Conv2d) and not last.weight.any()
        assert last.weight.grad is not None and last.weight.grad.abs().sum() > 0


def test_memory_is_of_carried_episodes_alone(network: Recorte, batch: dict[str, Tensor]) -> None:
    corrected = {**batch, "carried": torch.zeros(4, dtype=torch.bool)}
    torch.autograd.backward(learn.cost(network, corrected))
    assert network.sharpness.grad is None or network.sharpness.grad == 0


def test_what_is_remembered_is_the_truth_or_what_was_found(
    network: Recorte, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    mattes: list[Tensor] = []

    def remember(features: Features, matte: Tensor) -> Memory:
        mattes.append(matte)
        return Recorte.remember(network, features, matte)

    monkeypatch.setattr(network, "remember", remember)
    learn.cost(network, {**batch, "told": torch.tensor([True, False] * 2)})
    (matte,) = mattes  # once: of the first frame
    truth = batch["alphas"][:, 0]
    assert torch.equal(matte[::2], truth[::2])
    assert (matte[1::2] - truth[1::2]).abs().mean() > 0.1 and not matte.requires_grad


def test_a_right_answer_costs_less_than_a_wrong_one() -> None:
    alpha = torch.zeros(2, 1, 32, 32)
    alpha[:, :, 8:24, 8:24] = 1
    right, nothing, inverse = (
        float(learn._wrong(12 * sign, alpha)) for sign in (2 * alpha - 1, -1 + 0 * alpha, 1 - 2 * alpha)
    )
    assert right < 1e-3 < 1 < nothing < inverse
    empty = torch.zeros_like(alpha)
    assert float(learn._wrong(empty - 12, empty)) < 0.01  # nothing found where nothing is


def test_flows_are_followed_as_in_the_pipeline() -> None:
    random = np.random.default_rng(0)
    image = random.random((2, 40, 56), np.float32)
    way = random.normal(0, 6, (2, 40, 56, 2)).astype(np.float32)
    found = learn._warped(torch.from_numpy(image)[:, None], torch.from_numpy(way))
    for n in range(2):
        assert np.abs(found[n, 0].numpy() - propagate.warp(image[n], way[n])).max() < 0.04


def test_the_next_step_is_given_what_was_found(batch: dict[str, Tensor]) -> None:
    found = torch.full((4, 1, SIDE, SIDE), 0.2)
    given = torch.cat((torch.ones(4, 2, SIDE, SIDE), torch.zeros(4, 1, SIDE, SIDE)), 1)
    for step in range(STEPS - 1):
        following = learn._next(given, found, step, batch)
        assert following.shape == (4, 3, SIDE, SIDE)
        expected = learn._warped(found, batch["way"]) if step else batch["prior"]
        for n, carried in enumerate(batch["carried"].tolist()):
            assert torch.equal(following[n, planes.SO_FAR], (expected if carried else found)[n, 0])
            if carried and n % 4:
                assert not following[n, : planes.SO_FAR].any()
            if not carried:
                assert following[n, : planes.SO_FAR].all()  # earlier marks stay


def test_a_person_clicks_on_what_is_wrong(batch: dict[str, Tensor]) -> None:
    alphas = torch.zeros(4, STEPS, 1, SIDE, SIDE)
    alphas[..., 10:40, 10:40] = 1
    given = torch.zeros(4, 3, SIDE, SIDE)
    corrected = {**batch, "alphas": alphas, "carried": torch.zeros(4, dtype=torch.bool)}
    lacking = learn._next(given, torch.zeros(4, 1, SIDE, SIDE), 0, corrected)
    spilt = learn._next(given, torch.ones(4, 1, SIDE, SIDE), 0, corrected)
    for n in range(4):
        assert lacking[n, planes.KEPT, 25, 25] == 1 and not lacking[n, planes.REMOVED].any()
        assert spilt[n, planes.REMOVED].any() and not spilt[n, planes.KEPT].any()
        assert not (spilt[n, planes.REMOVED] * alphas[n, 1, 0]).any()
    assert not learn._next(given, alphas[:, 0], 0, corrected)[:, : planes.SO_FAR].any()


# All of it


def training(learnt: Photos, batch: int = 2, steps: int = 4) -> Training:
    torch.manual_seed(7)
    encoder = {name: v for name, v in Recorte().state_dict().items() if name.startswith(("stem", "stages"))}
    recipe = Recipe(steps, seed=0, workers=0, sizes=(Size(0.5, 32, batch), Size(1.0, SIDE, batch)))
    return Training(recipe, learnt, CPU, encoder)


def test_learning_lowers_the_cost(
    learnt: Photos, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "_WARM", 1)
    taught = training(learnt, steps=1000)
    paid = [taught._learn(batch) for _ in range(8)]
    assert np.isfinite(paid).all() and paid[-1] < paid[0] - 0.2


def test_a_training_begins_with_the_encoder_it_is_given(learnt: Photos) -> None:
    one, other = training(learnt), training(learnt)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    rates = {group["rate"]: len(group["params"]) for group in one._optimizer.param_groups}
    encoder = [name for name, _ in one.network.named_parameters() if name.startswith(("stem", "stages"))]
    assert rates == {
        learn._PRETRAINED_RATE: len(encoder),
        learn._RATE: len([*one.network.parameters()]) - len(encoder),
    }


def test_a_training_goes_on_where_it_stopped(learnt: Photos, tmp_path: Path) -> None:
    first = training(learnt)
    run = first.run()
    for _ in range(2):
        next(run)
    first.best = 0.25
    first.save(tmp_path / "state.pt")
    expected = [cost for cost, _ in run]
    assert len(expected) == 2 and first.step == 4 and first.episodes == 8
    second = training(learnt)
    second.load(tmp_path / "state.pt")
    assert (second.step, second.episodes, second.best) == (2, 4, 0.25)
    # The next costs would hardly tell: the rate has only begun to rise.
    moments = second._optimizer.state_dict()["state"]
    assert len(moments) > 100
    torch.testing.assert_close(moments, torch.load(tmp_path / "state.pt")["optimizer"]["state"])
    assert [cost for cost, _ in second.run()] == pytest.approx(expected, rel=1e-3)
    for name, value in first.average.state_dict().items():
        torch.testing.assert_close(value, second.average.state_dict()[name], rtol=1e-2, atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert list(second.run()) == []  # all steps are done


def test_the_average_follows_slowly(learnt: Photos) -> None:
    taught = training(learnt)
    began = copy.deepcopy(taught.network.head[0].weight.detach())
    taught.step = 10_000
    with torch.no_grad():
        taught.network.head[0].weight.add_(1)
    taught._keep()
    moved = taught.average.head[0].weight - began
    assert moved.mean().item() == pytest.approx(1 - learn._AVERAGE, rel=0.01)


def test_the_rate_rises_stays_and_falls(learnt: Photos) -> None:
    taught = training(learnt, steps=1000)
    paces = []
    for taught.step in (0, 100, 640, 825, 999):
        paces.append(taught._pace())
    assert paces == pytest.approx([1 / learn._WARM, 1, 1, 0.5, 0.01])
