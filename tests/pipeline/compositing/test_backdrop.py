"""Backgrounds as pixels, frame by frame."""

import time
from bisect import bisect_right
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.backdrop import Backdrop, blur_background, open_backdrop
from pipeline.compositing.background import Colour, Footage, Picture, parse
from pipeline.errors import BackgroundError
from tests.pipeline.compositing.test_composite import noise
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip
from tests.waiting import DEADLINE


def test_blur_excludes_the_subjects_colours() -> None:
    image = np.full((240, 320, 3), (0, 0, 200), np.uint8)
    matte = np.zeros((240, 320), np.uint8)
    matte[80:160, 100:220] = 255
    image[matte > 0] = (255, 0, 0)
    seen = blur_background(image, matte, 24)[matte == 0]
    assert np.abs(seen.astype(int) - (0, 0, 200)).max() <= 2


def test_blur_softens_and_keeps_the_brightness() -> None:
    image, matte = noise(240, 320, 3), np.zeros((240, 320), np.uint8)
    behind = blur_background(image, matte, 24)
    assert behind.std() < image.std() / 10
    assert np.abs(behind.mean((0, 1)) - image.mean((0, 1))).max() < 0.6
    assert blur_background(image, matte, 6).std() > behind.std() * 2


def test_blur_grows_with_the_frame() -> None:
    edge = np.zeros((720, 640, 3), np.uint8)
    edge[:, 320:] = 255
    large = blur_background(edge, np.zeros((720, 640), np.uint8), 24)
    small = blur_background(edge[::2, ::2], np.zeros((360, 320), np.uint8), 24)
    assert np.abs(large[::2, ::2].astype(int) - small).mean() < 2


def frames_at(behind: Backdrop, moments: list[float], dtype: type = np.uint8) -> list[int]:
    """The numbers of the frames that are shown at these times."""
    nothing = np.zeros((64, 64, 3), dtype), np.zeros((64, 64), np.uint8)
    seen = []
    for moment in moments:
        shown = behind.render(*nothing, moment)
        assert shown.dtype == dtype and shown.shape == (64, 64, 3)
        seen.append(number((shown >> (8 * (shown.itemsize - 1))).astype(np.uint8)))
    return seen


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_video_background_keeps_its_times_and_repeats(tmp_path: Path, dtype: type) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(5), rate=Fraction(10))
    moments = [0.0, 0.05, 0.1, 0.25, 0.26, 0.45, 0.5, 0.55, 1.0, 1.35, 9.95]
    with closing(open_backdrop(Footage(path), 64, 64)) as behind:
        assert frames_at(behind, moments, dtype) == [0, 0, 1, 2, 2, 4, 0, 0, 0, 3, 4]


def test_a_held_video_background_stays_at_its_last_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(5), rate=Fraction(10))
    with closing(open_backdrop(Footage(path, hold_last=True), 64, 64)) as behind:
        assert frames_at(behind, [0.0, 0.35, 0.4, 0.5, 0.9, 60.0, 60.1, 3600.0]) == [0, 3, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("held", [False, True])
def test_a_video_background_renders_any_time(tmp_path: Path, held: bool) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(100), rate=Fraction(10))
    moments = [float(m) for m in np.random.default_rng(0).uniform(0, 25, 40)]
    expected = [min(int(m * 10), 99) if held else int(m * 10) % 100 for m in moments]
    with closing(open_backdrop(Footage(path, hold_last=held), 64, 64)) as behind:
        assert frames_at(behind, moments) == expected


def test_a_distant_time_is_reached_by_seeking(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(5), rate=Fraction(10))
    with closing(open_backdrop(Footage(path), 64, 64)) as behind:
        began = time.monotonic()
        assert frames_at(behind, [36000.2]) == [2]
        assert time.monotonic() - began < DEADLINE  # and not the minutes that ten hours of frames take


@pytest.mark.parametrize("rate", [Fraction(5), Fraction(24000, 1001), Fraction(60000, 1001), Fraction(120)])
def test_background_videos_of_any_rate(tmp_path: Path, rate: Fraction) -> None:
    path = write_clip(tmp_path / "behind.mkv", numbered(40), rate=rate, time_base=Fraction(1, 1000))
    starts = [round(n / rate * 1000) / 1000 for n in range(40)]
    moments = [n * 1001 / 30000 for n in range(1, int(40 / rate * 30))]
    with closing(open_backdrop(Footage(path), 64, 64)) as behind:
        assert frames_at(behind, moments) == [bisect_right(starts, m) - 1 for m in moments]


def test_background_videos_of_a_variable_rate(tmp_path: Path) -> None:
    starts = [0, 40, 50, 170, 230, 600, 610]
    path = write_clip(tmp_path / "a.mkv", numbered(7), pts=starts, time_base=Fraction(1, 1000))
    moments = [n / 60 for n in range(36)]
    with closing(open_backdrop(Footage(path), 64, 64)) as behind:
        expected = [bisect_right(starts, m * 1000 + 1e-6) - 1 for m in moments]
        assert frames_at(behind, moments) == expected


def test_a_10_bit_background_keeps_10_bits_behind_16_bit_frames(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(20000, 22000, 256).astype(np.uint16)[None, :, None], (64, 256, 3))
    path = write_clip(tmp_path / "a.mkv", [ramp.copy()] * 2, codec="ffv1", pix_fmt="yuv444p10le")
    image, matte = np.zeros((64, 256, 3), np.uint16), np.zeros((64, 256), np.uint8)
    with closing(open_backdrop(Footage(path), 256, 64)) as behind:
        shown = behind.render(image, matte, 0.0)
        assert np.abs(shown.astype(int) - ramp).mean() < 128
        assert len(np.unique(shown[..., 1])) > 20  # eight bits would leave nine
        # Asked for eight bits, it gives those.
        assert behind.render(image.astype(np.uint8), matte, 0.0).dtype == np.uint8


def test_closing_a_backdrop_closes_its_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "behind.mp4", numbered(50))
    open_files = Path("/proc/self/fd")

    def handles() -> int:
        links = [link.readlink() for link in open_files.iterdir() if link.is_symlink()]
        return sum(link == path for link in links)

    behind = open_backdrop(Footage(path), 64, 64)
    frames_at(behind, [0.0])
    assert handles() == 1
    frames_at(behind, [1.0, 0.5, 30.0])
    assert handles() == 1
    behind.close()
    assert handles() == 0
    behind.close()


def test_unreadable_background_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "a.png").write_bytes(b"no picture")
    for name, kind in (("a.mp4", Footage), ("missing.mp4", Footage), ("a.png", Picture)):
        with pytest.raises(BackgroundError, match=f"^{name}: "):
            open_backdrop(kind(tmp_path / name), 8, 8)


def test_an_8_bit_background_in_16_bits() -> None:
    image, matte = np.zeros((4, 6, 3), np.uint16), np.zeros((4, 6), np.uint8)
    behind = open_backdrop(Colour(0, 128, 255), 6, 4)
    assert tuple(behind.render(image, matte, 0.0)[0, 0]) == (0, 128 * 257, 65535)
    assert tuple(behind.render(image.astype(np.uint8), matte, 0.0)[0, 0]) == (0, 128, 255)


def test_blur_in_16_bits_equals_blur_in_8_bits() -> None:
    image, matte = noise(120, 160, 3), noise(120, 160, seed=1)
    fine = blur_background(image.astype(np.uint16) * 257, matte, 24)
    assert np.abs(fine / 257 - blur_background(image, matte, 24)).max() <= 2


def first_shown(background: Picture | Footage, side: int = 64) -> tuple[np.ndarray, tuple[str, ...]]:
    nothing = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    with closing(open_backdrop(background, side, side)) as behind:
        return np.array(behind.render(*nothing, 0.0)), behind.notes


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_without_a_suffix_is_recognised_by_its_content(tmp_path: Path, format: str) -> None:
    Image.new("RGB", (64, 64), (200, 50, 90)).save(tmp_path / "beach", format)
    Image.new("RGB", (64, 64), (200, 50, 90)).save(tmp_path / "beach.mp4", format)
    for name in ("beach", "beach.mp4"):
        background = parse(str(tmp_path / name))
        assert isinstance(background, Footage)
        shown, _ = first_shown(background)
        assert np.abs(shown[5, 5].astype(int) - (200, 50, 90)).max() <= 3


def test_a_video_without_a_suffix_is_recognised_by_its_content(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(5), rate=Fraction(10)).rename(tmp_path / "sea")
    with closing(open_backdrop(parse(str(path)), 64, 64)) as behind:
        assert frames_at(behind, [0.0, 0.25]) == [0, 2]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.apng", "a.webp"])
def test_animated_images_are_recognised(tmp_path: Path, name: str) -> None:
    pictures = [Image.fromarray(frame) for frame in numbered(5)]
    options = {"save_all": True, "append_images": pictures[1:], "duration": 100, "loop": 0, "lossless": True}
    pictures[0].save(tmp_path / name, "PNG" if "png" in name else None, **options)
    background = parse(str(tmp_path / name))
    assert isinstance(background, Picture)
    with closing(open_backdrop(background, 64, 64)) as behind:
        assert frames_at(behind, [0.0, 0.1, 0.25, 0.45, 0.5, 1.35]) == [0, 1, 2, 4, 0, 3]


def test_a_stereo_photograph_is_not_animated(tmp_path: Path) -> None:
    views = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=views[1:])
    shown, _ = first_shown(Picture(tmp_path / "a.jpg"))
    assert shown[5, 5, 0] > 200


def test_a_transparent_image_is_reported(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 128)).save(tmp_path / "a.png")
    Image.new("RGBA", (64, 64), (255, 0, 0, 255)).save(tmp_path / "b.png")
    shown, notes = first_shown(Picture(tmp_path / "a.png"))
    assert tuple(shown[5, 5]) == (128, 0, 0)
    assert tuple(map(str, notes)) == (
        "a.png: this background is transparent in part, and lies on black there.",
    )
    assert first_shown(Picture(tmp_path / "b.png"))[1] == ()
