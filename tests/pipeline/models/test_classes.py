"""The model of classes: the union of those that are chosen, from torchvision's network and weights."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.segmentation import DeepLabV3_ResNet101_Weights

from pipeline import models, preview
from pipeline.__main__ import main
from pipeline.errors import InputError, WeightsError
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import MapsClasses, PromptedFrame, classes
from pipeline.models.classes import NAMES, Classes
from pipeline.networks import deeplab
from pipeline.process import process
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.weights import verify
from tests import ffprobe

CARD = models.card("classes")
CPU = torch.device("cpu")


class Thirds(torch.nn.Module):
    """Sees dogs in the left third, people in the middle, and nothing at the right."""

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.zeros(pictures.shape[0], 1 + len(NAMES), *pictures.shape[2:])
        third = pictures.shape[3] // 3
        logits[:, 1 + NAMES.index("dog"), :, :third] = 20
        logits[:, 1 + NAMES.index("person"), :, third : 2 * third] = 20
        logits[:, 0, :, 2 * third :] = 20
        return {"out": logits}


def predict(chosen: tuple[str, ...], height: int = 90, width: int = 180) -> models.Prediction:
    frame = np.full((height, width, 3), 128, np.uint8)
    (prediction,) = Classes(Thirds(), CPU).choose(chosen).predict(iter([PromptedFrame(frame)]))
    return prediction


@pytest.mark.parametrize(
    ("chosen", "seen"), [(("dog",), [1, 0, 0]), (("person",), [0, 1, 0]), (("dog", "person"), [1, 1, 0])]
)
def test_the_matte_is_the_union_of_the_classes_that_are_chosen(
    chosen: tuple[str, ...], seen: list[int]
) -> None:
    for height, width in ((90, 180), (1200, 1800)):
        prediction = predict(chosen, height, width)
        assert prediction.matte.shape == (height, width)
        middles = [int(prediction.matte[height // 2, (2 * n + 1) * width // 6]) for n in range(3)]
        assert middles == [255 * one for one in seen] and prediction.confidence > 0.9


def test_where_nothing_is_of_the_class_the_matte_is_empty_and_to_be_reviewed() -> None:
    prediction = predict(("cat",))
    assert not prediction.matte.any() and prediction.confidence < models.LOW_CONFIDENCE


def test_names_and_address_are_those_of_torchvision() -> None:
    published = DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1
    assert CARD.weights is not None
    (file,) = CARD.weights.files
    assert ["__background__", *NAMES] == published.meta["categories"]
    assert file.url == published.url and file.sha256 in file.name
    assert abs(file.bytes - published.meta["_file_size"] * 2**20) < 2**10


def test_the_networks_weights_are_as_large_as_the_published_ones() -> None:
    with torch.device("meta"):
        tensors = deeplab.create(1 + len(NAMES)).state_dict()
    assert CARD.weights is not None
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert 0 < CARD.weights.bytes - size < 2**20  # names and shapes
    assert any(name.startswith("aux_classifier.") for name in tensors)


def test_the_network_takes_normalised_colours() -> None:
    seen = []

    class Recording(Thirds):
        def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
            seen.append(pictures)
            return super().forward(pictures)

    list(Classes(Recording(), CPU).predict(iter([PromptedFrame(np.full((40, 60, 3), 255, np.uint8))])))
    (pictures,) = seen
    assert pictures.shape == (1, 3, 40, 60)
    assert pictures[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)


def test_a_file_whose_hash_begins_otherwise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"others")
    assert CARD.weights is not None
    (file,) = CARD.weights.files
    with pytest.raises(WeightsError):
        verify.verify_file(file, path)
    verify.verify_file(replace(file, sha256=verify.sha256(path)[:8]), path)


def small() -> torch.nn.Module:
    class Small(torch.nn.Module):
        """One layer in place of a hundred, with an auxiliary head."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = torch.nn.Conv2d(3, 1 + len(NAMES), 1)
            self.aux_classifier: torch.nn.Module | None = torch.nn.Conv2d(3, 2, 1)

        def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
            assert self.aux_classifier is None
            return {"out": self.classifier(pictures)}

    torch.manual_seed(1)
    return Small()


def test_a_job_names_its_classes(clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeplab, "create", lambda count: small())
    weights = tmp_path / "w.pth"
    torch.save(small().state_dict(), weights)
    every = Job(
        clip_path,
        tmp_path / "out.mp4",
        "classes",
        classes=NAMES,
        weights=weights,
        matte=tmp_path / "m.mkv",
        end=0.2,
    )
    for _ in process(every):
        pass
    assert every.matte is not None
    assert (ffprobe.frames(every.matte, "gray") > 127).mean() > 0.5
    dog = replace(every, classes=("dog",))
    assert matte_key(dog) != matte_key(every)
    assert matte_key(replace(every, classes=NAMES[::-1])) == matte_key(every)
    other = Job(clip_path, tmp_path / "o.mp4", "grabcut")
    assert matte_key(replace(other, classes=("dog",))) == matte_key(other)


def test_unknown_classes_and_none_are_refused(clip_path: Path, tmp_path: Path) -> None:
    job = Job(clip_path, tmp_path / "out.mp4", "classes")
    with pytest.raises(InputError, match="at least one class"):
        list(process(job))
    with pytest.raises(InputError, match=r"no class called 'unicorn'.*person"):
        list(process(replace(job, classes=("dog", "unicorn"))))
    assert classes.DEFAULT == ("person",) and set(classes.DEFAULT) <= set(NAMES)


# ---------------------------------------------------------------- the map of all classes

PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
"""On linear RGB, by Machado, Oliveira and Fernandes (2009): without red, and without green cones."""


@pytest.mark.parametrize(
    "seen_by", [np.eye(3), np.array(PROTAN), np.array(DEUTAN)], ids=["all", "protan", "deutan"]
)
def test_the_colours_of_any_two_classes_differ(seen_by: np.ndarray) -> None:
    colours = classes.palette() / 255
    assert colours.shape == (len(classes.ALL), 3)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ seen_by.T, 0, 1)
    shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(shown[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert apart[~np.eye(len(lab), dtype=bool)].min() > 20


def test_a_map_has_the_likeliest_class_of_each_pixel() -> None:
    found = Classes(Thirds(), CPU).find_map(np.full((1200, 1800, 3), 128, np.uint8))
    assert found.shape == (1200, 1800) and found.dtype == np.uint8
    names = [classes.ALL[int(found[600, x])] for x in (300, 900, 1500)]
    assert names == ["dog", "person", "background"]
    assert sorted(np.unique(found)) == [0, classes.ALL.index("dog"), classes.ALL.index("person")]


def test_the_command_line_writes_a_map_that_others_read(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deeplab, "create", lambda count: small())
    weights, output = tmp_path / "w.pth", tmp_path / "map.png"
    torch.save(small().state_dict(), weights)
    options = ["--view", "classes", "--at", "0.1", "--weights", str(weights), "--device", "cpu", "--json"]
    assert main(["preview", str(clip_path), str(output), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    model = models.load("classes", "cpu", weights)
    assert isinstance(model, MapsClasses)
    clip = probe_clip(clip_path)
    pts = load_index(clip_path).frame_at(round(0.1 / clip.time_base))
    (frame,) = read_frames(clip_path, only=[pts])
    numbers = model.find_map(frame.image)
    assert len(np.unique(numbers)) > 1
    assert told["classes"] == {classes.ALL[n]: classes.COLOURS[n] for n in np.unique(numbers)}
    # FFmpeg reads the colours, and nothing of Recorte.
    assert np.array_equal(ffprobe.frames(output, "rgb24")[0], classes.palette()[numbers])


def test_only_the_model_of_classes_has_a_map(clip_path: Path, tmp_path: Path) -> None:
    job = Job(clip_path, tmp_path / "out.mp4", "grabcut")
    assert preview.find_classes(job, load_index(clip_path).pts[0]) is None
    assert main(
        ["preview", str(clip_path), str(tmp_path / "map.png"), "--view", "classes", "--model", "grabcut"]
    )
