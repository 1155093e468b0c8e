"""Words by the detector of SAM 3: its plumbing with a tiny random network, and the choice of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import __main__ as command
from pipeline.errors import InputError, WeightsError
from pipeline.imaging import detection
from pipeline.models import helpers, registry, word_networks
from pipeline.networks import sam3
from pipeline.propagation import words
from pipeline.weights import licences, locate
from pipeline.weights.spec import File, Weights
from tests.pipeline.hub import Hub, apart
from tests.pipeline.models.test_sam2 import exactly as exactly
from tests.pipeline.models.test_sam2 import single as single
from tests.pipeline.models.test_sam3 import published as published
from tests.pipeline.models.test_sam3 import reduced as reduced
from tests.pipeline.propagation.test_words import ByColour, call
from tests.pipeline.propagation.test_words import scenes_path as scenes_path

REVISION = "3c879f39826c281e95690f02c7821c4de09afae7"

PARTS = ("<|startoftext|>", "<|endoftext|>", "t", "h", "e</w>", "c", "a", "r</w>", "a</w>", "ca", "car</w>")


def tokenizer(folder: Path) -> tuple[Path, Path]:
    """A vocabulary of a few words, and how its parts are joined."""
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({part: number for number, part in enumerate(PARTS)}), encoding="utf-8")
    merges.write_text("#version: 0.2\nc a\nca r</w>\n", encoding="utf-8")
    return vocabulary, merges


class Recording(torch.nn.Module):
    """In place of the network: answers with two boxes, and keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_size=112)
        self.pictures: list[torch.Tensor] = []
        self.asked: list[dict[str, Any]] = []

    def get_vision_features(self, pixels: torch.Tensor) -> torch.Tensor:
        self.pictures.append(pixels)
        return pixels

    def forward(self, **given: Any) -> object:
        self.asked.append(given)
        return SimpleNamespace(
            pred_boxes=torch.tensor([[[0.25, 0.5, 0.75, 1.0], [-0.1, 0.1, 0.3, 0.2]]]),
            pred_logits=torch.tensor([[2.0, 0.0]]),
            presence_logits=torch.tensor([[0.0]]),
        )


def test_a_picture_is_encoded_once_and_each_phrase_has_its_own_boxes(tmp_path: Path) -> None:
    network = Recording()
    detect = sam3.Sam3Detector(network, *tokenizer(tmp_path), torch.device("cpu"))
    boxes, scores = detect(np.full((100, 200, 3), 255, np.uint8), ("the car", "a"))
    (pixels,) = network.pictures
    assert pixels.shape == (1, 3, 112, 112) and float(pixels.mean()) == pytest.approx(1)
    first, second = network.asked
    assert first["vision_embeds"] is pixels and second["vision_embeds"] is pixels
    # Begin, "the" in its parts, "car" as a whole, end; then as many ends as make 32.
    assert first["input_ids"][0].tolist() == [0, 2, 3, 4, 10, *[1] * 27]
    assert first["attention_mask"][0].tolist() == [1] * 6 + [0] * 26
    assert second["input_ids"][0, :3].tolist() == [0, 8, 1]
    once = [[50, 50, 150, 100], [-20, 10, 60, 20]]
    assert boxes == pytest.approx(np.array([*once, *once]), abs=1e-3)
    assert scores == pytest.approx(np.array([[0.4404, 0], [0.25, 0], [0, 0.4404], [0, 0.25]]), abs=1e-3)
    assert boxes.dtype == scores.dtype == np.float32


def test_long_phrases_are_cut(tmp_path: Path) -> None:
    network = Recording()
    detect = sam3.Sam3Detector(network, *tokenizer(tmp_path), torch.device("cpu"))
    detect(np.zeros((10, 10, 3), np.uint8), ("car " * 49,))
    assert network.asked[0]["input_ids"].shape == (1, 32)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch, published: Path, tmp_path: Path, reduced: None) -> Path:
    """Have the small network's files where those of SAM 3 are looked for; returns their folder."""
    apart(monkeypatch, tmp_path)
    folder = locate.weights_folder() / "facebook/sam3"
    folder.mkdir(parents=True)
    tokenizer(folder)
    (folder / "model.safetensors").write_bytes(published.read_bytes())
    card = registry.card("sam3")
    assert card.weights is not None

    def pinned(file: File) -> File:
        data = (locate.weights_folder() / file.name).read_bytes()
        return replace(file, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    own = replace(card, weights=Weights(tuple(map(pinned, card.weights.files))))
    monkeypatch.setitem(registry.cards(), "sam3", own)
    return folder


def test_the_detector_is_loaded_from_verified_files_once_the_licence_is_acknowledged(present: Path) -> None:
    assert word_networks.list_ready() == ()
    with pytest.raises(WeightsError) as raised:
        words.load_detector("cpu", word_networks.SAM3)
    assert raised.value.message.key == "weights.licence"
    licences.acknowledge("sam3", "https://example.org")
    assert word_networks.list_ready() == (word_networks.SAM3,)
    assert word_networks.list_ready(lambda card: card.key != "sam3") == ()
    detect = words.load_detector("cpu", word_networks.SAM3)
    assert isinstance(detect, sam3.Sam3Detector) and words.load_detector("cpu", word_networks.SAM3) is detect
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    boxes, scores = detect(picture, ("the car", "a"))
    assert boxes.shape == (24, 4) and scores.shape == (24, 2) and np.isfinite(boxes).all()
    # Other words give other boxes of the same picture.
    assert np.abs(boxes[:12] - boxes[12:]).max() > 0.01
    assert (scores[:12, 0] > 0).all() and not scores[:12, 1].any()
    found = detection.find_boxes(picture, ("the car", "a"), detect, 0.0001)
    assert 0 < len(found) <= detection.MOST_OBJECTS
    (present / "merges.txt").write_text("c a\n", encoding="utf-8")
    with pytest.raises(WeightsError) as raised:
        words.load_detector("cpu", word_networks.SAM3)
    assert raised.value.message.key == "weights.wrong_hash"


def test_both_networks_are_ready_where_both_weights_are(
    present: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    licences.acknowledge("sam3", "https://example.org")
    there = replace(helpers.GROUNDING_DINO, weights=Weights(()))
    monkeypatch.setattr(helpers, "GROUNDING_DINO", there)
    assert word_networks.list_ready() == word_networks.NETWORKS == ("grounding-dino", "sam3")
    assert [word_networks.find_label(key) for key in word_networks.NETWORKS] == ["GroundingDINO", "SAM 3"]
    with pytest.raises(InputError, match="no model called 'yolo'"):
        word_networks.find_label("yolo")


# ---------------------------------------------------------------- the command line


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, present: Path) -> list[str]:
    """A stand-in for the networks; the keys of those that are loaded."""
    loaded: list[str] = []

    def load(_device: str, network: str) -> ByColour:
        loaded.append(network)
        return ByColour()

    monkeypatch.setattr(words, "load_detector", load)
    return loaded


def run(path: Path, folder: Path, *options: str) -> int:
    return call("run", path, folder / "o.mp4", "--model", "carrying", "--end", "0.5", *options)


def test_sam_3_finds_the_words_where_it_is_chosen(
    found: list[str], scenes_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted: Sequence[str] = ("--words", "red", "--words-model", "sam3")
    assert run(scenes_path, tmp_path, *wanted) == command.AT_FAULT
    assert "may not be used for military ends" in capsys.readouterr().err and found == []
    assert run(scenes_path, tmp_path, *wanted, "--accept-licence") == command.DONE
    assert found == ["sam3"]
    # Of the two squares, one has a score of more than 0.5 and the other of more than 0.35.
    assert capsys.readouterr().err.count("red, box") == 2
    assert run(scenes_path, tmp_path, *wanted, "--words-threshold", "0.7") == command.DONE
    assert capsys.readouterr().err.count("red, box") == 1


def test_missing_weights_are_asked_for_with_the_users_token(
    found: list[str],
    present: Path,
    scenes_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (present / "model.safetensors").unlink()
    hub = Hub(status=403)
    with hub.serving():
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        wanted = ("--words", "red", "--words-model", "sam3", "--accept-licence")
        assert run(scenes_path, tmp_path, *wanted) == command.AT_FAULT
    assert hub.requests[0][0].endswith("/facebook/sam3/resolve/" + REVISION + "/model.safetensors")
    assert "Bearer hf_secret" in hub.authorizations
    told = capsys.readouterr().err
    assert "only to an account that has accepted its terms (403)" in told and "HF_TOKEN" in told
    assert found == []


def test_an_unknown_network_is_refused(
    scenes_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(scenes_path, tmp_path, "--words", "red", "--words-model", "yolo")
    assert "argument --words-model: invalid choice: 'yolo'" in capsys.readouterr().err
