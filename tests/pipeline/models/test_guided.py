"""A subject followed by Recorte's tracker, with the alpha of another network."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline import models
from pipeline.imaging.guided_filter import dilate
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import PromptedFrame, guided
from pipeline.models.base import Prediction
from pipeline.models.guided import GuidedFrame, refine, select
from pipeline.models.isnet import Isnet
from pipeline.models.window import Window
from pipeline.prompts import Box, Point, Prompt, Stroke

CPU = torch.device("cpu")


def disc(x: int, y: int, radius: int, size: tuple[int, int] = (200, 300)) -> np.ndarray:
    return np.asarray(cv2.circle(np.zeros(size, np.uint8), (x, y), radius, 255, cv2.FILLED))


def soft(matte: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), 2))


def test_the_alpha_of_the_subject_is_kept_as_it_is() -> None:
    alpha = soft(disc(100, 100, 50))
    mask = disc(102, 99, 47)
    assert np.array_equal(select(alpha, mask), alpha)


def test_other_parts_are_left_out() -> None:
    alpha = np.maximum(soft(disc(100, 100, 50)), soft(disc(240, 100, 30)))
    selected = select(alpha, disc(100, 100, 48))
    assert not (selected[:, 205:] > 127).any()
    assert np.array_equal(selected[:, :160], alpha[:, :160])


def test_what_is_faint_far_from_the_subject_is_left_out() -> None:
    alpha = np.maximum(soft(disc(100, 100, 50)), disc(240, 100, 30) // 3)
    selected = select(alpha, disc(100, 100, 48))
    assert not selected[:, 205:].any()
    assert np.array_equal(selected[:, :160], alpha[:, :160])


def test_a_neighbour_that_is_attached_is_cut_off_along_the_mask() -> None:
    mask = disc(100, 100, 50)
    alpha = np.maximum(mask, disc(190, 100, 50))
    selected = select(alpha, mask)
    assert np.array_equal(selected > 127, mask > 127)


def test_thin_pieces_that_the_mask_lacks_are_kept() -> None:
    mask = disc(100, 100, 50)
    alpha = mask.copy()
    cv2.line(alpha, (140, 100), (230, 60), 255, 1)
    assert np.array_equal(select(alpha, mask), alpha)


@pytest.mark.parametrize(("radius", "filled"), [(2, False), (14, True), (30, False)])
def test_missed_pieces_deep_inside_are_filled(radius: int, filled: bool) -> None:
    mask = disc(100, 100, 60)
    alpha = np.where(disc(100, 100, radius) > 0, 0, mask).astype(np.uint8)
    assert (select(alpha, mask)[100, 100] == 255) == filled


def test_an_empty_mask_or_alpha_selects_nothing() -> None:
    nothing = np.zeros((200, 300), np.uint8)
    assert not select(disc(100, 100, 50), nothing).any() and not select(nothing, disc(100, 100, 50)).any()


PLACE = Window(20, 10, 200, 160, 288, 224)
FRAME = np.zeros((200, 300, 3), np.uint8)


def guided_frame(
    mask: np.ndarray, prompt: Prompt | None = None, window: Window | None = PLACE
) -> GuidedFrame:
    return GuidedFrame(PromptedFrame(FRAME, prompt), Prediction(mask, 0.9, state=dict), window)


def test_an_alpha_that_agrees_replaces_the_mask_within_the_window() -> None:
    mask, alpha = disc(100, 100, 50), soft(disc(100, 100, 52))
    given = guided_frame(mask)
    prediction = refine(given, PLACE.cut(alpha))
    assert np.array_equal(PLACE.cut(prediction.matte), PLACE.cut(alpha))
    assert prediction.confidence == pytest.approx(0.9) and prediction.state is given.prediction.state
    outside = prediction.matte.copy()
    outside[10:170, 20:220] = 0
    assert not outside.any()


def test_an_alpha_that_disagrees_is_not_used_and_lowers_the_confidence() -> None:
    mask = disc(100, 100, 50)
    apart, half = (
        refine(guided_frame(mask), PLACE.cut(alpha)) for alpha in (disc(200, 60, 20), disc(100, 100, 33))
    )
    assert np.array_equal(apart.matte, mask) and apart.confidence == 0
    assert np.array_equal(half.matte, mask) and 0.4 < half.confidence < 0.9


def test_without_a_subject_the_trackers_prediction_stays() -> None:
    given = guided_frame(np.zeros((200, 300), np.uint8), window=None)
    assert refine(given, np.zeros((1, 1), np.uint8)) is given.prediction


def test_points_hold_on_their_frame() -> None:
    mask = disc(100, 100, 50)
    prompt = Prompt(points=(Point(100, 100), Point(70, 100, keep=False)))
    alpha = np.where(dilate(disc(100, 100, 1), 3) > 0, 0, mask).astype(np.uint8)
    matte = refine(guided_frame(mask, prompt), PLACE.cut(alpha)).matte
    assert matte[100, 100] > 127 and matte[100, 70] < 128 and matte[100, 130] > 127


# The model, with the tracker that comes with the application and a network that finds what is red.


class Red(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, picture: Tensor) -> Tensor:
        self.seen.append(picture)
        return 20 * (picture[:, :1] - picture[:, 1:2] - 0.3)


def scene(shift: int = 0) -> np.ndarray:
    """Two red discs on a grey ground, of which one moves."""
    picture = np.random.default_rng(0).integers(90, 120, (180, 320, 3)).astype(np.uint8)
    picture[disc(90 + shift, 90, 40, (180, 320)) > 0] = (220, 40, 40)
    picture[disc(250, 60, 30, (180, 320)) > 0] = (220, 60, 60)
    return picture


def source(count: int, first: Prompt) -> Iterator[PromptedFrame]:
    return (PromptedFrame(scene(2 * n), first if n == 0 else None) for n in range(count))


@pytest.fixture
def red() -> Red:
    return Red()


@pytest.fixture
def model(red: Red) -> Isnet:
    return Isnet(red, CPU, lambda: models.load("recorte", "cpu"))


BOX = Prompt(box=Box(48, 48, 132, 132))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one > 127, other > 127
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


def test_a_box_keeps_its_subject_and_follows_it(model: Isnet, red: Red) -> None:
    predictions = list(model.predict(source(4, BOX)))
    for n, prediction in enumerate(predictions):
        assert overlap(prediction.matte, disc(90 + 2 * n, 90, 40, (180, 320))) > 0.95
        assert prediction.confidence > 0.5 and not prediction.matte[:, 200:].any()
    assert len(red.seen) == 4


def test_without_marks_all_that_stands_out_is_kept(model: Isnet) -> None:
    (prediction,) = model.predict(iter([PromptedFrame(scene())]))
    both = np.maximum(disc(90, 90, 40, (180, 320)), disc(250, 60, 30, (180, 320)))
    assert overlap(prediction.matte, both) > 0.9


def test_strokes_alone_leave_the_automatic_matte(model: Isnet) -> None:
    painted = Prompt(strokes=(Stroke(((10, 10), (20, 10)), 6),))
    plain, stroked = (
        next(model.predict(iter([PromptedFrame(scene(), prompt)]))).matte for prompt in (None, painted)
    )
    assert np.array_equal(plain, stroked)


def test_a_click_offers_the_trackers_candidates(model: Isnet) -> None:
    frame = PromptedFrame(scene(), Prompt(points=(Point(90, 90),)))
    found = model.candidates(frame)
    assert found and max(overlap(c.matte, disc(90, 90, 40, (180, 320))) for c in found) > 0.85
    steps = model.find_thing(scene(), Point(90, 90))
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    thing = end.value.value
    assert thing is not None and overlap(thing, disc(90, 90, 40, (180, 320))) > 0.85


def test_a_stream_continues_from_its_state_bit_for_bit(model: Isnet) -> None:
    whole = list(model.predict(source(5, BOX)))
    stream = model.predict(source(5, BOX))
    for _ in range(2):
        prediction = next(stream)
    assert prediction.state is not None
    state = prediction.state()
    rest = list(model.predict((PromptedFrame(scene(2 * n)) for n in (2, 3, 4)), state))
    assert all(np.array_equal(a.matte, b.matte) for a, b in zip(whole[2:], rest, strict=True))
    assert [a.confidence for a in whole[2:]] == [b.confidence for b in rest]


def test_a_model_without_a_tracker_takes_no_marks(red: Red) -> None:
    with pytest.raises(RuntimeError, match="without a tracker"):
        next(Isnet(red, CPU).predict(source(1, BOX)))


@pytest.mark.parametrize("key", ["isnet", "rmbg"])
def test_marked_jobs_depend_on_the_tracker_too(
    key: str, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Job(clip_path, clip_path.with_name("out.mp4"), model=key)
    marked = Job(clip_path, plain.output, model=key, prompts=(BOX,))
    painted = Job(clip_path, plain.output, model=key, prompts=(Prompt(strokes=(Stroke(((1, 1),), 5),)),))
    assert plain.is_per_frame and painted.is_per_frame and not marked.is_per_frame
    before = matte_key(plain), matte_key(marked)
    tracker = models.card(models.card(key).tracker)
    monkeypatch.setitem(models.cards(), tracker.key, replace(tracker, version=tracker.version + 1))
    after = matte_key(plain), matte_key(marked)
    assert before[0] == after[0] and before[1] != after[1]


def test_the_window_is_given_at_the_frames_own_resolution(model: Isnet, red: Red) -> None:
    (followed,) = guided.follow(models.load("recorte", "cpu"), source(1, BOX))  # type: ignore[arg-type]
    assert followed.window is not None and followed.window.width < 320
    assert followed.window.cut(scene()).shape == (followed.window.height, followed.window.width, 3)
