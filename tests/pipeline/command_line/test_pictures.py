"""Pictures at the command line, with Pillow as the witness of the results."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from tests import ffprobe
from tests.pipeline import stand_in

CUT = ("--model", "threshold")
FIGURE = slice(20, 50), slice(30, 70)
"""The subject as the stand-in finds it: the red part."""


@pytest.fixture(autouse=True)
def stand_ins() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    with stand_in.registered():
        yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(drawn()).save(path, quality=98, subsampling=0)
    return path


def drawn() -> np.ndarray:
    pixels = np.full((75, 101, 3), (20, 30, 40), np.uint8)
    pixels[FIGURE] = 240, 160, 100
    return pixels


def run(*arguments: str | Path) -> int:
    return main(["run", *map(str, arguments), *CUT])


def test_a_picture_is_cut_to_a_transparent_png(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut.png"
    assert run(photo, out) == 0
    with Image.open(out) as cut:
        assert (cut.format, cut.mode, cut.size) == ("PNG", "RGBA", (101, 75))
        pixels = np.asarray(cut)
    assert pixels[35, 50, 3] == 255 and np.abs(pixels[35, 50, :3].astype(int) - (240, 160, 100)).max() < 6
    assert not pixels[:10, :, 3].any() and not pixels[60:, :, 3].any()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "format", "mode"),
    [("a.webp", "WEBP", "RGBA"), ("a.jpg", "JPEG", "RGB"), ("a.jpeg", "JPEG", "RGB")],
)
def test_other_formats_of_one_picture(photo: Path, tmp_path: Path, name: str, format: str, mode: str) -> None:
    assert run(photo, tmp_path / name) == 0
    with Image.open(tmp_path / name) as made:
        assert (made.format, made.mode, made.size) == (format, mode, (101, 75))
        ground = np.asarray(made)[5, 5]
    if mode == "RGB":  # the default background
        assert np.abs(ground.astype(int) - (0, 177, 64)).max() < 8
    else:
        assert ground[3] == 0


def test_the_background_is_that_which_is_chosen(photo: Path, tmp_path: Path) -> None:
    assert run(photo, tmp_path / "a.png", "--background", "#0a141e") == 0
    with Image.open(tmp_path / "a.png") as made:
        assert made.mode == "RGB" and made.getpixel((3, 3)) == (10, 20, 30)


def test_quality_matters(photo: Path, tmp_path: Path) -> None:
    for quality in ("small", "best"):
        assert run(photo, tmp_path / f"{quality}.jpg", "--quality", quality) == 0
    assert (tmp_path / "small.jpg").stat().st_size < (tmp_path / "best.jpg").stat().st_size


def test_16_bits_reach_the_result(tmp_path: Path) -> None:
    pixels = drawn().astype(np.uint16) * 257 + 77
    assert cv2.imwrite(str(tmp_path / "deep.png"), pixels[..., ::-1])
    assert run(tmp_path / "deep.png", tmp_path / "cut.png", "--no-clean-edges") == 0
    made = cv2.imread(str(tmp_path / "cut.png"), cv2.IMREAD_UNCHANGED)
    assert made is not None and made.dtype == np.uint16 and made.shape == (75, 101, 4)
    assert np.array_equal(made[30:40, 40:60, 2::-1], pixels[30:40, 40:60])
    assert run(tmp_path / "deep.png", tmp_path / "over.png", "--background", "white") == 0
    over = cv2.imread(str(tmp_path / "over.png"), cv2.IMREAD_UNCHANGED)
    assert over is not None and over.dtype == np.uint16 and (over[2, 2] == 65535).all()


def test_what_is_transparent_stays_out(tmp_path: Path) -> None:
    alpha = np.full((75, 101), 255, np.uint8)
    alpha[:, :50], alpha[:, 50:55] = 0, 100
    Image.fromarray(np.dstack((drawn(), alpha))).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "cut.png", "--no-clean-edges") == 0
    with Image.open(tmp_path / "cut.png") as cut:
        made = np.asarray(cut)[..., 3]
    assert (made <= alpha).all()
    assert (made[30:40, :50] == 0).all() and (made[30:40, 51:54] == 100).all()
    assert (made[30:40, 57:65] == 255).all()


def test_a_picture_becomes_a_video_of_one_frame(photo: Path, tmp_path: Path) -> None:
    assert run(photo, tmp_path / "a.mp4") == 0
    assert len(ffprobe.frame_times(tmp_path / "a.mp4")) == 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_of_many_frames_is_refused(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(clip_path, tmp_path / name) == 2
    said = capsys.readouterr().err
    assert re.search(r"^(PNG|JPEG) holds one picture, and subject\.mp4 has 24 frames\. Choose", said)
    assert not (tmp_path / name).exists()


def test_transparency_in_a_jpeg_is_refused(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photo, tmp_path / "a.jpg", "--background", "transparent") == 2
    assert "JPEG cannot hold transparency. Choose PNG, WebP" in capsys.readouterr().err


def test_a_video_keeps_its_formats(clip_path: Path, tmp_path: Path) -> None:
    assert run(clip_path, tmp_path / "a.webp", "--end", "0.1") == 0
    with Image.open(tmp_path / "a.webp") as made:
        assert made.n_frames > 1  # type: ignore[attr-defined]
        assert np.abs(np.asarray(made.convert("RGB"))[2, 2].astype(int) - (0, 177, 64)).max() < 8


def test_a_preview_of_a_picture(photo: Path, tmp_path: Path) -> None:
    assert main(["preview", str(photo), str(tmp_path / "a.png"), *CUT]) == 0
    with Image.open(tmp_path / "a.png") as made:
        assert made.size == (101, 75)


def test_a_kept_matte_of_a_picture_is_used_again(photo: Path, tmp_path: Path) -> None:
    matte = tmp_path / "m.mkv"
    assert run(photo, tmp_path / "a.png", "--matte", matte) == 0
    assert main(["render", str(photo), str(matte), str(tmp_path / "b.png")]) == 0
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (75, 3)])
def test_tiny_pictures_are_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (250, 250, 250)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", tmp_path / "cut.png") == 0
    with Image.open(tmp_path / "cut.png") as made:
        assert (made.size, made.mode) == (size, "RGBA")


# Numbered pictures


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    folder.mkdir()
    for n in range(8, 14):
        if n != 11:
            Image.fromarray(np.roll(drawn(), 3 * n, axis=1)).save(folder / f"shot.{n}.png")
    return folder


def test_a_folder_of_pictures_is_a_clip_with_a_rate(
    shot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(shot), "--rate", "24", "--json"]) == 0
    told, warned = capsys.readouterr()
    facts = json.loads(told)
    assert (facts["frames"], facts["rate"], facts["missing"], facts["untimed"]) == (5, "24", 1, True)
    assert "Pictures missing by the numbers of the others: 1." in warned
    assert run(shot, tmp_path / "a.mp4", "--rate", "24") == 0
    assert ffprobe.frame_times(tmp_path / "a.mp4") == pytest.approx([n / 24 for n in range(5)], abs=1e-3)
    assert run(shot, tmp_path / "b.mp4", "--rate", "10", "--start", "0.1", "--end", "0.3") == 0
    assert len(ffprobe.frame_times(tmp_path / "b.mp4")) == 2


def test_a_sequence_that_was_written_is_read_with_its_times(shot: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    assert run(shot, out, "--rate", "12", "--background", "transparent") == 0
    assert run(out, tmp_path / "a.mp4") == 0
    assert ffprobe.frame_times(tmp_path / "a.mp4") == pytest.approx([n / 12 for n in range(5)], abs=1e-3)


def test_a_matte_of_pictures_is_for_their_rate(shot: Path, tmp_path: Path) -> None:
    matte = tmp_path / "m.mkv"
    assert run(shot, tmp_path / "a.mp4", "--rate", "24", "--matte", matte) == 0
    made = matte.read_bytes()
    assert run(shot, tmp_path / "b.webm", "--rate", "24", "--matte", matte) == 0
    assert matte.read_bytes() == made
    assert run(shot, tmp_path / "c.mp4", "--rate", "12", "--matte", matte) == 0
    assert ffprobe.frame_times(tmp_path / "c.mp4") == pytest.approx([n / 12 for n in range(5)], abs=1e-3)


def test_the_folder_itself_is_not_overwritten(shot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shot, shot) == 2
    assert len([*shot.iterdir()]) == 5 and capsys.readouterr().err
