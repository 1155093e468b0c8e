"""Drawn shadows and light around edges: where they fall, how dark they are, in 8 and 16 bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.compositing.composite import cut_out, over
from pipeline.compositing.light import (
    NONE,
    Light,
    Shadow,
    cast_shadow,
    darken,
    lay_over_shade,
    wrap_light,
)
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.keys import matte_key, result_key
from pipeline.process import process

SHARP = Shadow(angle=0, length=1, softness=0, strength=1)


def post(*places: tuple[int, int, int], size: tuple[int, int] = (200, 300)) -> np.ndarray:
    """A matte with posts 10 wide: their left column, first row, and the row after their last."""
    matte = np.zeros(size, np.uint8)
    for left, top, bottom in places:
        matte[top:bottom, left : left + 10] = 255
    return matte


@pytest.mark.parametrize(
    ("angle", "across", "away"), [(0, 1, 0.08), (90, 0, 1), (180, -1, 0.08), (45, 0.707, 0.707)]
)
def test_a_shadow_falls_where_its_angle_and_length_say(angle: float, across: float, away: float) -> None:
    """The tip of a post 100 high, that stands on row 180, is thrown so far along the ground."""
    shade = cast_shadow(post((145, 80, 180)), replace(SHARP, angle=angle))
    rows, columns = np.nonzero(shade > 100)
    tip = columns.max() if across > 0.1 else columns.min() if across < -0.1 else columns.mean()
    middle = 150 + 100 * across
    assert tip == pytest.approx(middle, abs=8)
    assert rows.min() == pytest.approx(180 - 100 * away, abs=4)
    assert rows.max() <= 182


def test_each_part_stands_on_its_own_ground() -> None:
    shade = cast_shadow(post((40, 20, 80), (200, 100, 180)), SHARP)
    assert shade[74:80, 60:90].max() > 200 and shade[172:180, 220:260].max() > 200
    assert shade[90:165].max() < 20 and shade[:60].max() < 20


def test_strength_and_softness() -> None:
    matte = post((145, 80, 180))
    full = cast_shadow(matte, SHARP)
    assert not cast_shadow(matte, replace(SHARP, strength=0)).any()
    half = cast_shadow(matte, replace(SHARP, strength=0.5))
    assert np.abs(half.astype(int) - full.astype(int) // 2).max() <= 1
    soft = cast_shadow(matte, replace(SHARP, softness=1))
    assert np.count_nonzero(soft) > 1.5 * np.count_nonzero(full) and soft.max() < full.max()
    assert not cast_shadow(np.zeros((90, 160), np.uint8), Shadow()).any()
    assert cast_shadow(np.full((1, 1), 255, np.uint8), Shadow()).shape == (1, 1)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def test_eight_and_sixteen_bits_agree() -> None:
    image, behind, alpha = noise(70, 90, 3), noise(70, 90, 3), noise(70, 90)
    shade = noise(70, 90)

    def deep(values: np.ndarray) -> np.ndarray:
        return values.astype(np.uint16) * 257

    for one, other in (
        (darken(image, shade), darken(deep(image), shade)),
        (wrap_light(image, alpha, behind, 0.7), wrap_light(deep(image), alpha, deep(behind), 0.7)),
        (lay_over_shade(cut_out(image, alpha), shade), lay_over_shade(cut_out(deep(image), alpha), shade)),
    ):
        assert one.dtype == np.uint8 and other.dtype == np.uint16
        assert np.abs(one.astype(float) - other.astype(float) / 257).max() <= 1.01


def test_a_cut_out_with_its_shadow_is_laid_over_as_both_would_be() -> None:
    image, alpha, shade = noise(60, 80, 3), noise(60, 80), noise(60, 80)
    white = np.full_like(image, 255)
    rgba = lay_over_shade(cut_out(image, alpha), shade)
    laid = over(np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3]), white)
    expected = over(image, alpha, darken(white, shade))
    # Straight colours are whole numbers, and so is alpha.
    assert np.abs(laid.astype(int) - expected.astype(int)).max() <= 3


def test_light_falls_on_edges_only_and_only_where_it_is_brighter() -> None:
    alpha = post((100, 0, 200), size=(200, 300))
    alpha[:, 100:200] = 255
    grey = np.full((200, 300, 3), 100, np.uint8)
    lit = wrap_light(grey, alpha, np.full_like(grey, 250), 1)
    assert lit[100, 101, 0] > 130 and lit[100, 150, 0] <= 101
    assert (wrap_light(grey, alpha, np.full_like(grey, 20), 1) == grey).all()
    assert (wrap_light(grey, alpha, np.full_like(grey, 250), 0) == grey).all()


@pytest.mark.parametrize(
    "light",
    [
        Light(Shadow(length=-1)),
        Light(Shadow(length=5)),
        Light(Shadow(softness=1.1)),
        Light(Shadow(strength=float("nan"))),
        Light(Shadow(angle=float("inf"))),
        Light(wrap=2),
        Light(wrap=float("nan")),
    ],
)
def test_values_out_of_range_are_refused(light: Light) -> None:
    with pytest.raises(InputError):
        light.check()


def test_jobs_keep_their_light(tmp_path: Path) -> None:
    job = Job(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert "light" not in job.to_json(tmp_path)
    lit = replace(job, light=Light(Shadow(30, 1, 0.2, 0.9), 0.25))
    assert Job.from_json(lit.to_json(tmp_path), tmp_path) == lit
    for wrong in ([], {"shadow": 3}, {"shadow": {"angle": "a"}}, {"glow": 1}, {"wrap": "much"}):
        with pytest.raises(InputError):
            Job.from_json(job.to_json(tmp_path) | {"light": wrong}, tmp_path)


def test_a_run_draws_the_shadow_and_keeps_its_matte(stand_ins: None, clip_path: Path, tmp_path: Path) -> None:
    job = Job(clip_path, tmp_path / "a.mp4", model="blind", matte=tmp_path / "m.mkv")
    lit = replace(job, output=tmp_path / "b.mp4", light=Light(Shadow(strength=1), 0.5))
    assert matte_key(lit) == matte_key(job) and result_key(lit, tmp_path) != result_key(job, tmp_path)
    for one in (job, lit):
        list(process(one))
    plain, shaded = (first_frame(one.output) for one in (job, lit))
    assert shaded.astype(int).sum() < plain.astype(int).sum() - 10_000


def first_frame(path: Path) -> np.ndarray:
    import av

    with av.open(path) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_light_is_part_of_nothing_without_a_background() -> None:
    assert Light() == NONE and str(Light(Shadow(1, 2, 0.5, 1), 0.5)) == "0.5-1-2-0.5-1"
