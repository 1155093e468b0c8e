"""Flow, its trust and the camera, on pictures that were moved by known amounts."""

import cv2
import numpy as np
import pytest

from pipeline.imaging import optical_flow

SIZE = 240, 160  # width, height


def wall(seed: int = 0) -> np.ndarray:
    """A textured picture, `[160, 240, 3]` uint8."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.random((20, 30, 3), np.float32), SIZE, interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(random.random((160, 240, 3), np.float32), (0, 0), 1.5)
    return np.asarray(255 * np.clip(0.7 * coarse + 1.2 * (fine - 0.5), 0, 1)).astype(np.uint8)


def moved(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The picture after each of its points went where the homography takes it."""
    return np.asarray(cv2.warpPerspective(picture, matrix, SIZE, borderMode=cv2.BORDER_REFLECT))


SHIFT = np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1]], float)


def flows(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = optical_flow.grey(before), optical_flow.grey(after)
    return optical_flow.flow(b, a), optical_flow.flow(a, b)


def test_flow_points_to_the_second_picture() -> None:
    way, _ = flows(wall(), moved(wall(), SHIFT))
    assert way.shape == (160, 240, 2) and way.dtype == np.float32
    assert np.median(way, axis=(0, 1)) == pytest.approx([-5, 3], abs=0.2)


def test_warping_by_the_flow_gives_the_new_picture() -> None:
    before, after = wall(), moved(wall(), SHIFT)
    way, _ = flows(before, after)
    inner = np.s_[15:-15, 15:-15]
    apart = np.abs(optical_flow.warp(before, way)[inner].astype(float) - after[inner]).mean()
    assert apart < 0.2 * np.abs(before[inner].astype(float) - after[inner]).mean()


def test_warp_marks_pixels_from_outside() -> None:
    way = np.zeros((4, 6, 2), np.float32)
    way[..., 0] = 2
    carried = optical_flow.warp(np.ones((4, 6), np.float32), way, border=-7)
    assert carried.tolist() == [[1, 1, 1, 1, -7, -7]] * 4


def test_disagreement_is_large_at_disocclusions() -> None:
    before, after = wall(), wall()
    patch = wall(seed=5)[:60, :60]
    before[50:110, 60:120] = patch
    after[50:110, 100:160] = patch  # forty pixels on: what it stood on is new to see
    missed = optical_flow.forward_backward_error(*flows(before, after))
    assert np.median(missed[:40]) < 0.5
    assert np.median(missed[60:100, 65:90]) > 1.5


@pytest.mark.parametrize(
    "matrix", [SHIFT, np.array([[1.01, 0.01, 2], [-0.01, 1.01, 4], [1e-5, 0, 1]], float)]
)
def test_camera_motion_is_estimated_despite_a_moving_subject(matrix: np.ndarray) -> None:
    before, after = wall(), moved(wall(), matrix)
    patch = wall(seed=5)[:50, :50]
    before[60:110, 60:110] = patch
    after[60:110, 70:120] = patch
    way, _ = flows(before, after)
    camera = optical_flow.estimate_homography(way, np.ones((160, 240), bool))
    expected = optical_flow.camera_flow(np.linalg.inv(matrix), 160, 240)
    off = np.linalg.norm(optical_flow.camera_flow(camera, 160, 240) - expected, axis=2)
    assert off[10:-10, 10:-10].max() < 1
    assert np.array_equal(camera, optical_flow.estimate_homography(way, np.ones((160, 240), bool)))


def test_camera_motion_is_zero_without_visible_background() -> None:
    way = np.full((160, 240, 2), 4, np.float32)
    assert np.array_equal(optical_flow.estimate_homography(way, np.zeros((160, 240), bool)), np.eye(3))


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (8, 64), (33, 17), (20, 480), (480, 3)])
def test_small_and_narrow_pictures_have_a_flow(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    here, there = (random.integers(0, 256, size, np.uint8) for _ in range(2))
    assert optical_flow.flow(here, there).shape == (*size, 2)
