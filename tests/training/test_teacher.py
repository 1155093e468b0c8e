"""The teacher: its weights out of an ONNX file, and where its mattes are believed."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline.errors import WeightsError
from pipeline.networks import isnet
from pipeline.networks.isnet import Isnet, Row
from tests.rendered import subject_over_background, write_clip
from tests.training import made
from training import teacher
from training.photos import Photos

CPU = torch.device("cpu")
FEW = (Row("stage1", 4, 2, 4, 3), Row("stage2", 4, 2, 4, 2), Row("stage1d", 8, 2, 4, 3))
"""An IS-Net of two levels."""


class Bright(nn.Module):
    """Finds what is red."""

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return 40 * picture[:, :1]


def write_onnx(path: Path, network: nn.Module, half: bool) -> None:
    """The convolutions of a network as an exporter leaves them: named by their modules, cast from half."""
    nodes, tensors = [], []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            for part, value in module.named_parameters():
                array = value.detach().numpy().astype(np.float16 if half else np.float32)
                tensors.append(numpy_helper.from_array(array, f"{name}.{part}"))
                if half:
                    inputs, outputs = [f"{name}.{part}"], [f"cast {name}.{part}"]
                    nodes.append(helper.make_node("Cast", inputs, outputs, to=TensorProto.FLOAT))
            cast = "cast " if half else ""
            inputs = ["input", f"{cast}{name}.weight", f"{cast}{name}.bias"]
            nodes.append(helper.make_node("Conv", inputs, [name], name=f"/{name.replace('.', '/')}/Conv"))
    onnx.save(helper.make_model(helper.make_graph(nodes, "network", [], [], tensors)), path)


@pytest.mark.parametrize("half", [True, False])
def test_an_onnx_file_loads_as_the_exported_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    monkeypatch.setattr(teacher, "Isnet", lambda: Isnet(FEW))
    torch.manual_seed(0)
    network = Isnet(FEW).eval()
    for module in network.modules():
        if isinstance(module, isnet._Unit):
            module.bn_s1 = nn.Identity()
    write_onnx(tmp_path / "isnet.onnx", network, half)
    picture = torch.rand(1, 3, 64, 64) - 0.5
    with torch.inference_mode():
        torch.testing.assert_close(
            teacher.load(tmp_path / "isnet.onnx")(picture), network(picture), rtol=1e-2, atol=1e-3
        )


def test_files_other_than_isnet_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"^other.onnx is no IS-Net"):
        teacher.load(tmp_path / "other.onnx")


def test_the_teacher_is_used_only_at_the_masks_edge() -> None:
    mask = made.disc(200, 200)
    taught = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5))
    taught[90:110, 90:110] = 0  # a hole
    taught[5:25, 5:25] = 255  # something else
    softened = teacher.soften_mask(mask, taught)
    edge = teacher._distance_to_edge(mask > 127) <= 2
    assert np.array_equal(softened[edge], taught[edge]) and ((softened > 20) & (softened < 235)).any()
    assert (softened[90:110, 90:110] == 255).all() and not softened[5:25, 5:25].any()


def test_a_teacher_that_misses_the_subject_is_not_used() -> None:
    mask = made.disc(200, 200)
    assert np.array_equal(teacher.soften_mask(mask, np.zeros_like(mask)), mask)
    half = np.where(np.arange(200) < 100, mask, 0).astype(np.uint8)
    softened = teacher.soften_mask(mask, half)
    assert np.array_equal(softened[:, 120:], mask[:, 120:])


def test_uncertainty_counts_wide_intermediate_areas_only() -> None:
    sure = made.disc(200, 200)
    soft = np.asarray(cv2.GaussianBlur(sure, (0, 0), 1))
    half = np.where(np.arange(200) < 100, soft, soft // 2).astype(np.uint8)
    assert teacher.uncertain_share(sure) == 0 and teacher.uncertain_share(soft) < 0.02
    assert teacher.uncertain_share(half) == pytest.approx(0.5, abs=0.05)
    assert teacher.uncertain_share(np.zeros_like(sure)) == 1


def test_existing_alphas_are_kept(tmp_path: Path, data: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    (folder / "alphas").mkdir()
    kept = folder / "alphas" / "horse_00.png"
    cv2.imwrite(str(kept), np.full(made.SIZE, 9, np.uint8))
    teacher.label_photos(Bright(), folder, ["horse"], CPU)
    assert {path.stem for path in (folder / "alphas").iterdir()} == {"horse_00", "horse_01"}
    photos = Photos(folder)
    assert (photos.read("horse_00").alpha == 9).all()
    assert ((photos.read("horse_01").alpha > 127) == (made.disc() > 127)).mean() > 0.99


def test_video_frames_are_added_with_the_teachers_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "_CLIP_SIDE", 64)
    monkeypatch.setattr(teacher, "uncertain_share", lambda _: 0.0)
    frames, _ = subject_over_background(12, 480, 200)
    write_clip(tmp_path / "a_dog.mkv", frames)
    data = tmp_path / "data"
    for folder in ("photos", "alphas"):
        (data / folder).mkdir(parents=True)
    teacher.label_clip(Bright(), tmp_path / "a_dog.mkv", data, CPU)
    names = Photos(data).scenes["clip"]["a-dog"]
    assert 2 <= len(names) <= 12 and names == sorted(names)
    picture, alpha = Photos(data).read(names[0])
    assert alpha.shape == (160, 384) and 0 < alpha.mean() < 255
    assert picture[alpha > 250, 0].mean() > picture[alpha < 5, 0].mean()


def test_frames_with_an_uncertain_matte_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "uncertain_share", lambda _: 0.5)
    frames, _ = subject_over_background(3, 320, 180)
    write_clip(tmp_path / "a_dog.mkv", frames)
    teacher.label_clip(Bright(), tmp_path / "a_dog.mkv", tmp_path / "data", CPU)
    assert not (tmp_path / "data").exists()
