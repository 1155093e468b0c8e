"""The model of classes: the union of those that are chosen, from torchvision's network and weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.segmentation import DeepLabV3_ResNet101_Weights

from pipeline import models
from pipeline.errors import InputError, WeightsError
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import PromptedFrame, classes
from pipeline.models.classes import NAMES, Classes
from pipeline.networks import deeplab
from pipeline.process import process
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
