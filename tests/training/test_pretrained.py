"""The encoder that a training begins with."""

import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks.recorte import Recorte
from training import pretrained


def test_the_weights_are_exactly_those_of_the_encoder() -> None:
    weights = pretrained.load_encoder()
    network = Recorte()
    own = {name: value.shape for name, value in network.state_dict().items()}
    assert weights.keys() == {name for name in own if name.partition(".")[0] in ("stem", "stages")}
    assert {name: value.shape for name, value in weights.items()} == {name: own[name] for name in weights}
    # Names are told apart by their order alone: of the statistics only variances are never below zero.
    for last, signs in (("running_var", {1}), ("running_mean", {1, -1})):
        values = torch.cat([value for name, value in weights.items() if name.endswith(last)])
        assert set(values.sign().tolist()) - {0} == signs
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_the_loaded_layers_are_in_order() -> None:
    """Activations stay of the size that the normalisations were learnt with: the layers are in order."""
    network = Recorte().eval()
    network.load_state_dict(pretrained.load_encoder(), strict=False)
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    disc = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1).float()
    scene = torch.stack((0.8 * disc + 0.1, 0.3 + 0.2 * y, 0.6 - 0.5 * disc))[None]
    with torch.inference_mode():
        *_, sixteenth = network.embed(scene)
        places = sixteenth[0].flatten(1).T
        alike = torch.corrcoef(places)
    inside = disc[::16, ::16].flatten() > 0.5
    within, across = alike[inside][:, inside].mean(), alike[inside][:, ~inside].mean()
    assert within > across + 0.1


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="is not the file that this training begins with"):
        pretrained.load_encoder()


@pytest.mark.parametrize(("constant", "value"), [("_PACKAGE", "no_such_package"), ("_FILE", "models/none")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, constant: str, value: str) -> None:
    monkeypatch.setattr(pretrained, constant, value)
    with pytest.raises(WeightsError, match=r"requirements-dev\.txt"):
        pretrained.load_encoder()
