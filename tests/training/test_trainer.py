"""Cost of answers, the weights that learn from it, and a training that goes on where it stopped."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from pipeline.imaging import optical_flow
from pipeline.models import prompt_maps
from pipeline.networks.recorte import Features, Memory, Recorte
from training import episodes, trainer
from training.episodes import STEPS, Episodes, Request
from training.photos import Photos
from training.trainer import BatchSize, Recipe, Stage, Training

CPU = torch.device("cpu")
SIDE = 64


def four(learnt: Photos, carried: bool) -> dict[str, Tensor]:
    made = Episodes(learnt, seed=3)
    return episodes.prepare_batch(default_collate([made[Request(n, SIDE, carried)] for n in range(4)]), CPU)


@pytest.fixture(scope="module")
def batch(learnt: Photos) -> dict[str, Tensor]:
    """Four carried episodes."""
    return four(learnt, True)


@pytest.fixture(scope="module")
def corrected(learnt: Photos) -> dict[str, Tensor]:
    """Four corrected ones."""
    return four(learnt, False)


@pytest.fixture
def network() -> Recorte:
    """One in which no layer is silent any more."""
    torch.manual_seed(0)
    network = Recorte()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0, 0.1)
    return network


def test_the_loss_has_gradients_in_all_parts(network: Recorte, batch: dict[str, Tensor]) -> None:
    paid = trainer.loss(network, batch)
    assert paid.ndim == 0 and 0.2 < float(paid.detach()) < 10
    torch.autograd.backward(paid)
    for name, part in network.named_children():
        reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters()]
        assert np.mean(reached) > 0.9, name
    assert network.sharpness.grad is not None and network.sharpness.grad != 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())


def test_zero_initialised_layers_get_gradients(batch: dict[str, Tensor]) -> None:
    """Layers that begin as zero have a slope to leave it by."""
    network = Recorte()
    torch.autograd.backward(trainer.loss(network, batch))
    for branch in (network.recall, network.marks[-1]):
        *_, last = branch.children()
        assert isinstance(last, nn.Conv2d) and not last.weight.any()
        assert last.weight.grad is not None and last.weight.grad.abs().sum() > 0


def test_only_propagated_episodes_use_memory(network: Recorte, corrected: dict[str, Tensor]) -> None:
    torch.autograd.backward(trainer.loss(network, corrected))
    assert network.sharpness.grad is None or network.sharpness.grad == 0


def test_the_true_or_the_predicted_matte_is_memorised(
    network: Recorte, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    mattes: list[Tensor] = []

    def memorise(features: Features, matte: Tensor) -> Memory:
        mattes.append(matte)
        return Recorte.memorise(network, features, matte)

    monkeypatch.setattr(network, "memorise", memorise)
    told = {**batch, "use_truth": torch.tensor([True, False] * 2)}
    trainer.loss(network, told, extend_memory=False)
    (matte,) = mattes  # once: of the first frame
    truth = batch["alphas"][:, 0]
    assert torch.equal(matte[::2], truth[::2])
    assert (matte[1::2] - truth[1::2]).abs().mean() > 0.1 and not matte.requires_grad


def test_later_frames_can_be_memorised(
    network: Recorte, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    def compare(features: Features, memory: Memory) -> Tensor:
        places.append(memory.inside.shape[-1])
        return Recorte.compare(network, features, memory)

    monkeypatch.setattr(network, "compare", compare)
    for grows, frames in ((False, [1, 1, 1, 1]), (True, [1, 2, 2, 3])):
        places.clear()
        trainer.loss(network, batch, grows)
        assert places == [count * (SIDE // 16) ** 2 for count in frames]


def test_a_corrected_frame_is_embedded_once(
    network: Recorte, batch: dict[str, Tensor], corrected: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Tensor] = []

    def embed(picture: Tensor) -> Features:
        shown.append(picture)
        return Recorte.embed(network, picture)

    monkeypatch.setattr(network, "embed", embed)
    for given, count in ((batch, STEPS), (corrected, 1)):
        shown.clear()
        trainer.loss(network, given)
        assert len(shown) == count


def test_the_loss_ranks_right_empty_and_inverted_mattes() -> None:
    alpha = torch.zeros(2, 1, 32, 32)
    alpha[:, :, 8:24, 8:24] = 1
    right, nothing, inverse = (
        float(trainer._matte_loss(12 * sign, alpha))
        for sign in (2 * alpha - 1, -1 + 0 * alpha, 1 - 2 * alpha)
    )
    assert right < 1e-3 < 1 < nothing < inverse
    empty = torch.zeros_like(alpha)
    assert float(trainer._matte_loss(empty - 12, empty)) < 0.01  # nothing found where nothing is


def test_edges_have_a_larger_weight() -> None:
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 8:24, 8:24] = 1
    edge = trainer._edge_mask(alpha)
    assert edge[0, 0, 16, 6:10].all() and not edge[0, 0, 16, 12:20].any() and not edge[0, 0, :4].any()
    soft = alpha * 0.5
    sure, unsure = (
        float(trainer._matte_loss(torch.logit(guess.clamp(0.001, 0.999)), soft)) for guess in (alpha, soft)
    )
    assert unsure < sure  # softness is learnt
    within, beside = 6 * (2 * alpha - 1), 6 * (2 * alpha - 1)
    within[..., 14:18, 14:18] *= -1
    beside[..., 14:18, 8:12] *= -1
    assert float(trainer._matte_loss(beside, alpha)) > float(trainer._matte_loss(within, alpha))


def test_warping_equals_that_of_the_pipeline() -> None:
    random = np.random.default_rng(0)
    image = random.random((2, 40, 56), np.float32)
    way = random.normal(0, 6, (2, 40, 56, 2)).astype(np.float32)
    warped = trainer._warp(torch.from_numpy(image)[:, None], torch.from_numpy(way))
    for n in range(2):
        assert np.abs(warped[n, 0].numpy() - optical_flow.warp(image[n], way[n])).max() < 0.04


def test_the_next_step_of_a_propagated_episode_gets_the_warped_mask(batch: dict[str, Tensor]) -> None:
    matte = torch.full((4, 1, SIDE, SIDE), 0.2)
    given = torch.cat((torch.ones(4, 2, SIDE, SIDE), torch.zeros(4, 1, SIDE, SIDE)), 1)
    for step in range(STEPS - 1):
        following = trainer._next_prompt_maps(given, matte, step, batch)
        assert following.shape == (4, 3, SIDE, SIDE)
        expected = trainer._warp(matte, batch["flows"][:, step - 1]) if step else batch["prior"]
        assert torch.equal(following[:, prompt_maps.SO_FAR], expected[:, 0])
        for n in range(4):
            if (n + step) % trainer._CLICK_EVERY:
                assert not following[n, : prompt_maps.SO_FAR].any()


def test_the_next_step_of_a_corrected_episode_keeps_its_prompts(corrected: dict[str, Tensor]) -> None:
    matte = torch.full((4, 1, SIDE, SIDE), 0.2)
    given = torch.cat((torch.ones(4, 2, SIDE, SIDE), torch.zeros(4, 1, SIDE, SIDE)), 1)
    for step in range(STEPS - 1):
        following = trainer._next_prompt_maps(given, matte, step, corrected)
        assert torch.equal(following[:, prompt_maps.SO_FAR], matte[:, 0])
        assert following[:, : prompt_maps.SO_FAR].all()


@pytest.mark.parametrize("step", range(4))
def test_errors_of_propagation_are_clicked(batch: dict[str, Tensor], step: int) -> None:
    alphas = torch.zeros(4, STEPS, 1, SIDE, SIDE)
    alphas[..., 10:40, 10:40] = 1
    wrong = torch.ones(4, 1, SIDE, SIDE)
    carried = {**batch, "alphas": alphas, "prior": wrong, "flows": torch.zeros_like(batch["flows"])}
    following = trainer._next_prompt_maps(torch.zeros(4, 3, SIDE, SIDE), wrong, step, carried)
    clicked = [n for n in range(4) if following[n, prompt_maps.REMOVED].any()]
    assert clicked == [n for n in range(4) if (n + step) % trainer._CLICK_EVERY == 0]
    assert not following[:, prompt_maps.KEPT].any()


def test_errors_of_a_corrected_frame_are_clicked(corrected: dict[str, Tensor]) -> None:
    alphas = torch.zeros(4, 1, 1, SIDE, SIDE)
    alphas[..., 10:40, 10:40] = 1
    given = torch.zeros(4, 3, SIDE, SIDE)
    told = {**corrected, "alphas": alphas}
    lacking = trainer._next_prompt_maps(given, torch.zeros(4, 1, SIDE, SIDE), 0, told)
    spilt = trainer._next_prompt_maps(given, torch.ones(4, 1, SIDE, SIDE), 0, told)
    for n in range(4):
        assert lacking[n, prompt_maps.KEPT, 25, 25] == 1 and not lacking[n, prompt_maps.REMOVED].any()
        assert spilt[n, prompt_maps.REMOVED].any() and not spilt[n, prompt_maps.KEPT].any()
        assert not (spilt[n, prompt_maps.REMOVED] * alphas[n, 0, 0]).any()
    assert not trainer._next_prompt_maps(given, alphas[:, 0], 0, told)[:, : prompt_maps.SO_FAR].any()


# All of it


def training(learnt: Photos, batch: int = 2, steps: int = 4) -> Training:
    torch.manual_seed(7)
    encoder = {name: v for name, v in Recorte().state_dict().items() if name.startswith(("stem", "stages"))}
    sizes = BatchSize(32, batch), BatchSize(SIDE, batch)
    stages = Stage(0.5, sizes, (1, 0)), Stage(1.0, sizes, (0.5, 0.5))
    recipe = Recipe(steps, seed=0, workers=0, stages=stages)
    return Training(recipe, learnt, CPU, encoder)


def test_training_lowers_the_loss(
    learnt: Photos, batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_WARMUP_STEPS", 1)
    taught = training(learnt, steps=1000)
    paid = [taught._train_step(batch) for _ in range(8)]
    assert np.isfinite(paid).all() and paid[-1] < paid[0] - 0.2


def test_training_starts_with_the_given_encoder(learnt: Photos) -> None:
    one, other = training(learnt), training(learnt)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    rates = {group["rate"]: len(group["params"]) for group in one._optimizer.param_groups}
    encoder = [name for name, _ in one.network.named_parameters() if name.startswith(("stem", "stages"))]
    assert rates == {
        trainer._ENCODER_LEARNING_RATE: len(encoder),
        trainer._LEARNING_RATE: len([*one.network.parameters()]) - len(encoder),
    }


def test_training_resumes_from_its_state(learnt: Photos, tmp_path: Path) -> None:
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


def test_the_moving_average_follows_slowly(learnt: Photos) -> None:
    taught = training(learnt)
    began = copy.deepcopy(taught.network.head[0].weight.detach())
    taught.step = 10_000
    with torch.no_grad():
        taught.network.head[0].weight.add_(1)
    taught._update_average()
    moved = taught.average.head[0].weight - began
    assert moved.mean().item() == pytest.approx(1 - trainer._EMA_DECAY, rel=0.01)


def test_the_learning_rate_warms_up_stays_and_decays(learnt: Photos) -> None:
    taught = training(learnt, steps=1000)
    paces = []
    for taught.step in (0, 100, 640, 825, 999):
        paces.append(taught._learning_rate_factor())
    assert paces == pytest.approx([1 / trainer._WARMUP_STEPS, 1, 0.72, 0.35, 0.01])


def test_batches_have_the_sizes_of_their_stage_and_consecutive_numbers(learnt: Photos) -> None:
    taught = training(learnt, steps=60)
    batches = taught._requests()
    assert len(batches) == 60
    assert [request.number for batch in batches for request in batch] == [*range(120)]
    sides = [{request.side for request in batch} for batch in batches]
    assert all(side == {32} for side in sides[:30]) and {32, SIDE} == set.union(*sides[30:])
    carried = [{request.propagated for request in batch} for batch in batches]
    assert all(len(kinds) == 1 for kinds in carried) and {True, False} == set.union(*carried)
    taught.step, taught.episodes = 20, 40
    assert taught._requests() == batches[20:]


def test_fine_tuning_has_a_lower_rate_and_frozen_statistics(learnt: Photos, batch: dict[str, Tensor]) -> None:
    weights = Recorte().state_dict()
    taught = Training(Recipe(1000, workers=0), learnt, CPU, weights)
    for name, value in taught.network.state_dict().items():
        assert torch.equal(value, weights[name]), name
    taught.step = 100
    assert taught._learning_rate_factor() == trainer._FINE_TUNING_RATE
    taught.step, taught.recipe = 0, training(learnt, steps=1).recipe
    assert len([*taught.run()]) == 1
    state = taught.network.state_dict()
    assert torch.equal(state["stem.1.running_mean"], weights["stem.1.running_mean"])
    assert not torch.equal(state["head.0.weight"], weights["head.0.weight"])
