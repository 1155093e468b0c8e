"""Calmer mattes: less flicker, no more error, no lag, and nothing where the picture gives no reason."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from benchmarks.flicker import flicker
from benchmarks.steady import mean_error, perturb, smooth
from pipeline.arrays import Image, Matte
from pipeline.models import Prediction
from pipeline.propagation.deflicker import deflicker
from pipeline.video.reading.frames import Frame
from tests.rendered import subject_over_background

Clip = tuple[list[Image], list[Matte]]


@pytest.fixture(scope="module")
def rendered() -> Clip:
    """A moving, soft-edged subject and its exact alphas."""
    return subject_over_background(12, 480, 270)


def ground(seed: int, height: int = 180, width: int = 320) -> np.ndarray:
    """A textured picture, `[height, width, 3]` float."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(
        random.random((18, 32, 3), np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(random.random((height, width, 3), np.float32), (0, 0), 1.5)
    return np.asarray(255 * np.clip(0.7 * coarse + 1.2 * (fine - 0.5), 0, 1))


@pytest.fixture(scope="module")
def veil() -> Clip:
    """A wide, half-transparent, soft disc with a cloth of its own, moving by 4.5 pixels a frame."""
    wall, cloth = ground(0), ground(1)
    frames, alphas = [], []
    for n in range(12):
        y, x = np.mgrid[:180, :320]
        alpha = np.clip((70 - np.hypot(x - 90 - 4.5 * n, y - 90)) / 40, 0, 0.8)[..., None]
        move = np.array([[1, 0, 4.5 * n], [0, 1, 0]])
        moved = cv2.warpAffine(cloth, move, (320, 180), borderMode=cv2.BORDER_REFLECT)
        frames.append(np.rint(alpha * moved + (1 - alpha) * wall).astype(np.uint8))
        alphas.append(np.rint(255 * alpha[..., 0]).astype(np.uint8))
    return frames, alphas


@pytest.mark.parametrize("name", ["rendered", "veil"])
@pytest.mark.parametrize("seed", [0, 1])
def test_flicker_falls_and_the_error_does_not_rise(
    name: str, seed: int, request: pytest.FixtureRequest
) -> None:
    frames, truth = request.getfixturevalue(name)
    random = np.random.default_rng(seed)
    mattes = [perturb(alpha, random) for alpha in truth]
    calm = smooth(frames, mattes)
    assert flicker(frames, calm) < 0.95 * flicker(frames, mattes)
    assert mean_error(calm, truth) < mean_error(mattes, truth)


def test_the_true_mattes_flicker_only_as_the_clip_does(rendered: Clip) -> None:
    frames, truth = rendered
    faulty = [perturb(alpha, np.random.default_rng(n)) for n, alpha in enumerate(truth)]
    assert flicker(frames, truth, truth) == 0
    assert 0 < flicker(frames, faulty, truth) < flicker(frames, faulty)
    assert flicker(frames, [np.zeros_like(alpha) for alpha in truth], truth) == 0


# In the veil two things move in one pixel, and flow can follow but one of them.
@pytest.mark.parametrize(("name", "least"), [("rendered", 0.05), ("veil", 0.5)])
def test_correct_mattes_stay_correct(name: str, least: float, request: pytest.FixtureRequest) -> None:
    frames, truth = request.getfixturevalue(name)
    calm = smooth(frames, truth)
    assert mean_error(calm, truth) < least
    assert flicker(frames, calm) < 1.05 * flicker(frames, truth)


@pytest.mark.parametrize(("name", "pixels"), [("rendered", 0.1), ("veil", 1)])
def test_mattes_do_not_lag_behind_the_motion(
    name: str, pixels: float, request: pytest.FixtureRequest
) -> None:
    """The mattes' centres of gravity move with the truth's; the veil's has moved by 49 pixels."""
    frames, truth = request.getfixturevalue(name)

    def centre(matte: Matte) -> np.ndarray:
        y, x = np.mgrid[: matte.shape[0], : matte.shape[1]]
        return np.array([(x * matte.astype(float)).sum(), (y * matte.astype(float)).sum()]) / matte.sum()

    apart = [centre(m) - centre(t) for m, t in zip(smooth(frames, truth), truth, strict=True)]
    assert np.abs(apart).max() < pixels


def test_a_still_picture_is_averaged_over_time() -> None:
    frames = [ground(3).astype(np.uint8)] * 30
    random = np.random.default_rng(0)
    mattes = [np.clip(random.normal(128, 20, (180, 320)), 0, 255).astype(np.uint8) for _ in frames]
    last = smooth(frames, mattes)[-1]
    assert last.std() < 0.6 * mattes[-1].std()
    assert last.mean() == pytest.approx(mattes[-1].mean(), abs=1)


def test_a_matte_is_unchanged_where_flow_is_unreliable() -> None:
    frames = [ground(3).astype(np.uint8), ground(4).astype(np.uint8)]
    mattes = [np.zeros((180, 320), np.uint8), np.full((180, 320), 255, np.uint8)]
    assert smooth(frames, mattes)[1].mean() > 250


def test_the_first_matte_and_other_fields_are_unchanged(rendered: Clip) -> None:
    frames, truth = rendered
    given = [
        (Frame(7 * n, f), Prediction(t, n / 12)) for n, (f, t) in enumerate(zip(frames, truth, strict=True))
    ]
    kept = [prediction.matte.copy() for _, prediction in given]
    result = list(deflicker(iter(given)))
    assert np.array_equal(result[0][1].matte, truth[0])
    for (frame, prediction), (own, was), before in zip(result, given, kept, strict=True):
        assert frame is own and prediction.confidence == was.confidence
        assert prediction.matte.dtype == np.uint8 and prediction.matte.shape == was.matte.shape
        assert np.array_equal(was.matte, before)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (17, 33), (700, 40)])
def test_small_and_narrow_pictures(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(3)]
    mattes = [random.integers(0, 256, size, np.uint8) for _ in range(3)]
    assert [m.shape for m in smooth(frames, mattes)] == [size] * 3


def test_predictions_are_one_for_one_without_look_ahead(rendered: Clip) -> None:
    read = 0

    def pairs() -> Iterator[tuple[Frame, Prediction]]:
        nonlocal read
        for n, (frame, matte) in enumerate(zip(*rendered, strict=True)):
            read += 1
            yield Frame(n, frame), Prediction(matte)

    stream = deflicker(pairs())
    for n in range(1, 4):
        next(stream)
        assert read == n
    assert list(deflicker(iter(()))) == []
