"""The whole of it: from a data folder to weights that the network can be given."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from pipeline.networks.recorte import Recorte
from pipeline.weights import checkpoints
from training import __main__ as command
from training import evaluation, trainer
from training.trainer import BatchSize, Stage


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stage(0.5, [BatchSize(32, 2)], [1]), Stage(1.0, [BatchSize(64, 2)], [1])
    monkeypatch.setattr(command, "Recipe", partial(trainer.Recipe, stages=stages))
    monkeypatch.setattr(evaluation, "_SIDE", 64)


def test_the_command_writes_weights_and_resumes(
    tiny: None, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made" / "here"
    told = [str(data), str(folder), "--device", "cpu", "--workers", "0", "--every", "2", "--steps"]
    command.main([*told, "2"])
    (line,) = capsys.readouterr().out.splitlines()
    figures = json.loads(line)
    assert (figures["step"], figures["episodes"]) == (2, 4)
    kinds = {
        f"{kind}, {how}"
        for kind in ("things", "people", "cats")
        for how in ("automatic", "box", "click", "clicks")
    }
    assert kinds | {"carried"} == figures.keys() - {"step", "episodes", "seconds", "overall"}
    assert all(0 <= figures[name] <= 1 for name in kinds)
    assert json.loads((folder / "recorte.json").read_text()) == figures

    weights = checkpoints.read(folder / "recorte.safetensors")
    assert {v.dtype for v in weights.values() if v.is_floating_point()} == {torch.float16}
    network = Recorte()
    checkpoints.load_into(network, folder / "recorte.safetensors")
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in network.parameters())

    command.main([*told, "4"])
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Going on from step 2." and json.loads(last)["step"] == 4
    kept = json.loads((folder / "recorte.json").read_text())
    assert kept["overall"] == max(figures["overall"], json.loads(last)["overall"])
    assert {path.name for path in folder.iterdir()} == {"recorte.json", "recorte.safetensors", "state.pt"}


def test_training_can_start_from_given_weights(
    tiny: None, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--device", "cpu", "--workers", "0", "--steps", "1", "--save", "1"]
    command.main([str(data), str(tmp_path / "one"), *told])
    start = tmp_path / "one" / "recorte.safetensors"
    command.main([str(data), str(tmp_path / "two"), *told, "--start", str(start)])
    before, after = (
        checkpoints.read(tmp_path / name / "recorte.safetensors")["stem.0.weight"] for name in ("one", "two")
    )
    assert torch.allclose(before, after, atol=1e-2) and (tmp_path / "two" / "state.pt").exists()
    with pytest.raises(SystemExit, match=r"^none.safetensors cannot be read"):
        command.main([str(data), str(tmp_path / "two"), *told, "--start", str(tmp_path / "none.safetensors")])


def test_an_unusable_data_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^nowhere has too few photos/KIND_\*\.jpg to learn by"):
        command.main([str(tmp_path / "nowhere"), str(tmp_path / "made")])
    assert not (tmp_path / "made").exists()


def test_an_unknown_device_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="'fast' is no device"):
        command.main([str(data), str(tmp_path), "--device", "fast"])
