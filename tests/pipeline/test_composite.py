"""Alpha and colour arithmetic against plain formulas."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import backdrop, pictures
from pipeline.background import Background, Blur, Colour, Footage, Picture, Transparent
from pipeline.composite import composer, cut_out, over
from pipeline.errors import BackgroundError
from pipeline.pictures import laid
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_over_is_the_weighted_mean() -> None:
    image, behind, matte = noise(40, 60, 3), noise(40, 60, 3, seed=1), noise(40, 60, seed=2)
    alpha = matte[..., None] / 255
    exact = alpha * image + (1 - alpha) * behind
    assert np.abs(over(image, matte, behind) - exact).max() <= 1


def test_over_is_exact_where_the_matte_is_clear() -> None:
    image, behind = noise(40, 60, 3), noise(40, 60, 3, seed=1)
    matte = np.zeros((40, 60), np.uint8)
    matte[:, 30:] = 255
    result = over(image, matte, behind)
    assert np.array_equal(result[:, :30], behind[:, :30])
    assert np.array_equal(result[:, 30:], image[:, 30:])


def test_over_of_white_on_white_is_white_at_every_alpha() -> None:
    white = np.full((1, 256, 3), 255, np.uint8)
    assert over(white, np.arange(256, dtype=np.uint8)[None], white).min() == 255


def test_cut_out_keeps_the_alpha_and_wipes_what_was_removed() -> None:
    image = noise(60, 80, 3) | 1
    matte = np.zeros((60, 80), np.uint8)
    matte[20:40, 20:40] = noise(20, 20, seed=3) | 1
    result = cut_out(image, matte)
    assert np.array_equal(result[..., 3], matte)
    assert np.array_equal(result[20:40, 20:40, :3], image[20:40, 20:40])
    assert not result[:10, :, :3].any() and not result[:, 50:, :3].any()


def test_blur_holds_nothing_of_the_subject() -> None:
    image = np.full((240, 320, 3), (0, 0, 200), np.uint8)
    matte = np.zeros((240, 320), np.uint8)
    matte[80:160, 100:220] = 255
    image[matte > 0] = (255, 0, 0)
    seen = backdrop.blurred(image, matte, 24)[matte == 0]
    assert np.abs(seen.astype(int) - (0, 0, 200)).max() <= 2


def test_blur_softens_and_keeps_the_brightness() -> None:
    image, matte = noise(240, 320, 3), np.zeros((240, 320), np.uint8)
    behind = backdrop.blurred(image, matte, 24)
    assert behind.std() < image.std() / 10
    assert np.abs(behind.mean((0, 1)) - image.mean((0, 1))).max() < 0.6
    assert backdrop.blurred(image, matte, 6).std() > behind.std() * 2


def test_blur_grows_with_the_frame() -> None:
    edge = np.zeros((720, 640, 3), np.uint8)
    edge[:, 320:] = 255
    large = backdrop.blurred(edge, np.zeros((720, 640), np.uint8), 24)
    small = backdrop.blurred(edge[::2, ::2], np.zeros((360, 320), np.uint8), 24)
    assert np.abs(large[::2, ::2].astype(int) - small).mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 700), (161, 121)])
def test_every_background_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    Image.fromarray(noise(30, 50, 3)).save(tmp_path / "a.png")
    write_clip(tmp_path / "a.mp4", numbered(2))
    images = noise(height, width, 3), noise(height, width, seed=1)
    kinds: list[Background] = [Colour(1, 2, 3), Blur(), Transparent()]
    for fit in ("fill", "fit", "stretch"):
        kinds += [Picture(tmp_path / "a.png", fit), Footage(tmp_path / "a.mp4", fit)]
    for background in kinds:
        result = composer(background, width, height)(*images, 0.0)
        assert result.dtype == np.uint8
        assert result.shape == (height, width, 4 if background == Transparent() else 3)


def test_how_pictures_are_laid() -> None:
    left, right = (200, 0, 0), (0, 0, 200)
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :40], wide[:, 40:] = left, right
    fill, fit, stretch = (laid(wide, 60, 60, name) for name in ("fill", "fit", "stretch"))
    assert tuple(fill[30, 1]) == left and tuple(fill[30, 58]) == right and fill[0].any(1).all()
    assert not fit[:15].any() and not fit[45:].any() and tuple(fit[30, 1]) == left
    assert tuple(stretch[1, 1]) == left and tuple(stretch[58, 58]) == right
    square = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    for name in ("fill", "fit", "stretch"):
        assert np.array_equal(laid(square, 16, 16, name), square)


def test_fill_shows_the_middle() -> None:
    ramp = np.tile(np.arange(90, dtype=np.uint8)[None, :, None], (30, 1, 3))
    assert np.array_equal(laid(ramp, 30, 30, "fill"), ramp[:, 30:60])


def test_a_picture_stands_upright_and_its_holes_are_black(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(20, 30, 3))
    exif = picture.getexif()
    exif[0x0112] = 6  # turned a quarter clockwise by the viewer
    picture.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(pictures.opened(tmp_path / "turned.png"), np.rot90(np.asarray(picture), -1))
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(tmp_path / "hole.png")
    assert not pictures.opened(tmp_path / "hole.png").any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "RGBA"])
def test_pictures_of_every_kind(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.new(mode, (8, 6)).save(tmp_path / f"a{suffix}")
    assert pictures.opened(tmp_path / f"a{suffix}").shape == (6, 8, 3)


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert np.abs(pictures.opened(tmp_path / "deep.png").astype(int) - 128).max() <= 1


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").touch()
    Image.fromarray(noise(50, 50, 3)).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    for name in ("a.png", "empty.jpg", "half.png", "missing.png"):
        with pytest.raises(BackgroundError, match=f"^{name}: "):
            composer(Picture(tmp_path / name), 8, 8)
    for name in ("a.png", "missing.mp4"):
        with pytest.raises(BackgroundError, match=f"^{name}: "):
            composer(Footage(tmp_path / name), 8, 8)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 99)
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    with pytest.raises(BackgroundError, match="10 × 10"):
        pictures.opened(tmp_path / "a.png")


def test_footage_keeps_its_own_time_and_begins_again(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(5), rate=Fraction(10))
    compose = composer(Footage(path), 64, 64)
    nothing = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    moments = [0.0, 0.05, 0.1, 0.25, 0.26, 0.45, 0.5, 0.55, 1.0, 1.35, 9.95]
    assert [number(compose(*nothing, t)) for t in moments] == [0, 0, 1, 2, 2, 4, 0, 0, 0, 3, 4]
