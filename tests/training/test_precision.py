"""Depthwise convolutions in float32: the same answers, and derivatives that are as near."""

import copy

import torch
from torch import nn

from pipeline.networks.recorte import Recorte
from training.precision import widen_depthwise


def test_names_weights_and_outputs_are_unchanged() -> None:
    torch.manual_seed(0)
    network = Recorte().eval()
    widened = copy.deepcopy(network)
    widen_depthwise(widened)
    assert [*widened.state_dict()] == [*network.state_dict()]
    wide = [module for module in widened.modules() if type(module).__name__ == "_Depthwise"]
    assert len(wide) == 16 and all(module.groups == module.in_channels for module in wide)
    picture, marks = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    assert torch.equal(network(picture, marks), widened(picture, marks))


def test_gradients_are_float32_and_reach_the_weights() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8))
    wide = copy.deepcopy(plain)
    widen_depthwise(wide)
    picture = torch.rand(2, 8, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        output = wide(picture.bfloat16())
    assert output.dtype == torch.bfloat16
    for network, shown in ((wide, picture.bfloat16()), (plain, picture)):
        with torch.autocast("cpu", torch.bfloat16, enabled=network is wide):
            network(shown).float().square().mean().backward()
    gradient, exact = (network[0].weight.grad for network in (wide, plain))
    assert gradient is not None and exact is not None and gradient.dtype == torch.float32
    torch.testing.assert_close(gradient, exact, rtol=0.02, atol=1e-4)
