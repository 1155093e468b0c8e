"""The subject's own colours: no halo of the old background, and nothing else changed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compositing.background import Colour
from pipeline.compositing.composite import open_composer, over
from pipeline.compositing.despill import despill
from pipeline.compositing.edges import Edges
from pipeline.compositing.foreground import estimate_foreground
from tests.figures import EDGES, Shot, shots
from tests.pipeline.compositing.test_composite import noise

AS_IT_IS = Edges(clean=False)


def deep(image: np.ndarray) -> np.ndarray:
    return image.astype(np.uint16) * 257


def faults(shot: Shot, edges: Edges) -> np.ndarray:
    """By how much the frame over another background differs from what it should be, `[H, W, 3]`."""
    height, width = shot.alpha.shape
    made = open_composer(Colour(255, 0, 255), width, height, edges)(shot.image, shot.alpha, 0.0)
    true = over(shot.colours, shot.alpha, np.full_like(shot.image, (255, 0, 255)))
    return np.asarray(made.astype(np.float32) - true)


def partly(shot: Shot) -> np.ndarray:
    return np.asarray((shot.alpha > 0) & (shot.alpha < 255))


@pytest.mark.parametrize("edge", EDGES)
def test_the_halo_is_halved_and_flickers_less(edge: str) -> None:
    clip = list(shots(edge, 3))
    before, after = ([faults(shot, edges) for shot in clip] for edges in (AS_IT_IS, Edges()))

    def error(seen: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(f)[partly(s)].mean() for f, s in zip(seen, clip, strict=True)]))

    def unrest(seen: list[np.ndarray]) -> float:
        both = partly(clip[1]) & partly(clip[2])
        return float(np.abs(seen[2] - seen[1])[both].mean())

    assert error(before) > 5
    assert error(after) < 0.3 * error(before)
    assert unrest(after) < 0.5 * unrest(before)


def test_foreground_at_alpha_0_and_255_is_unchanged() -> None:
    image, matte = noise(90, 120, 3), np.zeros((90, 120), np.uint8)
    matte[20:70, 30:60], matte[20:70, 60:64] = 255, 128
    before = image.copy()
    for picture in (image, deep(image)):
        result = estimate_foreground(picture, matte)
        assert np.array_equal(result[matte != 128], picture[matte != 128])
        assert (result[matte == 128] != picture[matte == 128]).any()
    assert np.array_equal(image, before)


@pytest.mark.parametrize("level", [0, 255])
def test_estimation_returns_the_image_itself_without_an_edge(level: int) -> None:
    image = noise(20, 30, 3)
    assert estimate_foreground(image, np.full((20, 30), level, np.uint8)) is image


def test_foreground_of_uniform_colours_is_recovered() -> None:
    alpha = np.tile(np.linspace(-500, 755, 320).clip(0, 255).astype(np.uint8), (200, 1))
    subject, wall = np.full((200, 320, 3), (200, 40, 90), np.uint8), np.full((200, 320, 3), 30, np.uint8)
    image = over(subject, alpha, wall)
    colours = estimate_foreground(image, alpha)
    weight = alpha[..., None] / 255
    assert np.abs((colours.astype(float) - subject) * weight).max() < 4  # laid over as it is: 42


def test_foreground_colours_extend_beyond_the_edge() -> None:
    matte = np.zeros((180, 240), np.uint8)
    cv2.circle(matte, (120, 90), 40, 255, cv2.FILLED)
    image = np.full((180, 240, 3), (0, 255, 0), np.uint8)
    image[matte > 0] = (180, 60, 20)
    around = cv2.dilate(matte, np.ones((9, 9), np.uint8))
    result = estimate_foreground(image, matte, around)
    margin = (around > 0) & (matte == 0)
    assert np.abs(result[margin].astype(int) - (180, 60, 20)).max() <= 2
    assert np.array_equal(result[around == 0], image[around == 0])


def test_a_matte_without_opaque_pixels_keeps_its_colours() -> None:
    image = cv2.GaussianBlur(noise(120, 160, 3), (0, 0), 3)
    result = estimate_foreground(image, np.full((120, 160), 140, np.uint8))
    assert np.abs(result.astype(int) - image).mean() < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (181, 359), (360, 362)])
def test_estimation_in_16_bits_equals_8_bits(size: tuple[int, int]) -> None:
    image, matte = noise(*size, 3), noise(*size, seed=1)
    plain, fine = estimate_foreground(image, matte), estimate_foreground(deep(image), matte)
    assert plain.dtype == np.uint8 and fine.dtype == np.uint16
    assert np.abs(fine / 257 - plain).max() <= 0.51


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.sampled_from([0, 1, 128, 254, 255]),
    st.floats(0, 1),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_matte_is_accepted(
    size: tuple[int, int], level: int, share: float, sixteen: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    matte = np.where(random.random(size) < share, level, noise(*size, seed=seed)).astype(np.uint8)
    image = deep(noise(*size, 3, seed=seed)) if sixteen else noise(*size, 3, seed=seed)
    where = (random.random(size) < 0.5).astype(np.uint8) if seed % 2 else None
    result = estimate_foreground(image, matte, where)
    assert result.shape == image.shape and result.dtype == image.dtype
    left = matte == 255 if where is None else (matte == 255) | (where == 0)
    assert np.array_equal(result[left], image[left])


def brightness(image: np.ndarray) -> np.ndarray:
    return np.asarray(image.astype(float) @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize(("screen", "channel"), [("green", 1), ("blue", 2)])
def test_despill_removes_the_screen_colour(screen: str, channel: int) -> None:
    image = noise(60, 80, 3)
    image[0] = np.arange(80)[:, None]  # greys
    for picture in (image, deep(image)):
        result = despill(picture, screen)
        assert result.dtype == picture.dtype
        assert np.array_equal(result[0], picture[0])
        before, after = (np.delete(what.astype(float), channel, 2).mean(2) for what in (picture, result))
        clear = picture[..., channel] <= before
        assert np.array_equal(result[clear], picture[clear])
        whole = result.max(2) < np.iinfo(picture.dtype).max  # nothing was cut off at white
        assert (result[..., channel] - after)[whole].max() <= 2
        assert np.abs(brightness(result) - brightness(picture))[whole].max() <= 2


def test_despill_removes_green_from_grey_and_keeps_skin() -> None:
    spilled = np.array([[[150, 190, 150], [225, 172, 140]]], np.uint8)
    lit, skin = despill(spilled, "green")[0]
    assert np.ptp(lit.astype(int)) <= 1
    assert np.array_equal(skin, spilled[0, 1])
