"""Recorte's own network: its shapes, what marks and memory may change, and how places are compared."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pipeline.networks import recorte
from pipeline.networks.recorte import Features, Memory, Recorte


@pytest.fixture(scope="module")
def fresh() -> Recorte:
    """As it is before it learns; only to be looked at."""
    torch.manual_seed(0)
    return Recorte().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def stirred(fresh: Recorte) -> Recorte:
    """As if it had learnt something: no layer is silent, and the normalisations have seen pictures."""
    random = torch.Generator().manual_seed(1)
    network = copy.deepcopy(fresh)
    for parameter in network.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.1, generator=random)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
    return network


def picture(height: int = 64, width: int = 96, seed: int = 0, count: int = 1) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_the_number_of_parameters_is_as_documented(fresh: Recorte) -> None:
    encoder = sum(p.numel() for module in (fresh.stem, fresh.stages) for p in module.parameters())
    every = sum(p.numel() for p in fresh.parameters())
    assert every == 3_302_150 and f"{every / 1e6:.1f} million" in (Recorte.__doc__ or "")
    assert encoder == 2_958_848
    assert sum(value.numel() for value in fresh.state_dict().values()) * 2 < 12e6  # bytes, at 16 bits


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32), (160, 64)])
def test_output_shapes(fresh: Recorte, height: int, width: int) -> None:
    shown = picture(height, width, count=2)
    features = fresh.embed(shown)
    for feature, channels, stride in zip(features, (16, 24, 40, 80), (2, 4, 8, 16), strict=True):
        assert feature.shape == (2, channels, height // stride, width // stride)
    memory = fresh.memorise(features, shown[:, :1])
    places = height // 16 * width // 16
    assert memory.inside.shape == (2, places) and memory.keys.shape[::2] == (2, places)
    seen = fresh.compare(features, memory)
    assert seen.shape == (2, 3, height // 16, width // 16)
    logits, coarse = fresh.decode(features, shown, seen)
    assert logits.shape == (2, 1, height, width) and coarse.shape == (2, 1, height // 16, width // 16)
    assert torch.equal(fresh(shown, shown, seen), logits)


def deep(network: Recorte, marks: Tensor, seen: Tensor | None) -> list[Tensor]:
    """Return what the stages after the first half make, and the logits last."""
    outputs: list[Tensor] = []
    hooks = [
        stage.register_forward_hook(lambda module, given, made: outputs.append(made))
        for stage in network.stages[4:]
    ]
    outputs.append(network(picture(), marks, seen))
    for hook in hooks:
        hook.remove()
    return outputs


def test_prompts_and_memory_change_nothing_before_training(fresh: Recorte, stirred: Recorte) -> None:
    """Neither marks nor memory reach it before anything is learnt; afterwards both do."""
    nothing, marks = torch.zeros(1, 3, 64, 96), picture(seed=1)
    seen = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(2))
    plain = deep(fresh, nothing, None)
    assert len(plain) == 4 and all(value.std() > 0 for value in plain)
    for value, other in zip(plain[:-1], deep(fresh, marks, seen)[:-1], strict=True):
        assert torch.equal(value, other)
    for given in ((marks, None), (nothing, seen)):
        for value, other in zip(deep(stirred, nothing, None), deep(stirred, *given), strict=True):
            assert not torch.allclose(value, other)


def test_prompts_and_memory_are_independent_within_a_batch(stirred: Recorte) -> None:
    shown, marks = picture(count=2), picture(seed=1, count=2)
    features = stirred.embed(shown)
    memory = stirred.memorise(features, marks[:, :1])
    both, _ = stirred.decode(features, marks, stirred.compare(features, memory))
    for n in range(2):
        own = stirred.embed(shown[n : n + 1])
        remembered = Memory(memory.keys[n : n + 1], memory.inside[n : n + 1])
        alone, _ = stirred.decode(own, marks[n : n + 1], stirred.compare(own, remembered))
        torch.testing.assert_close(alone, both[n : n + 1], rtol=1e-4, atol=1e-4)


@pytest.fixture
def literal(fresh: Recorte) -> Recorte:
    """A network whose keys are the first features themselves."""
    network = copy.deepcopy(fresh)
    network.key.weight.zero_()
    network.key.bias.zero_()
    for n in range(network.key.out_channels):
        network.key.weight[n, n] = 1
    return network


def features(kinds: list[list[int]]) -> Features:
    """Of a picture in which each place looks like one of several kinds of thing."""
    sixteenth = nn.functional.one_hot(torch.tensor(kinds), 80).permute(2, 0, 1)[None].float()
    nothing = torch.zeros(1, 1, 1, 1)
    return Features(nothing, nothing, nothing, 3 * sixteenth)


def matte(inside: list[list[float]]) -> Tensor:
    """A matte of sixteen times that size."""
    return torch.tensor(inside)[None, None].repeat_interleave(16, 2).repeat_interleave(16, 3)


def test_comparison_scores_similarity_to_inside_and_outside(literal: Recorte) -> None:
    memory = literal.memorise(features([[0, 1], [1, 2]]), matte([[1, 0], [0, 0.75]]))
    assert memory.inside.tolist() == [[1, 0, 0, 0.75]]
    assert memory.keys.norm(dim=1) == pytest.approx(1)
    share, inside, outside = literal.compare(features([[1, 0], [2, 3], [0, 0]]), memory)[0]
    assert share.flatten().tolist() == pytest.approx([0, 1, 0.75, 0.4375, 1, 1], abs=1e-6)
    assert inside.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert outside.tolist() == [[1, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("value", [0, 1])
def test_comparison_with_a_memory_of_inside_or_outside_only(literal: Recorte, value: float) -> None:
    kinds = features([[0, 1], [1, 2]])
    comparison = literal.compare(kinds, literal.memorise(kinds, matte([[value] * 2] * 2)))[0]
    assert comparison[0].flatten().tolist() == pytest.approx([value] * 4, abs=1e-6)
    assert comparison[1 + int(value)].tolist() == [[-1, -1], [-1, -1]]
    assert comparison[2 - int(value)].tolist() == [[1, 1], [1, 1]]


def test_memories_can_be_concatenated(literal: Recorte) -> None:
    one = literal.memorise(features([[0, 1]]), matte([[1, 0]]))
    other = literal.memorise(features([[2, 3], [3, 3]]), matte([[1, 0], [0, 0]]))
    both = Memory(torch.cat((one.keys, other.keys), 2), torch.cat((one.inside, other.inside), 1))
    assert literal.compare(features([[0, 1, 2, 3]]), both)[0, 1].tolist() == [[1, 0, 1, 0]]


def test_batch_normalisations_are_folded_into_convolutions(stirred: Recorte) -> None:
    fused = recorte.fuse_batch_norm(copy.deepcopy(stirred))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    marks = picture(seed=1)
    expected = stirred(picture(), marks)
    assert expected.std() > 1e-3
    torch.testing.assert_close(fused(picture(), marks), expected, rtol=1e-3, atol=1e-3)
