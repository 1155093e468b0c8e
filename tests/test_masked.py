"""The rules by which masked clips are measured."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import automatic
from benchmarks.masked import corrective_click, evaluate, iou, mean, tight_box
from pipeline import models
from pipeline.job import Job
from pipeline.models import Prediction, PromptedFrame
from pipeline.prompts import Box, Point
from tests.rendered import subject_over_background, write_clip


def disc(x: int, y: int, radius: int) -> np.ndarray:
    down, across = np.mgrid[:60, :80]
    return np.asarray(np.hypot(across - x, down - y) <= radius)


def test_a_click_is_in_the_middle_of_the_largest_error() -> None:
    subject, missed, spilt = disc(20, 30, 12), disc(55, 30, 9), disc(70, 10, 4)
    assert corrective_click(subject | spilt, subject | missed) == Point(55.5, 30.5, keep=True)
    assert corrective_click(subject | missed | spilt, subject) == Point(55.5, 30.5, keep=False)


def test_an_error_at_the_border_is_clicked_inside_the_picture() -> None:
    point = corrective_click(np.zeros((60, 80), bool), disc(0, 0, 20))
    assert 0 < point.x < 20 and 0 < point.y < 20 and point.keep


def test_boxes_are_tight() -> None:
    assert tight_box(disc(30, 30, 10)) == Box(20, 20, 41, 41)


def test_iou() -> None:
    nothing = np.zeros((60, 80), bool)
    assert iou(nothing, nothing) == 1
    assert iou(nothing, disc(30, 30, 10)) == 0
    assert iou(disc(30, 30, 10), disc(30, 30, 10) & (np.arange(80) < 30)) == pytest.approx(0.5, abs=0.05)


def test_means_are_computed_by_column() -> None:
    assert mean([{"box": 0.2, "fps": 10.0}, {"box": 0.6, "fps": 20.0}]) == pytest.approx(
        {"box": 0.4, "fps": 15.0}
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, list[np.ndarray]]:
    frames, alphas = subject_over_background(6, 320, 180)
    path = tmp_path_factory.mktemp("masked") / "clip.mkv"
    write_clip(path, frames)
    return Job(path, path), [alpha > 127 for alpha in alphas]


def test_a_clip_has_a_score_for_each_run(rendered: tuple[Job, list[np.ndarray]]) -> None:
    job, truth = rendered
    figures = evaluate(job, truth, 1)
    assert list(figures) == ["first", "box", "1 clk", "flicker", "fps"]
    assert min(figures["first"], figures["box"], figures["1 clk"]) > 0.7
    assert list(evaluate(job, truth, None)) == ["first", "no mark", "flicker", "fps"]


def test_automatic_models_are_compared_with_and_without_deflicker(
    rendered: tuple[Job, list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, truth = rendered
    plain = automatic.evaluate(replace(job, model="recorte"), truth)
    assert list(plain) == ["J", "flicker"]
    noise = np.random.default_rng(1)

    class Noisy:
        """Predicts the truth with a part that comes and goes."""

        def predict(self, frames: Iterator[PromptedFrame]) -> Iterator[Prediction]:
            for mask, _ in zip(truth, frames, strict=True):
                matte = 255 * mask.astype(np.uint8)
                matte[10:60, 10:60] = noise.integers(60, 200)
                yield Prediction(matte)

    monkeypatch.setitem(
        models.cards(), "noisy", replace(models.card("recorte"), key="noisy", per_frame=True, weights=None)
    )
    monkeypatch.setattr(models, "load", lambda *_: Noisy())
    noisy = automatic.evaluate(replace(job, model="noisy"), truth)
    assert list(noisy) == ["J", "flicker", "deflickered J", "deflickered flicker"]
    assert 0 < noisy["deflickered flicker"] < noisy["flicker"]
    assert abs(noisy["deflickered J"] - noisy["J"]) < 0.1
