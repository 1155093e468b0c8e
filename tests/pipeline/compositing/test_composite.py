"""Alpha and colour arithmetic against plain formulas."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.compositing.background import Background, Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.composite import cut_out, open_composer, over
from pipeline.compositing.edges import Edges, adjust_edges
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_over_is_the_weighted_mean() -> None:
    image, behind, matte = noise(40, 60, 3), noise(40, 60, 3, seed=1), noise(40, 60, seed=2)
    alpha = matte[..., None] / 255
    exact = alpha * image + (1 - alpha) * behind
    assert np.abs(over(image, matte, behind) - exact).max() <= 0.5


def test_over_is_exact_at_alpha_0_and_255() -> None:
    image, behind = noise(40, 60, 3), noise(40, 60, 3, seed=1)
    matte = np.zeros((40, 60), np.uint8)
    matte[:, 30:] = 255
    result = over(image, matte, behind)
    assert np.array_equal(result[:, :30], behind[:, :30])
    assert np.array_equal(result[:, 30:], image[:, 30:])


def test_over_of_white_on_white_is_white_at_every_alpha() -> None:
    white = np.full((1, 256, 3), 255, np.uint8)
    assert over(white, np.arange(256, dtype=np.uint8)[None], white).min() == 255


def test_a_cutout_keeps_alpha_and_erases_removed_colours() -> None:
    image = noise(60, 80, 3) | 1
    matte = np.zeros((60, 80), np.uint8)
    matte[20:40, 20:40] = noise(20, 20, seed=3) | 1
    result = cut_out(image, matte)
    assert np.array_equal(result[..., 3], matte)
    assert np.array_equal(result[20:40, 20:40, :3], image[20:40, 20:40])
    assert not result[:10, :, :3].any() and not result[:, 50:, :3].any()


def test_over_in_sixteen_bits_is_rounded_to_nearest() -> None:
    random = np.random.default_rng(0)
    image, behind = random.integers(0, 65536, (2, 130, 70, 3), np.uint16)
    matte = noise(130, 70, seed=2)
    alpha = matte[..., None].astype(np.float64) / 255
    exact = alpha * image + (1 - alpha) * behind
    result = over(image, matte, behind)
    assert result.dtype == np.uint16
    assert np.abs(result - exact).max() <= 0.51
    ends = np.where(noise(130, 70, seed=4) > 99, 255, 0).astype(np.uint8)
    assert np.array_equal(over(image, ends, behind), np.where(ends[..., None] == 255, image, behind))


def green_screen() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame of a plain red ball before green, its matte, and where the ball is not and nothing is near."""
    matte = np.zeros((360, 480), np.uint8)
    cv2.circle(matte, (240, 180), 90, 255, cv2.FILLED)
    far = cv2.dilate(matte, np.ones((41, 41), np.uint8)) == 0
    matte = cv2.GaussianBlur(matte, (0, 0), 3)
    ball, wall = (
        np.full((360, 480, 3), (200, 60, 30), np.uint8),
        np.full((360, 480, 3), (0, 220, 0), np.uint8),
    )
    return over(ball, matte, wall), matte, far


@pytest.mark.parametrize("sixteen", [False, True])
@pytest.mark.parametrize("edges", [Edges(), Edges(grow=3), Edges(grow=-3), Edges(feather=8)])
def test_a_cutout_contains_no_old_background(edges: Edges, sixteen: bool) -> None:
    image, matte, far = green_screen()
    unit = 257 if sixteen else 1
    image = image.astype(np.uint16) * unit if sixteen else image
    result = open_composer(Transparent(), 480, 360, edges)(image, matte, 0.0)
    assert result.dtype == image.dtype
    assert np.array_equal(result[..., 3], adjust_edges(matte, edges).astype(int) * unit)
    assert not result[far & (result[..., 3] == 0)].any()
    shown = result[..., :3].any(2)
    assert shown[result[..., 3] > 0].all()
    assert np.abs(result[shown][:, :3].astype(int) // unit - (200, 60, 30)).max() <= 6


def test_a_matte_grown_outwards_shows_extended_foreground_colours() -> None:
    image, matte, _ = green_screen()
    grown = Edges(grow=40)
    clean, dirty = (
        open_composer(Colour(0, 0, 0), 480, 360, edges)(image, matte, 0.0)
        for edges in (grown, replace(grown, clean=False))
    )
    ring = (adjust_edges(matte, grown) == 255) & (matte < 40)
    assert ring.sum() > 300
    assert np.abs(clean[ring].astype(int) - (200, 60, 30)).max() <= 6
    assert dirty[ring][:, 1].min() > 150


def test_alpha_255_keeps_the_image_and_alpha_0_the_background() -> None:
    image, matte = noise(90, 120, 3), cv2.GaussianBlur(noise(9, 12), (0, 0), 0.1)
    matte = cv2.resize(matte, (120, 90)).astype(float)
    matte = ((matte - 128) * 4 + 128).clip(0, 255).astype(np.uint8)
    result = open_composer(Colour(9, 8, 7), 120, 90)(image, matte, 0.0)
    assert 0 < (matte == 255).mean() < 1 and (matte == 0).any()
    assert np.array_equal(result[matte == 255], image[matte == 255])
    assert (result[matte == 0] == (9, 8, 7)).all()


def test_despill_applies_to_the_whole_subject() -> None:
    image = np.full((60, 80, 3), (150, 190, 150), np.uint8)
    matte = np.full((60, 80), 255, np.uint8)
    grey = open_composer(Colour(0, 0, 0), 80, 60, Edges(despill="green"))(image, matte, 0.0)
    assert np.ptp(grey[30, 40].astype(int)) <= 1
    kept = open_composer(Colour(0, 0, 0), 80, 60, Edges(despill="blue"))(image, matte, 0.0)
    assert np.array_equal(kept, image)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.builds(
        Edges, st.booleans(), st.floats(-9, 9), st.floats(0, 9), st.sampled_from(["none", "green", "blue"])
    ),
    st.sampled_from([Colour(1, 2, 3), Blur(), Transparent()]),
    st.integers(0, 99),
)
def test_compositing_in_16_bits_equals_8_bits(
    size: tuple[int, int], edges: Edges, background: Background, seed: int
) -> None:
    image, matte = noise(*size, 3, seed=seed), noise(*size, seed=seed + 1)
    matte[image[..., 0] < 60], matte[image[..., 0] > 190] = 0, 255
    kept = image.copy(), matte.copy()
    compose = open_composer(background, size[1], size[0], edges)
    plain, fine = compose(image, matte, 0.0), compose(image.astype(np.uint16) * 257, matte, 0.0)
    assert plain.dtype == np.uint8 and fine.dtype == np.uint16
    assert plain.shape == fine.shape == (*size, 4 if background == Transparent() else 3)
    assert np.abs(fine / 257 - plain).max() <= 3
    assert np.array_equal(image, kept[0]) and np.array_equal(matte, kept[1])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 700), (161, 121)])
def test_every_background_fits_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    Image.fromarray(noise(30, 50, 3)).save(tmp_path / "a.png")
    write_clip(tmp_path / "a.mp4", numbered(2))
    images = noise(height, width, 3), noise(height, width, seed=1)
    kinds: list[Background] = [Colour(1, 2, 3), Blur(), Transparent()]
    for fit in ("fill", "fit", "stretch"):
        kinds += [Picture(tmp_path / "a.png", fit), Footage(tmp_path / "a.mp4", fit)]
    for background in kinds:
        with closing(open_composer(background, width, height)) as compose:
            result = compose(*images, 0.0)
        assert result.dtype == np.uint8
        assert result.shape == (height, width, 4 if background == Transparent() else 3)
