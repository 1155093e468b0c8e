"""The rules by which clicks on photographs are counted."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.clicks_photos import ious, robot_click, summarise
from pipeline.models import Prediction, PromptedFrame
from pipeline.prompts import Point


def disc(x: int, y: int, radius: int) -> np.ndarray:
    down, across = np.mgrid[:60, :80]
    return np.asarray(np.hypot(across - x, down - y) <= radius)


class Obedient:
    """A model that draws a disc around every click."""

    def __init__(self, radius: int) -> None:
        self.radius, self.asked = radius, []

    def predict(self, stills: Iterator[PromptedFrame], state: object = None) -> Iterator[Prediction]:
        for _, prompt in stills:
            assert prompt is not None
            self.asked.append(prompt.points)
            predicted = np.zeros((60, 80), bool)
            for point in prompt.points:
                around = disc(int(point.x), int(point.y), self.radius)
                predicted = predicted | around if point.keep else predicted & ~around
            yield Prediction(np.where(predicted, 255, 0).astype(np.uint8))


def test_a_click_is_in_the_middle_of_the_deepest_error() -> None:
    subject, missed, spilt = disc(20, 30, 12), disc(55, 30, 9), disc(70, 10, 4)
    nothing = np.zeros((60, 80), bool)
    assert robot_click(nothing, subject) == Point(20.5, 30.5, keep=True)
    assert robot_click(subject | spilt, subject | missed) == Point(55.5, 30.5, keep=True)
    assert robot_click(subject | missed | spilt, subject) == Point(55.5, 30.5, keep=False)
    thin = np.zeros((60, 80), bool)
    thin[58:] = True  # larger than a small disc, but nowhere as deep
    assert robot_click(thin, disc(30, 20, 5)) == Point(30.5, 20.5, keep=True)


def test_clicks_end_where_the_target_is_reached() -> None:
    truth, image = disc(40, 30, 10), np.zeros((60, 80, 3), np.uint8)
    model = Obedient(10)
    assert [*ious(model, image, truth, 0.9)] == [1.0]
    small = Obedient(3)
    scores = [*ious(small, image, truth, 0.9, most=8)]
    assert len(scores) == 8 and scores == sorted(scores)
    assert [len(points) for points in small.asked] == [*range(1, 9)]  # every click so far is given again


def test_scores_of_a_photograph() -> None:
    assert summarise([0.5, 0.7, 0.95], 0.9) == pytest.approx(
        {"clicks": 3, "failed": 0, "IoU 1": 0.5, "IoU 3": 0.95, "IoU 5": 0.95}
    )
    assert summarise([0.2] * 20, 0.9)["failed"] == 1
