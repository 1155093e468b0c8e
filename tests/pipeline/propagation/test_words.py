"""Prompts from words: phrases, scenes, objects, the network's plumbing, and the command line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.core_model_loading import revert_weight_conversion

from pipeline import __main__ as command
from pipeline import prompts
from pipeline.errors import InputError, WeightsError
from pipeline.imaging import detection
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.matte import MatteFile
from pipeline.models import helpers
from pipeline.networks import grounding_dino
from pipeline.prompts import Box, Prompt
from pipeline.propagation import words
from pipeline.video.reading.probe import probe_clip
from pipeline.weights import locate
from pipeline.weights.spec import Weights
from tests.pipeline import stand_in
from tests.pipeline.hub import apart
from tests.rendered import write_clip

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


class ByColour:
    """In place of the network: finds squares of the colour that a phrase holds."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, image: np.ndarray, phrases: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(tuple(phrases))
        boxes, scores = [(0.0, 0.0, 0.2, 0.2)], [[0.9] * len(phrases)]  # less than a pixel
        for column, phrase in enumerate(phrases):
            for word in set(phrase.split()) & COLOURS.keys():
                like = (np.abs(image.astype(int) - COLOURS[word]).max(2) < 60).astype(np.uint8)
                _count, _labels, regions, _centres = cv2.connectedComponentsWithStats(like)
                for x, y, width, height, area in regions[1:]:
                    if area > 200:
                        score = [0.01] * len(phrases)
                        score[column] = min(0.95, 0.3 + area / 10000)
                        for shift in (0.0, 1.0):  # each is found twice
                            boxes.append((x - 0.3 + shift, y, x + width - 0.2 + shift, y + height))
                            scores.append([part - shift / 100 for part in score])
        return np.array(boxes, np.float32), np.array(scores, np.float32)


def squares(*chosen: tuple[str, int, int, int], seed: int = 1) -> np.ndarray:
    """A wall with squares: colour, left, top and side."""
    random = np.random.default_rng(seed)
    wall = cv2.resize(
        random.integers(70, 160, (9, 16, 1), np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC
    )
    picture = np.repeat(wall[..., None], 3, 2)
    for colour, x, y, side in chosen:
        picture[y : y + side, x : x + side] = COLOURS[colour]
    return picture


@pytest.fixture(scope="module")
def scenes_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of a second at 12 frames; in the second the red square is not there for half of it."""
    one = squares(("red", 20, 40, 60), ("red", 200, 60, 70), ("green", 120, 20, 50))
    other = 255 - squares(seed=9)
    later = other.copy()
    later[50:120, 90:160] = COLOURS["red"]
    frames = [one] * 12 + [other] * 6 + [later] * 6
    return write_clip(tmp_path_factory.mktemp("words") / "scenes.mp4", frames, rate=12)


def hits_of(path: Path, phrases: Sequence[str], **options: Any) -> tuple[detection.Hit, ...]:
    *_, last = words.search(probe_clip(path), (0, 10**9), phrases, ByColour(), **options)
    assert (last.done, last.total) == (24, 24)
    return last.hits


def near(box: Box | None, *corners: float) -> bool:
    assert box is not None
    return all(abs(a - b) <= 3 for a, b in zip((box.x0, box.y0, box.x1, box.y1), corners, strict=True))


# ---------------------------------------------------------------- phrases and scenes


def test_phrases_are_split_at_commas_and_full_stops() -> None:
    assert detection.split_phrases("The red  car, a dog. the red car;\n?") == ("the red car", "a dog")
    for nothing in ("", " . , "):
        with pytest.raises(InputError) as raised:
            detection.split_phrases(nothing)
        assert raised.value.message.key == "words.needed"
    with pytest.raises(InputError) as raised:
        detection.split_phrases("a" * (detection.MOST_LETTERS + 1))
    assert raised.value.message.key == "words.too_long"


def test_several_hits_are_several_objects_the_best_first(scenes_path: Path) -> None:
    hits = hits_of(scenes_path, ("a red thing", "a green one"), threshold=0.4)
    first = [hit for hit in hits if hit.prompt.time == 0]
    assert [(hit.phrase, hit.prompt.object) for hit in first] == [
        ("a red thing", 1), ("a red thing", 2), ("a green one", 3)
    ]  # fmt: skip
    assert near(first[0].prompt.box, 200, 60, 270, 130) and near(first[1].prompt.box, 20, 40, 80, 100)
    assert near(first[2].prompt.box, 120, 20, 170, 70)
    assert first[0].score > first[1].score > 0.4
    for hit in hits:  # whole pixels, so that they are written and read alike
        box = hit.prompt.box
        assert box is not None and all(float(value).is_integer() for value in vars(box).values())


def test_every_scene_is_searched_and_later_where_its_first_frame_shows_nothing(
    scenes_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_AGAIN_SECONDS", 0.2)
    hits = hits_of(scenes_path, ("red",))
    assert [hit.prompt.object for hit in hits] == [1, 2, 1]
    again = hits[-1].prompt
    # At 1.0, 1.2 (or rather the frame after it) and 1.65 s; the square is there from 1.5 s on.
    assert 1.5 <= again.time < 1.75 and near(again.box, 90, 50, 160, 120)
    assert hits_of(scenes_path, ("blue",)) == ()


def test_a_scene_is_searched_again_from_the_times_where_a_subject_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A square that goes, and comes back elsewhere: boxes of the same object, on the frames that show it."""
    monkeypatch.setattr(words, "_AGAIN_SECONDS", 0.2)
    here, gone, back = squares(("red", 20, 40, 70)), squares(), squares(("red", 200, 60, 70))
    path = write_clip(tmp_path / "lost.mp4", [here] * 8 + [gone] * 8 + [back] * 8, rate=12)
    assert [hit.prompt.time for hit in hits_of(path, ("red",))] == [0]
    first, again = hits_of(path, ("red",), again=[0.7])
    assert first.prompt.object == again.prompt.object == 1
    # At 0.75, 0.95 (or rather the frame after it) and 1.4 s; the square is back from 1.33 s on.
    assert 1.33 <= again.prompt.time < 1.5 and near(again.prompt.box, 200, 60, 270, 130)
    assert len(hits_of(path, ("red",), again=[1.4, 0.0, 0.02, 1.41])) == 3
    assert hits_of(path, ("red",), again=[0.7], scenes=False) == (again,)
    assert hits_of(path, ("red",), scenes=False) == ()
    assert hits_of(path, ("red",), again=[1.9, 99.0]) == (first, *hits_of(path, ("red",), again=[1.9])[1:])


def test_a_search_from_a_time_on_ends_with_its_scene(
    scenes_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_AGAIN_SECONDS", 0.2)
    assert hits_of(scenes_path, ("blue",), again=[0.5], scenes=False) == ()
    assert hits_of(scenes_path, ("red",), again=[0.5], scenes=False)[-1].prompt.time == 0.5
    detect = ByColour()
    *_, last = words.search(probe_clip(scenes_path), (0, 10**9), ("blue",), detect, again=[0.9], scenes=False)
    assert last.hits == () and len(detect.asked) == 1  # the next would be in the other scene


def test_a_threshold_decides_what_is_a_hit(scenes_path: Path) -> None:
    assert len(hits_of(scenes_path, ("red",), threshold=0.75)) == 1
    with pytest.raises(InputError) as raised:
        hits_of(scenes_path, ("red",), threshold=1.5)
    assert raised.value.message.key == "words.threshold"


def test_no_more_objects_are_found_than_can_be_followed() -> None:
    def crowd(_image: np.ndarray, phrases: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        boxes = [(10 * k, 0, 10 * k + 8, 8) for k in range(20)]
        return np.array(boxes, np.float32), np.full((20, len(phrases)), 0.5, np.float32)

    found = detection.find_boxes(np.zeros((100, 300, 3), np.uint8), ("a",), crowd, 0.35)
    assert len(found) == detection.MOST_OBJECTS


# ---------------------------------------------------------------- the network

TINY: dict[str, Any] = {
    "backbone_config": {
        "model_type": "swin", "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
        "window_size": 4, "image_size": 64, "out_indices": [2, 3, 4],
    },
    "text_config": {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 1040,
    },
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_queries": 12,
}  # fmt: skip
PUBLISHED = {file.name.split("/")[-1]: file for file in helpers.GROUNDING_DINO.weights.files}


def vocabulary(folder: Path) -> Path:
    """A vocabulary of a few words, with the network's special ones at their places."""
    tokens = [f"[unused{n}]" for n in range(1040)]
    for place, token in ((0, "[PAD]"), (100, "[UNK]"), (101, "[CLS]"), (102, "[SEP]"), (103, "[MASK]")):
        tokens[place] = token
    tokens[1012], tokens[1029] = ".", "?"
    tokens[1030:1036] = ["the", "red", "car", "a", "dog", "##s"]
    path = folder / "vocab.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of a tiny random network and its vocabulary, named as the published ones."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    network = grounding_dino.GroundingDinoForObjectDetection(grounding_dino.configure(**TINY))
    network.save_pretrained(folder)
    vocabulary(folder)
    return folder


def as_published(saved: Mapping[str, torch.Tensor], side: int) -> dict[str, torch.Tensor]:
    """The tensors of a saved network as the published file has them: older, with indices, without a norm."""
    tensors = {name: tensor for name, tensor in saved.items() if ".swin.layernorm." not in name}
    for name in list(tensors):
        if name.endswith("attention.self.relative_position_bias_table"):
            index = torch.zeros(side**2, side**2, dtype=torch.int64)
            tensors[name.replace("bias_table", "index")] = index
    return tensors


def test_the_published_file_holds_just_the_networks_tensors() -> None:
    """To the byte, the header with the names included: 990 tensors."""
    with torch.device("meta"):
        network = grounding_dino.GroundingDinoForObjectDetection(grounding_dino.configure())
    shared = re.compile(r"model\.decoder\.bbox_embed|bbox_embed\.[1-9]")
    own = {name: tensor for name, tensor in network.state_dict().items() if not shared.match(name)}
    tensors = as_published(revert_weight_conversion(network, own), 7)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    past = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].dtype != torch.int64, item[0])):
        first, past = past, past + tensor.numel() * tensor.element_size()
        kind = "I64" if tensor.dtype == torch.int64 else "F32"
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [first, past]}
    names = json.dumps(header, separators=(",", ":"))
    size = 8 + -(-len(names) // 8) * 8 + past
    assert (len(tensors), size) == (990, PUBLISHED["model.safetensors"].bytes)


def test_tensors_are_loaded_by_the_names_that_the_published_file_has(tiny: Path, tmp_path: Path) -> None:
    tensors = as_published(load_file(tiny / "model.safetensors"), 4)
    assert (
        "model.backbone.conv_encoder.model.encoder.layers.0.blocks.0.attention.self.query.weight" in tensors
    )
    assert len(tensors) == len(load_file(tiny / "model.safetensors")) - 2 + 4
    save_file(tensors, tmp_path / "model.safetensors")
    loaded = grounding_dino.load(tmp_path / "model.safetensors", grounding_dino.configure(**TINY))
    again = {name for name, _ in loaded.named_parameters() if ".swin.layernorm." not in name}
    whole = grounding_dino.load(tiny / "model.safetensors", grounding_dino.configure(**TINY)).state_dict()
    assert all(torch.equal(loaded.state_dict()[name], whole[name]) for name in again)


def test_boxes_and_scores_come_for_each_phrase(tiny: Path) -> None:
    network = grounding_dino.load(tiny / "model.safetensors", grounding_dino.configure(**TINY))
    detect = grounding_dino.GroundingDino(network, tiny / "vocab.txt", torch.device("cpu"))
    random = np.random.default_rng(0)
    for height, width in ((90, 160), (70, 40)):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        boxes, scores = detect(image, ("the red car", "a dogs"))
        assert (
            boxes.shape == (12, 4) and scores.shape == (12, 2) and boxes.dtype == scores.dtype == np.float32
        )
        assert (boxes[:, :2] < boxes[:, 2:]).all() and np.ptp(boxes) > 1
        assert (scores > 0).all() and (scores < 1).all()


def test_the_input_is_prepared_as_the_network_was_trained(tmp_path: Path) -> None:
    """The shorter side of 800 pixels, the longer of 1333 at most; phrases end with full stops."""
    seen: dict[str, torch.Tensor] = {}

    class Recording(torch.nn.Module):
        def forward(self, **given: torch.Tensor) -> object:
            seen.update(given)
            logits = torch.full((1, 2, 256), -torch.inf)
            logits[0, 0, 2], logits[0, 0, 6], logits[0, 1, 5] = 0.0, -2.0, 3.0
            boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.25], [0.1, 0.2, 0.4, 0.2]]])
            return type("Output", (), {"logits": logits, "pred_boxes": boxes})

    detect = grounding_dino.GroundingDino(Recording(), vocabulary(tmp_path), torch.device("cpu"))
    image = np.full((100, 200, 3), 255, np.uint8)
    boxes, scores = detect(image, ("The red car", "a dog"))
    assert seen["input_ids"].tolist() == [[101, 1030, 1031, 1032, 1012, 1033, 1034, 1012, 102]]
    assert seen["pixel_values"].shape == (1, 3, 666, 1333)
    assert seen["pixel_values"][0, :, 9, 9] == pytest.approx([(1 - m) / s for m, s in (
        (0.485, 0.229), (0.456, 0.224), (0.406, 0.225)
    )])  # fmt: skip
    assert boxes == pytest.approx(np.array([[50, 37.5, 150, 62.5], [-20, 10, 60, 30]]), abs=1e-3)
    assert scores == pytest.approx(np.array([[0.5, 0.1192], [0, 0.9526]]), abs=1e-3)
    detect(np.zeros((1600, 1200, 3), np.uint8), ("a",))
    assert seen["pixel_values"].shape == (1, 3, 1067, 800)


@pytest.mark.parametrize("fault", ["lacks", "has_excess", "other_shape"])
def test_weights_of_another_network_are_refused(tiny: Path, tmp_path: Path, fault: str) -> None:
    tensors = load_file(tiny / "model.safetensors")
    if fault == "lacks":
        del tensors["model.level_embed"]
    elif fault == "has_excess":
        tensors["model.more"] = torch.zeros(1)
    else:
        tensors["model.level_embed"] = torch.zeros(3, 3)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError) as raised:
        grounding_dino.load(tmp_path / "model.safetensors", grounding_dino.configure(**TINY))
    told = raised.value.message.fields["told"]
    assert raised.value.message.key == "weights.not_this_model" and f"weights.{fault}" == told.key  # type: ignore[union-attr]


def put_weights(monkeypatch: pytest.MonkeyPatch, tiny: Path, folder: Path) -> None:
    """Have the tiny network's files where those of GroundingDINO are looked for."""
    apart(monkeypatch, folder)
    files = []
    for published in helpers.GROUNDING_DINO.weights.files:
        data = (tiny / Path(published.name).name).read_bytes()
        path = locate.weights_folder() / published.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files.append(replace(published, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
    weights = Weights(tuple(files))
    monkeypatch.setattr(helpers, "GROUNDING_DINO", replace(helpers.GROUNDING_DINO, weights=weights))
    monkeypatch.setattr(
        grounding_dino, "configure", lambda configure=grounding_dino.configure: configure(**TINY)
    )


def test_the_detector_is_loaded_once_from_verified_files(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, tmp_path: Path
) -> None:
    put_weights(monkeypatch, tiny, tmp_path)
    detect = words.load_detector("cpu")
    assert isinstance(detect, grounding_dino.GroundingDino) and words.load_detector("cpu") is detect
    boxes = detection.find_boxes(squares(), ("the red car",), detect, 0.0001)
    assert 0 < len(boxes) <= detection.MOST_OBJECTS
    path = locate.weights_folder() / "IDEA-Research/grounding-dino-tiny/vocab.txt"
    path.write_bytes(path.read_bytes() + b"more\n")
    with pytest.raises(WeightsError) as raised:
        words.load_detector("cpu")
    assert raised.value.message.key == "weights.wrong_hash"
    path.unlink()
    with pytest.raises(WeightsError) as raised:
        words.load_detector("cpu")
    assert raised.value.message.key == "weights.missing" and "grounding-dino" in str(raised.value)


# ---------------------------------------------------------------- the command line


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tiny: Path, tmp_path: Path) -> ByColour:
    """The stand-in where the command line loads the network, whose weights are here."""
    put_weights(monkeypatch, tiny, tmp_path)
    detector = ByColour()
    monkeypatch.setattr(words, "load_detector", lambda device, network: detector)
    return detector


def call(*arguments: str | Path) -> int:
    with stand_in.registered():
        return command.main(list(map(str, arguments)))


def test_words_become_prompts_of_an_ordinary_job(
    found: ByColour, scenes_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matte = tmp_path / "m.mkv"
    run = ("run", scenes_path, tmp_path / "o.mp4", "--model", "carrying", "--matte", matte)
    assert call(*run, "--box", "1,1,30,30", "--words", "the red square, something blue", "--end", "0.5") == 0
    told = capsys.readouterr()
    assert found.asked == [("the red square", "something blue")]
    *shown, note = told.err.splitlines()
    form = re.compile(r"object (\d): the red square, box ([\d,]+)@0, score 0\.\d\d")
    parsed = [match.groups() for match in map(form.fullmatch, shown) if match]
    boxes = [Box(*map(float, corners.split(","))) for _number, corners in parsed]
    assert [number for number, _corners in parsed] == ["2", "3"]
    assert near(boxes[0], 200, 60, 270, 130) and near(boxes[1], 20, 40, 80, 100)
    assert note == "Nothing was found for “something blue”. Try other English words, or mark it."
    marks = tuple(Prompt(box=box, object=n) for n, box in enumerate([Box(1.0, 1.0, 30.0, 30.0), *boxes], 1))
    with stand_in.registered():
        job = Job(scenes_path, tmp_path / "o.mp4", "carrying", marks, end=0.5, matte=matte)
        assert MatteFile.open(matte).key == matte_key(job)


def test_what_was_found_is_a_line_of_json(
    found: ByColour, scenes_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look.png"
    assert call("preview", scenes_path, out, "--model", "carrying", "--words", "green", "--json") == 0
    told = capsys.readouterr()
    first, last = map(json.loads, told.out.splitlines())
    (hit,) = first["found"]
    assert first["stage"] == "words" and hit["words"] == "green" and last["output"] == str(out)
    (mark,) = prompts.from_json([hit["prompt"]])
    assert (mark.time, mark.object) == (0, 1) and near(mark.box, 120, 20, 170, 70) and 0.35 < hit["score"] < 1


def test_words_are_searched_again_where_the_command_line_says(
    found: ByColour, scenes_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look.png"
    again = ("--words-again", "0.5", "--words-again", "0.25")
    assert call("preview", scenes_path, out, "--model", "carrying", "--words", "green", *again) == 0
    shown = capsys.readouterr().err
    assert [f"@{at}, score" in shown for at in ("0", "0.25", "0.5", "0.75")] == [True, True, True, False]
    assert shown.count("object 1: green") == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--words", "red", "--words-again", "70"), "A mark sits at 70 s"),
        (("--words", "blue"), "Nothing was found for “blue”"),
        (("--words", "red", "--words-threshold", "0.99"), "Nothing was found for “red”"),
        (("--words", "red", "--words-threshold", "7"), "A threshold lies between 0 and 1."),
        (("--words", " "), "Say in English what to keep"),
        (("--words", "red", "--model", "blind"), "Blind takes no boxes"),
        (("--words", "red", "--start", "70"), "lies outside"),
    ],
)
def test_what_cannot_be_found_is_said_before_anything_is_done(
    found: ByColour,
    scenes_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    sentence: str,
) -> None:
    model = () if "--model" in options else ("--model", "carrying")
    assert call("run", scenes_path, tmp_path / "o.mp4", *model, *options) == command.AT_FAULT
    assert sentence in capsys.readouterr().err and not (tmp_path / "o.mp4").exists()
