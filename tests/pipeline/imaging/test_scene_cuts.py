"""Cuts between scenes."""

import cv2
import numpy as np
import pytest

from pipeline.imaging.scene_cuts import SceneCutDetector
from pipeline.video.reading.frames import Frame
from tests.rendered import subject_over_background


def numbers(frames: list[np.ndarray]) -> list[int]:
    scenes = SceneCutDetector()
    return [scenes(Frame(n, frame)) for n, frame in enumerate(frames)]


def other_scene(count: int, seed: int = 3) -> list[np.ndarray]:
    """A slow pan over a landscape of soft blobs."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (12, 24, 3), np.uint8)
    wide = cv2.resize(small, (800, 360), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(wide[:, 3 * n : 3 * n + 640]) for n in range(count)]


def test_only_a_cut_starts_a_scene() -> None:
    here, _ = subject_over_background(8)
    there = other_scene(6)
    assert numbers(here + there + here) == [0] * 8 + [1] * 6 + [2] * 8


@pytest.mark.parametrize("size", [(1, 1), (90, 2), (1080, 1920)])
def test_pictures_of_any_size_are_accepted(size: tuple[int, int]) -> None:
    black, white = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    assert numbers([black, black, white][:2]) == [0, 0]


def test_motion_is_not_a_cut() -> None:
    wide = np.tile(other_scene(1)[0], (1, 3, 1))
    pan = [np.ascontiguousarray(wide[:, 60 * n : 60 * n + 640]) for n in range(12)]  # a tenth of it a frame
    assert set(numbers(pan)) == {0}


def test_a_lighting_change_is_not_a_cut() -> None:
    frame = other_scene(1)[0]
    lit = [np.clip(frame * gain, 0, 255).astype(np.uint8) for gain in (0.5, 0.5, 0.9, 0.9)]
    assert set(numbers(lit)) == {0}


def test_noise_is_not_a_cut() -> None:
    random = np.random.default_rng(5)
    frame = other_scene(1)[0].astype(float)
    noisy = [(frame + random.normal(0, 25, frame.shape)).clip(0, 255).astype(np.uint8) for _ in range(4)]
    assert set(numbers(noisy)) == {0}
