"""Clean plates, and shadows that are measured against them, on rendered clips whose shadow is known."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.compositing import plate
from tests.shadowed import Shadowed, shadowed_clip


def build(clip: Shadowed) -> plate.Plate:
    builder = plate.PlateBuilder()
    for image, matte in zip(clip.frames, clip.alphas, strict=True):
        builder.add(image, matte)
    made = builder.build()
    assert made is not None
    return made


@pytest.fixture(scope="module", params=["still", "panned", "held by hand"])
def clip(request: pytest.FixtureRequest) -> Shadowed:
    if request.param == "held by hand":
        return shadowed_clip(24, pan=1.3, shake=3.0)
    return shadowed_clip(24, pan=2.0 if request.param == "panned" else 0.0)


@pytest.fixture(scope="module")
def made(clip: Shadowed) -> plate.Plate:
    return build(clip)


def test_the_shadow_is_the_one_that_fell(clip: Shadowed, made: plate.Plate) -> None:
    """Share that is left of the error of leaving it out; the shadow is known to the pixel."""
    without = kept = 0.0
    for image, alpha, shade in zip(clip.frames, clip.alphas, clip.shades, strict=True):
        measured = plate.measure_shadow(image, alpha, made)
        assert measured is not None
        beside = alpha == 0
        without += float(shade[beside].mean())
        kept += float(np.abs(measured[beside] / 255 - shade[beside]).mean())
    assert kept < without / 2


def test_the_shadow_moves_as_steadily_as_the_true_one(clip: Shadowed, made: plate.Plate) -> None:
    shades = [
        plate.measure_shadow(image, alpha, made)
        for image, alpha in zip(clip.frames, clip.alphas, strict=True)
    ]
    steps = [np.abs(a / 255 - b / 255).mean() for a, b in pairwise(s for s in shades if s is not None)]
    true = [np.abs(a - b).mean() for a, b in pairwise(clip.shades)]
    assert np.mean(steps) < 1.3 * np.mean(true)


def test_ground_that_lies_elsewhere_has_no_shadow() -> None:
    """A pole before the ground stands aside of where the plate has it, as it does where the camera moves."""
    clip = shadowed_clip(24)
    before = [image.copy() for image in clip.frames]
    for image in before:
        image[:, 300:306] = 235
    builder = plate.PlateBuilder()
    for image, alpha in zip(before, clip.alphas, strict=True):
        builder.add(image, alpha)
    made = builder.build()
    assert made is not None
    image, alpha = clip.frames[12].copy(), clip.alphas[12]
    image[:, 304:310] = 235
    beside = np.s_[230:, 296:314]
    found, true = plate.measure_shadow(image, alpha, made), clip.shades[12][beside]
    assert found is not None and not alpha[beside].any()
    assert found[beside].mean() < 12 + 255 * true.mean()


def test_strength_and_bit_depth(clip: Shadowed, made: plate.Plate) -> None:
    image, alpha = clip.frames[12], clip.alphas[12]
    usual, none, double = (plate.measure_shadow(image, alpha, made, s) for s in (1, 0, 2))
    assert usual is not None and none is not None and double is not None
    assert not none.any() and double.max() > 1.3 * usual.max()
    deep = plate.measure_shadow(image.astype(np.uint16) * 257, alpha, made)
    assert deep is not None and np.abs(deep.astype(int) - usual).max() <= 2


def test_a_frame_without_a_subject_has_no_shadow(clip: Shadowed, made: plate.Plate) -> None:
    shade = plate.measure_shadow(clip.frames[0], np.zeros_like(clip.alphas[0]), made)
    assert shade is not None and not shade.any()


def test_the_plate_is_the_ground_without_subject_and_shadow() -> None:
    clip = shadowed_clip(24)
    made = build(clip)
    small, _ = plate.shrink(clip.ground, clip.alphas[0])
    error = np.abs(made.picture[made.known] - small[made.known])
    assert made.still and made.known.mean() > 0.9 and error.mean() < 3


def test_nothing_is_told_without_a_moving_subject_or_a_background_that_registers() -> None:
    clip = shadowed_clip(24)
    random = np.random.default_rng(1)
    still, noise, short = plate.PlateBuilder(), plate.PlateBuilder(), plate.PlateBuilder()
    whole = np.full_like(clip.alphas[0], 255)
    whole[:20] = 0
    for image, matte in zip(clip.frames, clip.alphas, strict=True):
        still.add(image, whole)
        noise.add(random.integers(0, 256, image.shape).astype(np.uint8), matte)
    short.add(clip.frames[0], clip.alphas[0])
    assert still.build() is None and noise.build() is None and short.build() is None


def test_memory_is_bounded_and_the_frames_are_spread() -> None:
    builder = plate.PlateBuilder()
    for n in range(200):
        builder.add(np.full((9, 16, 3), n, np.uint8), np.zeros((9, 16), np.uint8))
    levels = [int(image[0, 0, 0]) for image, _ in builder._frames]
    assert len(levels) <= plate.MOST_FRAMES and levels[0] < 16 and levels[-1] > 180
    assert len(set(np.diff(levels))) == 1
