"""Colours that are matched: how far, within which bounds, in 8 and 16 bits and on a device."""

import cv2
import numpy as np
import pytest
import torch

from pipeline.compositing.match import Colours, fit_match, measure_colours, recolour
from pipeline.tensors import compositing, transfer


def noise(seed: int, gain: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    """Blotches of all colours in a light of some colour, given as gains of R'G'B'."""
    random = np.random.default_rng(seed)
    blotches = cv2.resize(random.random((27, 48, 3), np.float32), (160, 90), interpolation=cv2.INTER_CUBIC)
    return np.clip((60 + 120 * blotches) * gain, 0, 255).astype(np.uint8)


def measured(picture: np.ndarray) -> Colours:
    colours = measure_colours(picture)
    assert colours is not None
    return colours


def matched(own: np.ndarray, other: np.ndarray, strength: float = 1.0) -> np.ndarray:
    return recolour(own, fit_match(measured(own), measured(other), strength))


@pytest.mark.parametrize("gain", [(0.85, 0.8, 0.95), (1.1, 1, 0.85), (0.7, 0.75, 0.85)])
def test_another_light_is_taken_on(gain: tuple[float, float, float]) -> None:
    """The subject's true colours in the background's light are known, and come at least twice as near."""
    own, true = noise(1), noise(1, gain)
    before = np.abs(own.astype(float) - true).mean()
    after = np.abs(matched(own, noise(2, gain)).astype(float) - true).mean()
    assert after < before / 2


def test_strength_leads_from_nothing_to_all() -> None:
    own, other = noise(1), noise(2, (0.7, 0.8, 1))
    assert np.abs(matched(own, other, 0).astype(int) - own).max() <= 1
    steps = [measured(matched(own, other, strength)).mean for strength in (0, 0.5, 1)]
    whole = steps[2] - steps[0]
    assert np.abs(steps[1] - steps[0] - whole / 2).max() < 0.8 and np.abs(whole).max() > 5


def test_shifts_are_bounded() -> None:
    own = noise(1)
    for other in (np.zeros_like(own), np.full_like(own, 255), np.full_like(own, (0, 255, 0))):
        change = measured(matched(own, other)).mean - measured(own).mean
        assert abs(change[0]) < 24 and np.hypot(*change[1:]) < 20


def test_a_plain_colour_leaves_the_contrast_as_it_is() -> None:
    own = noise(1)
    kept = measured(matched(own, np.full_like(own, 110))).spread
    assert kept[0] == pytest.approx(measured(own).spread[0], rel=0.05)


def test_only_the_subject_is_measured() -> None:
    picture, matte = noise(1), np.zeros((90, 160), np.uint8)
    picture[30:60, 40:80] = (200, 30, 30)
    matte[30:60, 40:80] = 255
    colours = measure_colours(picture, matte)
    assert colours is not None and colours.spread.max() < 3
    assert measure_colours(picture, np.zeros_like(matte)) is None


def test_eight_and_sixteen_bits_and_a_device_agree() -> None:
    own, other = noise(1), noise(2, (0.7, 0.8, 1))
    matching = fit_match(measured(own), measured(other), 1)
    deep = recolour(own.astype(np.uint16) * 257, matching)
    plain = recolour(own, matching)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - plain.astype(float)).max() < 1
    for picture, result in ((own, plain), (own.astype(np.uint16) * 257, deep)):
        on_device = compositing.recolour(transfer.upload_image(picture, torch.device("cpu")), matching)
        assert np.abs(transfer.download_image(on_device).astype(int) - result).max() <= 1
    assert measured(own.astype(np.uint16) * 257).mean == pytest.approx(measured(own).mean, abs=0.01)
