"""Recorte's own model, with the weights that it ships with, on a rendered subject whose alpha is known."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.arrays import Matte
from pipeline.errors import WeightsError
from pipeline.imaging import strokes
from pipeline.models import LOW_CONFIDENCE, Model, Prediction, PromptedFrame, card
from pipeline.models.recorte import masks, stream
from pipeline.models.window import Window
from pipeline.prompts import Box, Point, Prompt, Stroke
from pipeline.video.reading.frames import read_frames
from pipeline.weights import locate, verify
from tests.rendered import box_around, overlap, subject_over_background

SAMPLE = Path(__file__).resolve().parents[3] / "assets" / "sample.mp4"

Clip = tuple[list[np.ndarray], list[np.ndarray]]


@pytest.fixture(scope="module")
def model() -> Model:
    return models.load("recorte", "cpu")


@pytest.fixture(scope="module")
def clip() -> Clip:
    return subject_over_background(12)


def run(model: Model, frames: list[np.ndarray], prompt: Prompt | None, **later: Prompt) -> list[Prediction]:
    """Predict with marks on the first frame, and `at5=...` on the one of that number."""
    marks = {0: prompt} | {int(name.removeprefix("at")): marks for name, marks in later.items()}
    return list(model.predict(PromptedFrame(frame, marks.get(n)) for n, frame in enumerate(frames)))


@pytest.fixture(scope="module")
def predictions(model: Model, clip: Clip) -> list[Prediction]:
    return run(model, clip[0], box_around(clip[1][0]))


def test_a_box_on_the_first_frame_mattes_every_frame(clip: Clip, predictions: list[Prediction]) -> None:
    assert [f.matte.shape for f in predictions] == [a.shape for a in clip[1]]
    assert all(f.matte.dtype == np.uint8 for f in predictions)
    assert min(overlap(f.matte, a) for f, a in zip(predictions, clip[1], strict=True)) > 0.9
    assert min(f.confidence for f in predictions) > LOW_CONFIDENCE


def test_a_person_is_found_without_a_prompt(model: Model) -> None:
    frames = [frame.image for frame in itertools.islice(read_frames(SAMPLE), 0, 48, 8)]
    height, width = frames[0].shape[:2]
    for prediction in run(model, frames, None):
        assert 0.25 < (prediction.matte > 127).mean() < 0.5 and prediction.confidence > LOW_CONFIDENCE
        face, suit = (prediction.matte[int(down * height), int(0.4 * width)] for down in (0.35, 0.8))
        assert face > 250 and suit > 250
        assert (
            not prediction.matte[: height // 4, : width // 4].any()
            and not prediction.matte[:, -width // 12 :].any()
        )


def test_a_click_and_a_box_select_the_same_person(model: Model) -> None:
    frame = next(read_frames(SAMPLE)).image
    height, width = frame.shape[:2]
    box = Prompt(box=Box(0.16 * width, 0.05 * height, 0.76 * width, height))
    (told,), (clicked,) = (
        run(model, [frame], prompt) for prompt in (box, Prompt(points=(Point(0.4 * width, 0.35 * height),)))
    )
    # The box holds a part of the rocket behind her as well.
    assert overlap(clicked.matte, told.matte) > 0.88


def test_streams_are_independent(model: Model, clip: Clip, predictions: list[Prediction]) -> None:
    starts = {n: box_around(clip[1][n]) for n in (0, 8)}
    one, two = (
        model.predict(iter([PromptedFrame(clip[0][n + k], None if k else start) for k in range(3)]))
        for n, start in starts.items()
    )
    mixed = [f.matte for pair in zip(one, two, strict=True) for f in pair]
    assert all(
        np.abs(a.astype(int) - b.matte).max() <= 1 for a, b in zip(mixed[::2], predictions, strict=False)
    )


def test_streams_are_read_lazily(model: Model, clip: Clip) -> None:
    taken = []

    def stills() -> Iterator[PromptedFrame]:
        for n, frame in enumerate(clip[0]):
            taken.append(n)
            yield PromptedFrame(frame)

    next(model.predict(stills()))
    assert taken == [0]


@pytest.mark.parametrize("keep", [True, False])
def test_a_click_decides_the_pixel_under_it(
    model: Model, clip: Clip, predictions: list[Prediction], keep: bool
) -> None:
    before: Matte = predictions[3].matte
    far = cv2.distanceTransform((before > 127).astype(np.uint8) ^ keep, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(far.argmax()), far.shape)
    click = Prompt(points=(Point(float(x), float(y), keep),))
    after = run(model, clip[0][:4], box_around(clip[1][0]), at3=click)
    assert (before[y, x] > 127) != keep and (after[3].matte[y, x] > 127) == keep


def test_a_click_that_the_network_refuses_changes_its_own_frame_only(
    monkeypatch: pytest.MonkeyPatch, model: Model, clip: Clip
) -> None:
    frames, marks = clip[0][:6], box_around(clip[1][0])
    wall = Prompt(points=(Point(0.0, 0.0),))
    held = run(model, frames, marks, at3=wall)
    monkeypatch.setattr(stream, "hold_points", lambda matte, *_: matte)
    refused = run(model, frames, marks, at3=wall)
    changed = held[3].matte != refused[3].matte
    assert held[3].matte[0, 0] == 255 and refused[3].matte[0, 0] < 128 and changed.sum() < 100
    assert all(
        np.array_equal(a.matte, b.matte) for n, (a, b) in enumerate(zip(held, refused, strict=True)) if n != 3
    )


def test_points_hold_on_discs_that_leave_other_points_alone() -> None:
    place = Window(0, 0, 480, 240, 240, 120)  # so a disc's radius is 8
    matte = np.zeros((240, 480), np.uint8)
    matte[:, 240:] = 255
    right = [Point(20, 20, keep=False), Point(400, 20)]
    assert np.array_equal(masks.hold_points(matte, place, right), matte)
    y, x = np.mgrid[:240, :480]
    for wrong in (Point(100, 100), Point(300, 100, keep=False)):
        held = masks.hold_points(matte, place, [*right, wrong])
        distance = np.hypot(x - wrong.x, y - wrong.y)
        assert (held[distance < 8] == 255 * wrong.keep).all()
        assert np.array_equal(held[distance > 10], matte[distance > 10])
    close = [Point(20, 20), Point(23, 20, keep=False), Point(479.9, 240, keep=False), Point(478, 239)]
    held = masks.hold_points(matte, place, close)
    assert [held[20, 20], held[20, 23], held[239, 479], held[239, 478]] == [255, 0, 0, 255]
    assert masks.hold_points(matte, place, [Point(50, 50, keep=False), Point(50, 50)])[50, 50] == 255


def test_a_subject_that_left_has_an_empty_matte_and_is_redetected(model: Model) -> None:
    frames, alphas = subject_over_background(10)
    wall = cv2.blur(frames[0][:, :1].repeat(frames[0].shape[1], 1), (9, 9))
    gone = [wall] * 3
    predictions = run(model, [*frames[:3], *gone, *frames[3:6]], box_around(alphas[0]))
    assert max((f.matte > 127).mean() for f in predictions[4:6]) < 0.01
    assert max(f.confidence for f in predictions[4:6]) < LOW_CONFIDENCE
    assert overlap(predictions[-1].matte, alphas[5]) > 0.8


def test_an_empty_scene_has_an_empty_matte_until_a_subject_appears(model: Model) -> None:
    frame = next(read_frames(SAMPLE)).image
    grey = np.full_like(frame, 128)
    predictions = run(model, [grey, grey, frame], None)
    assert max(f.confidence for f in predictions[:2]) < LOW_CONFIDENCE
    assert overlap(predictions[2].matte, run(model, [frame], None)[0].matte) > 0.95


@pytest.mark.parametrize("prompt", [None, Prompt(points=(Point(0, 0),)), Prompt(box=Box(0, 0, 1, 1))])
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (33, 17)])
def test_the_smallest_frames_are_accepted(model: Model, size: tuple[int, int], prompt: Prompt | None) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(3)]
    assert [f.matte.shape for f in run(model, frames, prompt)] == [size] * 3


def test_an_empty_stream_has_no_mattes(model: Model) -> None:
    assert run(model, [], None) == []


def test_the_shipped_weights_have_the_hash_of_the_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = card("recorte")
    assert asked.present and asked.weights is not None and asked.weights.shipped
    (path,) = locate.find_files(asked.weights, asked.label, asked.key)
    verify.verify_files(asked.weights, [path])
    (file,) = asked.weights.files
    assert file.sha256 and path.stat().st_size == file.bytes <= 12e6
    monkeypatch.setattr(locate, "SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match=r"recorte\.safetensors.*should be in.*choose another model"):
        models.load("recorte", "cpu")
    assert models.choose_default()[0] == "grabcut"


def test_stray_components_of_a_propagated_mask_are_dropped() -> None:
    mask, before = np.zeros((2, 64, 64), np.float32)
    parts = {"subject": np.s_[4:40, 4:30], "behind": np.s_[4:20, 40:60], "new": np.s_[50:60, 40:60]}
    for part in parts.values():
        mask[part] = 0.9
    before[parts["subject"]] = before[parts["behind"]] = 1
    alike = torch.full((1, 3, 64, 64), 0.2)
    alike[0, 0][parts["subject"]] = alike[0, 0][parts["new"]] = 0.8
    kept = masks.drop_foreign_parts(mask, before, alike)
    assert np.array_equal(kept[parts["subject"]], mask[parts["subject"]])
    assert not kept[parts["behind"]].any() and not kept[parts["new"]].any()
    assert not masks.drop_foreign_parts(np.zeros_like(mask), before, alike).any()


@pytest.mark.parametrize("keep", [True, False])
def test_the_network_follows_a_stroke_and_the_frames_behind_it_do(
    model: Model, clip: Clip, predictions: list[Prediction], keep: bool
) -> None:
    rows, columns = (clip[1][4] > 127).nonzero()
    y, left, right = float(rows.mean()), float(columns.min()), float(columns.max())
    along = ((right + 12, y), (right + 60, y)) if keep else ((left + 20, y), (right - 20, y))
    stroke = Stroke(along, 30.0, keep)
    changed = run(model, clip[0][:6], box_around(clip[1][0]), at4=Prompt(strokes=(stroke,)))
    assert all(np.array_equal(a.matte, b.matte) for a, b in zip(changed[:4], predictions, strict=False))
    painted = strokes.bounds((stroke,), *clip[1][4].shape)[0 if keep else 1] == 255 * keep
    without, followed = ((found.matte[painted] > 127).mean() for found in (predictions[4], changed[4]))
    assert followed > without + 0.2 if keep else followed < without - 0.2
    assert not np.array_equal(changed[5].matte, predictions[5].matte)


def test_a_chosen_candidate_is_kept_beside_a_stroke(model: Model, clip: Clip) -> None:
    frame = clip[0][0]
    rows, columns = (clip[1][0] > 127).nonzero()
    click = Prompt(points=(Point(float(columns.mean()), float(rows.mean())),), candidate=0)
    painted = Prompt(points=click.points, candidate=0, strokes=(Stroke(((6.0, 6.0), (30.0, 6.0)), 8.0),))
    one, other = (run(model, [frame], prompt)[0].matte for prompt in (click, painted))
    assert np.array_equal(one, other)  # its strokes are painted by the stream
