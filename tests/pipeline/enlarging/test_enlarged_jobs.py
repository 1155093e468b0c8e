"""Enlarged results and backgrounds, of jobs and at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.compositing.background import Picture, Words, format_spec, parse
from pipeline.enlarging import loading, tiles
from pipeline.errors import BackgroundError, FormatError, InputError, WeightsError
from pipeline.generation import backgrounds
from pipeline.generation import loading as drawing
from pipeline.generators import complete
from pipeline.job import Job
from pipeline.process import process
from tests.pipeline.enlarging import tiny
from tests.pipeline.generation import tiny as drawn
from tests.pipeline.hub import apart

pytestmark = [
    pytest.mark.usefixtures("stand_ins"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    yield apart(monkeypatch, tmp_path / "user")
    drawing.unload()


@pytest.fixture
def weights(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    return tiny.install(tmp_path / "weights", monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    drawn = np.random.default_rng(2).integers(0, 100, (48, 64, 3), np.uint8)
    drawn[12:36, 20:44] += 150
    Image.fromarray(drawn).save(path)
    return path


def run(source: Path, output: Path, *options: str) -> int:
    return main(["run", str(source), str(output), "--model", "threshold", *options])


@pytest.mark.parametrize("scale", [2, 4])
def test_a_picture_is_enlarged_behind_everything_else(
    weights: list[Path], photo: Path, tmp_path: Path, scale: int
) -> None:
    plain, large = tmp_path / "plain.png", tmp_path / "large.png"
    assert run(photo, plain, "--background", "white") == 0
    assert run(photo, large, "--background", "white", "--upscale", str(scale)) == 0
    image = np.asarray(Image.open(plain))
    expected = complete(tiles.enlarge(image, loading.load(scale, "cpu")))
    assert np.array_equal(np.asarray(Image.open(large)), expected)


def test_a_cut_out_and_a_video_format_are_enlarged(weights: list[Path], photo: Path, tmp_path: Path) -> None:
    cut, film = tmp_path / "cut.png", tmp_path / "film.mp4"
    assert run(photo, cut, "--upscale", "2") == 0
    with Image.open(cut) as picture:
        assert picture.mode == "RGBA" and picture.size == (128, 96)
        assert picture.getchannel("A").getextrema() == (0, 255)
    assert run(photo, film, "--upscale", "2") == 0
    assert film.is_file()


def test_videos_other_formats_and_other_sizes_are_refused(
    weights: list[Path], clip_path: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert run(clip_path, out, "--upscale", "2") == 2
    assert "24 frames" in (told := capsys.readouterr().err) and "flicker" in told
    assert run(photo, out, "--upscale", "3") == 2
    assert "3 is no size" in capsys.readouterr().err
    assert run(photo, out, "--upscale", "2", "--format", "matte") == 2
    assert not out.exists()
    large = tmp_path / "large.png"
    Image.new("1", (5000, 4000)).save(large)
    assert run(large, tmp_path / "out.png", "--upscale", "4") == 2
    assert "20000 × 16000" in capsys.readouterr().err
    with pytest.raises(FormatError):
        Job(photo, out, format="objects", upscale=2).check_choices()


def test_missing_weights_are_said_before_anything_is_made(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert run(photo, out, "--upscale", "2") == 2
    with pytest.raises(WeightsError, match="download swin2sr-x2"):
        next(process(Job(photo, out, "threshold", format="png-still", upscale=2)))
    assert not out.exists()


def test_a_run_that_ends_while_it_enlarges_leaves_nothing(
    weights: list[Path], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "SIDE", 8)
    out = tmp_path / "out.png"
    steps = process(Job(photo, out, "threshold", format="png-still", upscale=2))
    for _ in range(4):
        assert next(steps).frames == 0
    steps.close()
    assert not out.exists() and not list(tmp_path.glob("*.part*"))


# ---------------------------------------------------------------- backgrounds


@pytest.mark.parametrize(
    ("spec", "background"),
    [
        ("words:a loft?seed=7,enlarge", Words("a loft", 7, enlarge=True)),
        ("./a.png?fill,enlarge", Picture(Path("a.png"), enlarge=True)),
        ("./a.png?enlarge,fit", Picture(Path("a.png"), "fit", enlarge=True)),
    ],
)
def test_backgrounds_to_be_enlarged_are_read_and_written(spec: str, background: Picture | Words) -> None:
    assert parse(spec) == background
    assert parse(format_spec(background)) == background


def test_a_video_behind_is_not_enlarged() -> None:
    with pytest.raises(BackgroundError, match="enlarge"):
        parse("sea.mp4?enlarge")


def test_a_small_picture_behind_a_video_is_enlarged_once(
    weights: list[Path], clip_path: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    behind = f"{photo}?enlarge"  # 64 × 48 behind 320 × 180: five times too small, so enlarged four times
    assert run(clip_path, out, "--background", behind, "--json") == 0
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [step["done"] for step in steps if step.get("stage") == "background"] == [0, 1]
    (made,) = backgrounds.cache_folder().glob("*.png")
    with Image.open(made) as picture:
        assert picture.size == (256, 192)
    first = out.read_bytes()
    assert run(clip_path, out, "--background", f"{made}?fill") == 0
    assert out.read_bytes() == first
    assert run(clip_path, out, "--background", behind, "--json") == 0
    assert '"background"' not in capsys.readouterr().out


def test_a_picture_that_covers_the_frame_and_one_that_moves_are_not_enlarged(
    clip_path: Path, tmp_path: Path
) -> None:
    large, moving = tmp_path / "large.png", tmp_path / "moving.gif"
    Image.new("RGB", (320, 180), "navy").save(large)
    Image.new("RGB", (20, 20)).save(moving, save_all=True, append_images=[Image.new("RGB", (20, 20), "red")])
    job = Job(clip_path, tmp_path / "out.mp4", "threshold", background=Picture(large, enlarge=True))
    *_, last = process(job)  # without weights
    assert last.frames == 24
    with pytest.raises(InputError, match="flicker"):
        next(process(replace(job, background=Picture(moving, enlarge=True))))


def test_an_output_that_would_replace_the_small_picture_is_refused(
    weights: list[Path], photo: Path, tmp_path: Path
) -> None:
    before = photo.read_bytes()
    job = Job(photo, photo, "threshold", format="png-still", background=Picture(photo, enlarge=True))
    with pytest.raises(InputError):
        list(process(replace(job, source=photo, output=photo)))
    other = tmp_path / "other.png"
    other.write_bytes(before)
    with pytest.raises(InputError):
        list(process(replace(job, source=other)))
    assert photo.read_bytes() == before


def test_a_picture_of_words_is_enlarged_to_the_frame(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn.install(tmp_path / "weights", monkeypatch)
    job = Job(clip_path, tmp_path / "out.mp4", "threshold", background=Words("a loft", enlarge=True))
    with pytest.raises(WeightsError, match="download swin2sr-x4"):  # before it is drawn
        next(process(job))
    tiny.install(tmp_path / "more", monkeypatch)
    drawn.install(tmp_path / "more", monkeypatch)
    *_, last = process(job)
    assert last.frames == 24
    sizes = set()
    for path in backgrounds.cache_folder().glob("*.png"):
        with Image.open(path) as picture:
            sizes.add(picture.size)
    assert sizes == {(80, 48), (320, 192)}
