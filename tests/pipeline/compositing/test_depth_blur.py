"""Blur by depth: where it is sharp, how it grows, of what shape it is, and in 16 bits."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.compositing.background import Blur, format_spec, parse
from pipeline.compositing.composite import open_composer
from pipeline.compositing.depth_blur import blur_by_depth
from pipeline.errors import BackgroundError


def standing(height: int = 360, width: int = 640) -> np.ndarray:
    """The matte of a post that stands on a row four fifths down."""
    matte = np.zeros((height, width), np.uint8)
    matte[height * 2 // 5 : height * 4 // 5, width // 2 - 20 : width // 2 + 20] = 255
    return matte


def stripes(height: int = 360, width: int = 640) -> np.ndarray:
    columns = np.where(np.arange(width) // 8 % 2, 200, 60).astype(np.uint8)
    return np.repeat(np.repeat(columns[None, :, None], height, 0), 3, 2)


def test_the_blur_grows_with_the_height_above_the_ground_contact() -> None:
    picture = stripes()
    result = blur_by_depth(picture, standing(), 24)
    assert np.array_equal(result[288:], picture[288:])  # at the feet and before them
    contrast = [float(np.ptp(result[row, :200, 0].astype(int))) for row in (285, 260, 240, 200, 150, 60)]
    assert contrast[0] > 120 and contrast == sorted(contrast, reverse=True) and contrast[-1] < 60
    assert np.array_equal(result[20], result[100])  # beyond the horizon it stays


def test_a_lamp_becomes_an_even_disc() -> None:
    picture = np.full((360, 640, 3), 20, np.uint8)
    picture[58:62, 98:102] = 255
    grey = blur_by_depth(picture, standing(), 24)[..., 0].astype(int)
    disc = grey[60 - 6 : 60 + 7, 100 - 6 : 100 + 7]
    assert disc.min() > 40 and np.ptp(disc) < 0.35 * disc.max()  # flat, not a peak
    assert grey[60, 100 + 18] < 30 and grey[60 - 18, 100] < 30  # with a rim


def test_the_subject_leaves_no_halo() -> None:
    picture, matte = np.full((360, 640, 3), 80, np.uint8), standing()
    picture[matte > 0] = (250, 20, 20)
    result = blur_by_depth(picture, matte, 24)[:280]
    assert np.abs(result[matte[:280] == 0].astype(int) - 80).max() <= 3


def test_eight_and_sixteen_bits_agree_and_any_size_goes() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    matte = standing(90, 160)
    deep = blur_by_depth(picture.astype(np.uint16) * 257, matte, 24)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - blur_by_depth(picture, matte, 24).astype(float)).max() <= 1
    for size in ((1, 1), (2, 9), (7, 3)):
        one = np.full((*size, 3), 77, np.uint8)
        assert np.abs(blur_by_depth(one, np.zeros(size, np.uint8), 24).astype(int) - 77).max() <= 1


def test_a_subject_that_moves_evenly_moves_the_blur_evenly() -> None:
    picture, matte = stripes(), standing()
    results = [blur_by_depth(picture, np.roll(matte, n, axis=0), 24).astype(int) for n in range(4)]
    assert max(np.abs(a - b).mean() for a, b in pairwise(results)) < 0.6


def test_it_is_a_background_with_a_text_form() -> None:
    assert parse("depth-blur") == Blur(depth=True) and parse("depth-blur:9") == Blur(9, True)
    assert format_spec(Blur(9.0, True)) == "depth-blur:9" and parse(format_spec(Blur(7.5, True))) == Blur(
        7.5, True
    )
    with pytest.raises(BackgroundError):
        parse("depth-blur:much")
    picture, matte = stripes(90, 160), standing(90, 160)
    assert np.array_equal(
        open_composer(Blur(24, True), 160, 90)(picture, np.zeros_like(matte), 0.0),
        blur_by_depth(picture, np.zeros_like(matte), 24),
    )
