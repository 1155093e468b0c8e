"""Review of mattes, by themselves and by the marked frames."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import stream_state
from pipeline.job import Job
from pipeline.models import LOW_CONFIDENCE, Prediction, PromptedFrame
from pipeline.process import process
from pipeline.prompts import Point, Prompt
from pipeline.propagation.review import Review
from tests.pipeline import stand_in
from tests.rendered import subject_over_background, write_clip

CLIPS = Path(os.environ.get("RECORTE_CLIPS", Path(__file__).resolve().parents[3].parent / "shared" / "clips"))
MASKED = CLIPS / "masked" / "davis"
WIDTH, HEIGHT = 160, 90
RED, BLUE = (200, 30, 30), (30, 60, 200)


def scene(x: float, y: float, side: float = 20, colour: tuple[int, int, int] = RED) -> tuple[np.ndarray, ...]:
    """A grey picture with a square on it, and the square's matte; `side` 0: none."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    if side:
        area = np.s_[round(y) : round(y + side), round(x) : round(x + side)]
        image[area], matte[area] = colour, 255
    return image, matte


def doubted(
    pairs: list[tuple[np.ndarray, ...]], marked: int | None = 0, review: Review | None = None
) -> list[int]:
    """The numbers of the doubted ones, though the model is sure of all."""
    review = review or Review()
    return [
        n
        for n, (image, matte) in enumerate(pairs)
        if review(image, Prediction(matte, 0.95), n == marked).confidence < LOW_CONFIDENCE
    ]


def test_a_subject_that_moves_turns_and_grows_keeps_its_confidence() -> None:
    assert doubted([scene(10 + 3 * n, 20 + n, 12 + 1.5 * n) for n in range(20)]) == []


@pytest.mark.parametrize("marked", [0, None])
def test_an_empty_mask_gets_low_confidence(marked: int | None) -> None:
    pairs = [scene(20, 20)] * 3 + [scene(20, 20, 0)] * 3 + [scene(20, 20)] * 2
    assert doubted(pairs, marked) == [3, 4, 5]


def test_a_mask_much_smaller_than_the_prompted_one_gets_low_confidence() -> None:
    pairs = [scene(20, 20, 40), *(scene(20, 20, side) for side in (30, 22, 16, 11, 8, 6))]
    assert doubted(pairs) == [5, 6]
    assert doubted(pairs, None) == []  # nobody has said how large it is


@pytest.mark.parametrize("marked", [0, None])
def test_a_jump_in_size_or_place_gets_low_confidence(marked: int | None) -> None:
    assert doubted([scene(20, 20), scene(20, 20, 40), scene(20, 20, 40)], marked) == [1]
    assert doubted([scene(20, 20, 40), scene(20, 20), scene(20, 20)], marked) == [1]
    assert doubted([scene(5, 5, 12), scene(120, 60, 12), scene(120, 60, 12)], marked) == [1]
    # What is small may well move by more than its own width.
    assert doubted([scene(20 + 20 * n, 20, 12) for n in range(5)], marked) == []


def test_other_colours_than_the_prompted_subjects_get_low_confidence() -> None:
    pairs = [scene(20, 20), scene(21, 20), *(scene(22, 20, colour=BLUE) for _ in range(3)), scene(24, 20)]
    assert doubted(pairs) == [2, 3, 4]
    assert doubted(pairs, None) == []


def test_a_correction_keeps_its_confidence_and_becomes_a_reference() -> None:
    review = Review()
    red, blue = scene(20, 20), scene(20, 20, colour=BLUE)
    told = [
        review(*frame[:1], Prediction(frame[1]), mark).confidence
        for frame, mark in ((red, True), (blue, True))
    ]
    assert told == [1, 1]
    assert doubted([red, blue], None, review) == []


def test_a_review_continues_from_its_state(tmp_path: Path) -> None:
    pairs = [scene(20, 20), scene(24, 20), scene(27, 20, colour=BLUE), scene(120, 60, 9), scene(120, 60, 0)]
    whole = Review()
    told = [whole(image, Prediction(matte), n == 0).confidence for n, (image, matte) in enumerate(pairs)]
    for stop in range(1, len(pairs)):
        review = Review()
        for n, (image, matte) in enumerate(pairs[:stop]):
            review(image, Prediction(matte), n == 0)
        stream_state.save(tmp_path / "state", review.state())
        review = Review.from_state(stream_state.load(tmp_path / "state"))
        assert [review(image, Prediction(matte), False).confidence for image, matte in pairs[stop:]] == told[
            stop:
        ]


class Losing:
    """Keeps what is red, and loses it with the tenth frame; it is sure of that, too."""

    def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
        for n, (image, prompt) in enumerate(stills):
            if n == 0 and prompt is not None:
                steadfast = prompt.points[0].x < 100
            matte = stand_in.threshold(image)
            yield Prediction(matte if n < 10 or steadfast else np.zeros_like(matte), 0.99)


@pytest.fixture
def losing(stand_ins: None) -> Iterator[None]:
    from pipeline import models

    models.cards()["losing"] = stand_in.card("losing", Losing)
    yield
    del models.cards()["losing"]


def checks(path: Path, tmp_path: Path, *prompts: Prompt) -> tuple[float, ...]:
    *_, last = process(Job(path, tmp_path / "out.mp4", model="losing", prompts=prompts))
    return last.checks


def test_a_run_names_where_its_subject_was_lost(losing: None, tmp_path: Path) -> None:
    frames, _alphas = subject_over_background(24, WIDTH, HEIGHT)
    path = write_clip(tmp_path / "a.mp4", frames, rate=24)
    assert checks(path, tmp_path, Prompt(0, (Point(120, 45),))) == pytest.approx([10 / 24], abs=1e-3)
    assert checks(path, tmp_path, Prompt(0, (Point(50, 45),))) == ()
    # One of two objects, while the other is there.
    both = Prompt(0, (Point(50, 45),)), Prompt(0, (Point(120, 45),), object=2)
    assert checks(path, tmp_path, *both) == pytest.approx([10 / 24], abs=1e-3)


@pytest.mark.skipif(not MASKED.is_dir(), reason=f"the real clips are not here ({CLIPS})")
@pytest.mark.parametrize("name", ["dance-jump", "motorbike", "rollerblade"])
def test_hand_made_masks_keep_their_confidence(name: str) -> None:
    """A dancer's leap, a motorbike that comes nearer to five times its area, legs that cross."""
    video = cv2.VideoCapture(str(MASKED / f"{name}.mp4"))
    pairs = []
    for path in sorted((MASKED / f"{name}_masks").glob("*.png")):
        read, picture = video.read()
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert read and mask is not None
        pairs.append((cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), mask))
    assert len(pairs) > 30 and doubted(pairs) == []
