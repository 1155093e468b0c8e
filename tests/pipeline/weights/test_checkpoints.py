"""Checkpoints are read as data; what is anything else, or another model's, is refused with a sentence."""

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import WeightsError
from pipeline.weights import checkpoints


def network(width: int = 4) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, width, 3), norm=nn.BatchNorm2d(width)))


def weights(seed: int = 0, width: int = 4) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = network(width).state_dict()
    return {
        name: torch.rand(value.shape, generator=random)
        if value.is_floating_point()
        else torch.tensor(7, dtype=value.dtype)
        for name, value in shapes.items()
    }


def saved(tensors: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


SUFFIXES = [".safetensors", ".pth", ".pt", ".bin"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_checkpoints_round_trip(tmp_path: Path, suffix: str) -> None:
    path = saved(weights(), tmp_path / f"model{suffix}")
    read = checkpoints.read(path)
    assert read.keys() == weights().keys()
    assert all(torch.equal(read[name], value) for name, value in weights().items())
    module = network()
    checkpoints.load_into(module, path)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in weights().items())


def test_half_precision_weights_are_converted_to_float32(tmp_path: Path) -> None:
    half = {name: v.half() if v.is_floating_point() else v for name, v in weights().items()}
    module = network()
    checkpoints.load_into(module, saved(half, tmp_path / "half.safetensors"))
    assert module.conv.weight.dtype == torch.float32
    assert torch.equal(module.conv.weight, half["conv.weight"].float())


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("bare", [False, True])
def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, suffix: str, bare: bool) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / f"trap{suffix}"
    if bare:
        path.write_bytes(pickle.dumps({"conv.weight": Trap(sprung)}, protocol=2))
    else:
        torch.save(weights() | {"conv.weight": Trap(sprung)}, path)
    with pytest.raises(WeightsError, match=rf"^trap{suffix} in .* holds more than plain tensors"):
        checkpoints.load_into(network(), path)
    assert not sprung.exists()
    # The trap is one: who loads without care makes the file.
    torch.load(path, weights_only=False) if not bare else pickle.loads(path.read_bytes())
    assert sprung.exists()


def test_pickled_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="more than plain tensors"):
        checkpoints.read(saved(network(), tmp_path / "module.pth"))


@pytest.mark.parametrize(
    "what", [[1, 2], 3, {"conv": 1}, {0: torch.zeros(1)}, {"state": {"conv": torch.zeros(1)}}, torch.zeros(1)]
)
def test_only_named_tensors_are_read(tmp_path: Path, what: object) -> None:
    with pytest.raises(WeightsError, match=r"^other\.pth holds something other than tensors"):
        checkpoints.read(saved(what, tmp_path / "other.pth"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("left", [0, 1, 9, 200, -1, -30])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, left: int) -> None:
    path = saved(weights(), tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(WeightsError, match=rf"^cut{suffix} .*\.$"):
        checkpoints.read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>Sign in</html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(99)],
)
def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"^odd{suffix} .*\.$"):
        checkpoints.read(path)


def test_other_zip_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "letters.pth", "w") as archive:
        archive.writestr("letter.txt", "Dear reader")
    with pytest.raises(WeightsError, match=r"^letters\.pth "):
        checkpoints.read(tmp_path / "letters.pth")


@pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors", "folder.pth", "folder.safetensors"])
def test_unreadable_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(WeightsError, match=rf"^{name} cannot be read: .*\.$"):
        checkpoints.read(tmp_path / name)


def test_unknown_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^model\.onnx: weights are read from"):
        checkpoints.read(tmp_path / "model.onnx")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_each_kind_of_mismatch_is_reported_and_nothing_is_loaded(tmp_path: Path, suffix: str) -> None:
    given = weights()
    del given["norm.bias"]
    given["conv.extra"] = torch.zeros(1)
    given["conv.weight"] = torch.zeros(4, 3, 5, 5)
    given["norm.num_batches_tracked"] = torch.tensor(0.0)
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        checkpoints.load_into(module, saved(given, tmp_path / f"misfit{suffix}"))
    assert str(caught.value) == (
        f"misfit{suffix} is not this model's: it lacks norm.bias; it has in excess conv.extra; it has in "
        "another shape conv.weight (4×3×5×5 for 4×3×3×3); it has as another kind of number "
        "norm.num_batches_tracked (torch.float32 for torch.int64)."
    )
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_only_a_few_of_many_mismatches_are_listed(tmp_path: Path) -> None:
    given = {f"other.{n}": torch.zeros(1) for n in range(100)}
    with pytest.raises(WeightsError) as caught:
        checkpoints.load_into(network(), saved(given, tmp_path / "other.safetensors"))
    told = str(caught.value)
    assert "lacks conv.weight, conv.bias, norm.weight and 4 more" in told
    assert " and 97 more." in told
    assert len(told) < 300
