"""The files that the application ships are what the page and assets/README.md say they are."""

from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from tests import ffprobe
from ui.sessions.library import examples

ASSETS = Path(__file__).parent.parent / "assets"
SAMPLE = ASSETS / "sample.mp4"
EXAMPLES = sorted((ASSETS / "examples").glob("*.mp4"))
BACKGROUNDS = sorted((ASSETS / "backgrounds").glob("*.jpg"))


def test_the_sample_has_a_common_codec_and_colour_tags() -> None:
    video, audio = ffprobe.stream(SAMPLE), ffprobe.stream(SAMPLE, "audio")
    assert (video["codec_name"], video["pix_fmt"], audio["codec_name"]) == ("h264", "yuv420p", "aac")
    assert (video["width"], video["height"]) == (960, 540)
    colours = (video["color_space"], video["color_range"], video["color_transfer"], video["color_primaries"])
    assert colours == ("bt709", "tv", "bt709", "bt709")
    assert ffprobe.frame_times(SAMPLE) == [Fraction(n, 24) for n in range(132)]
    assert ffprobe.sound_duration(SAMPLE) == pytest.approx(5.5, abs=0.03)


def test_the_sample_is_small_and_has_its_index_at_the_front() -> None:
    content = SAMPLE.read_bytes()
    assert len(content) < 1_500_000
    assert content.index(b"moov") < content.index(b"mdat")


def test_stock_backgrounds_exist() -> None:
    assert len(BACKGROUNDS) >= 3
    pictures = [cv2.imread(str(path)) for path in BACKGROUNDS]
    assert all(picture is not None and picture.shape == (1080, 1920, 3) for picture in pictures)
    assert sum(path.stat().st_size for path in BACKGROUNDS) < 900_000


def test_the_examples_are_small_and_tagged() -> None:
    assert sorted(path.stem for path in EXAMPLES) == sorted([*examples.NAMES, "welcome"])
    for path in EXAMPLES:
        content, video = path.read_bytes(), ffprobe.stream(path)
        assert len(content) < (400_000 if path.stem == "welcome" else 300_000)
        assert content.index(b"moov") < content.index(b"mdat")
        assert (video["codec_name"], video["width"], video["height"]) == ("h264", 640, 360)
        assert (video["color_space"], video["color_range"]) == ("bt709", "tv")
        poster = cv2.imread(str(path.with_suffix(".jpg")))
        assert poster is not None and poster.shape == (180, 320, 3)
