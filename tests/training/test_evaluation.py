"""Figures of what was held out."""

import numpy as np
import pytest
import torch

from pipeline.arrays import Floats, as_floats
from tests.training import made
from training import evaluation


def test_prompt_types_have_equal_weight_in_the_overall_score() -> None:
    scores = {
        "things, box": 0.8,
        "people, box": 0.6,
        "things, click": 0.5,
        "carried": 0.3,
        evaluation.EDGES: 0.1,
    }
    assert evaluation.overall_score(scores) == pytest.approx(np.mean([0.7, 0.5, 0.3, 0.9]))


def test_the_edge_error_is_measured_in_the_band_of_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = made.disc(64, 64)
    photo = evaluation.EmbeddedPhoto.__new__(evaluation.EmbeddedPhoto)
    photo.alpha, photo.truth = as_floats(alpha / 255), alpha > 127

    def off(predicted: Floats) -> float:
        monkeypatch.setattr(evaluation.EmbeddedPhoto, "predict", lambda *_: predicted)
        return evaluation._edge_error(photo)

    monkeypatch.setattr(evaluation.EmbeddedPhoto, "maps", lambda *_: torch.zeros(()))
    assert off(photo.alpha) == 0
    far = photo.alpha.copy()
    far[:4, :4] = 1
    far[30:34, 30:34] = 0
    assert off(far) == 0  # nowhere near an edge
    assert off(1 - photo.alpha) == pytest.approx(1)
    assert 0.4 < off(np.full_like(photo.alpha, 0.5)) <= 0.5
