"""Engines of networks, with a stand-in of torch-tensorrt: what is built, kept, compared and refused."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.models.base import PromptedFrame
from pipeline.models.isnet import Isnet
from pipeline.networks import tensorrt
from tests.rendered import subject_over_background

CPU = torch.device("cpu")
SIDE = 64


class Package(ModuleType):
    """Stand-in with the calls of torch-tensorrt 2.14 that are used; what it compiles is a module of torch."""

    def __init__(self) -> None:
        super().__init__("torch_tensorrt")
        self.built = self.loaded = 0
        self.change: Callable[[nn.Module], nn.Module] = lambda network: network

    def compile(self, module: nn.Module, *, ir: str, arg_inputs: list[torch.Tensor], **options: Any) -> Any:
        assert ir == "dynamo" and [tuple(each.shape) for each in arg_inputs] == [(1, 3, SIDE, SIDE)]
        assert not options or options.keys() == {"enable_autocast", "autocast_low_precision_type"}
        self.built += 1
        program = torch.export.export(self.change(module).eval(), tuple(arg_inputs))
        return program.module()

    def save(self, module: nn.Module, file_path: str, *, arg_inputs: list[torch.Tensor]) -> None:
        torch.export.save(torch.export.export(module, tuple(arg_inputs)), file_path)

    def load(self, file_path: str) -> Any:
        self.loaded += 1
        return torch.export.load(file_path)


class Network(nn.Module):
    """Network whose logits are the brightness of red."""

    def __init__(self, gain: float = 8.0) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.layer.weight[0, :, 0, 0] = torch.tensor((gain, 0.0, 0.0))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layer(pictures)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Package:
    """The stand-in, installed and asked for, on the processor."""
    made = Package()
    monkeypatch.setitem(sys.modules, "torch_tensorrt", made)
    monkeypatch.setattr(tensorrt, "find_version", lambda: "2.14.0")
    monkeypatch.setattr(tensorrt, "_version", lambda name: "2.14.0")
    monkeypatch.setattr(tensorrt, "_DEVICES", ("cpu",))
    monkeypatch.setenv("RECORTE_TENSORRT", "1")
    monkeypatch.setenv("RECORTE_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "network.pth").write_bytes(b"weights")
    return made


def load(tmp_path: Path, network: nn.Module | None = None) -> Isnet:
    return Isnet(network or Network(), CPU, side=SIDE, weights=tmp_path / "network.pth")


def engines(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "weights" / "engines").glob("*"))


def test_an_engine_is_built_once_and_makes_the_networks_mattes(package: Package, tmp_path: Path) -> None:
    frames, _ = subject_over_background(3, 160, 90)
    plain = [p.matte for p in Isnet(Network(), CPU, side=SIDE).predict(map(PromptedFrame, frames))]
    assert len({matte.tobytes() for matte in plain}) == 3 and package.built == 0
    for loaded in (0, 1):
        model = load(tmp_path)
        assert isinstance(model._network, tensorrt.Engine) and model.notes == ()
        assert (package.built, package.loaded) == (1, loaded)
        made = model._predict_batch([PromptedFrame(frame) for frame in frames])
        for ours, theirs in zip(made, plain, strict=True):
            assert abs(ours.matte.astype(int) - theirs).max() <= 1
    assert len(engines(tmp_path)) == 1


def test_other_versions_and_weights_have_engines_of_their_own(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path)
    monkeypatch.setattr(tensorrt, "_version", lambda name: "2.15.0")
    load(tmp_path)
    (tmp_path / "network.pth").write_bytes(b"other weights")
    load(tmp_path, Network(7))
    assert package.built == len(engines(tmp_path)) == 3 and package.loaded == 0


@pytest.mark.parametrize("gain", [9.0, float("nan")])
def test_an_engine_that_differs_is_refused_with_a_note(package: Package, tmp_path: Path, gain: float) -> None:
    package.change = lambda _: Network(gain)
    network = Network()
    model = load(tmp_path, network)
    assert package.built == 1 and model._network is network
    assert [note.key for note in model.notes] == ["notes.tensorrt_differs"]
    assert not engines(tmp_path)


def test_a_network_that_cannot_be_compiled_stays_with_a_note(package: Package, tmp_path: Path) -> None:
    def fail(_: nn.Module) -> nn.Module:
        raise NotImplementedError("no converter\nand more")

    package.change = fail
    network = Network()
    model = load(tmp_path, network)
    assert model._network is network and not engines(tmp_path)
    (note,) = model.notes
    assert (note.key, note.fields) == ("notes.tensorrt_failed", {"reason": "no converter"})


def test_a_damaged_engine_is_built_again(package: Package, tmp_path: Path) -> None:
    load(tmp_path)
    (engine,) = engines(tmp_path)
    engine.write_bytes(b"half an engine")
    model = load(tmp_path)
    assert package.built == 2 and isinstance(model._network, tensorrt.Engine)
    assert engine.stat().st_size > 1000


def test_without_the_package_a_sentence_says_so(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "find_version", lambda: None)
    with pytest.raises(InputError) as error:
        load(tmp_path)
    assert error.value.message.key == "devices.no_tensorrt"


@pytest.mark.parametrize("setting", [None, "0"])
def test_nothing_is_imported_unless_it_is_asked_for(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    monkeypatch.setattr(tensorrt, "importlib", SimpleNamespace())
    if setting is None:
        monkeypatch.delenv("RECORTE_TENSORRT")
    else:
        monkeypatch.setenv("RECORTE_TENSORRT", setting)
    network = Network()
    assert load(tmp_path, network)._network is network


def test_engines_are_for_cuda_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORTE_TENSORRT", "1")
    assert tensorrt.is_asked(torch.device("cuda", 1)) and not tensorrt.is_asked(CPU)
