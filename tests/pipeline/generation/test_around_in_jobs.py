"""A background around a picture's subject, at the command line and in a job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.compositing.background import Picture, Words, format_spec, parse
from pipeline.errors import BackgroundError
from pipeline.generation import backgrounds, cards
from pipeline.job import Job
from pipeline.process import process
from tests.pipeline.generation import tiny

pytestmark = [
    pytest.mark.usefixtures("stand_ins", "folder"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

SPEC = "around:a marble counter?seed=3"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A red rectangle on a blue ground."""
    path = tmp_path / "mug.png"
    drawn = np.random.default_rng(2).integers(0, 60, (96, 128, 3), np.uint8)
    drawn[..., 2] += 100
    drawn[30:70, 40:90] += np.array((190, 0, 156), np.uint8)  # as much less of blue
    Image.fromarray(drawn).save(path)
    return path


def run(source: Path, output: Path, *options: str) -> int:
    return main(["run", str(source), str(output), "--model", "threshold", *options])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def made() -> list[Path]:
    return sorted(backgrounds.cache_folder().glob("*"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (SPEC, Words("a marble counter", 3, around=True)),
        ("around: a loft ", Words("a loft", around=True)),
        ("around:who? me?seed=3,model=tiny,enlarge", Words("who? me", 3, "tiny", enlarge=True, around=True)),
    ],
)
def test_words_around_a_subject_are_read_and_written(spec: str, words: Words) -> None:
    assert parse(spec) == words
    assert parse(format_spec(words)) == words


def test_a_fit_and_no_words_are_refused_and_a_file_of_that_name_stays_one(tmp_path: Path) -> None:
    with pytest.raises(BackgroundError, match="'fit' says nothing"):
        parse("around:a loft?fit")
    with pytest.raises(BackgroundError, match="Say in words"):
        parse("around:?seed=3")
    path = tmp_path / "around:loft.png"
    assert parse(format_spec(Picture(path), tmp_path), tmp_path) == Picture(path)


def test_the_background_is_filled_in_once_and_the_subject_keeps_its_pixels(
    card: cards.Generator, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, out, again = tmp_path / "cut.png", tmp_path / "out.png", tmp_path / "again.png"
    assert run(photo, cut) == 0
    alpha = pixels(cut)[..., 3]
    capsys.readouterr()
    assert run(photo, out, "--background", SPEC, "--json") == 0
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [step for step in steps if step.get("stage") in ("product", "background")]
    assert [step["stage"] for step in told] == ["product", *["background"] * 4]
    assert told[0]["white"] is False and 0.4 < told[0]["x"] < 0.6
    assert told[0]["prompt"].startswith("a marble counter. Photograph of one product")
    source, result = pixels(photo), pixels(out)
    assert result.shape == source.shape
    assert (alpha == 255).sum() > 1500 and (alpha == 0).sum() > 5000
    assert np.array_equal(result[alpha == 255], source[alpha == 255])
    assert np.abs(result[alpha == 0].astype(int) - source[alpha == 0]).mean() > 20
    (path,) = made()
    assert run(photo, again, "--background", SPEC, "--json") == 0
    assert '"background"' not in capsys.readouterr().out and made() == [path]
    assert np.array_equal(pixels(again), result)
    # Another seed, another picture or another cut is another background.
    assert run(photo, again, "--background", "around:a marble counter?seed=4") == 0
    assert not np.array_equal(pixels(again)[alpha == 0], result[alpha == 0])
    assert "Photograph of one product" in capsys.readouterr().err
    assert run(photo, again, "--background", SPEC, "--grow", "20") == 0
    assert len(made()) == 3


def test_a_kept_matte_and_a_job_make_the_same(card: cards.Generator, photo: Path, tmp_path: Path) -> None:
    kept, out, again = tmp_path / "matte.mkv", tmp_path / "out.png", tmp_path / "again.png"
    assert run(photo, out, "--background", SPEC, "--matte", str(kept)) == 0
    assert main(["render", str(photo), str(kept), str(again), "--background", SPEC]) == 0
    assert np.array_equal(pixels(again), pixels(out))
    job = Job(photo, tmp_path / "job.png", "threshold", format="png-still", background=parse(SPEC))
    *_, last = process(job)
    assert last.frames == 1 and np.array_equal(pixels(job.output), pixels(out))
    assert main(["preview", str(photo), str(again), "--model", "threshold", "--background", SPEC]) == 0
    assert np.array_equal(pixels(again), pixels(out)) and len(made()) == 1


def test_a_run_that_ends_while_it_fills_leaves_nothing(
    card: cards.Generator, photo: Path, tmp_path: Path
) -> None:
    job = Job(photo, tmp_path / "job.png", "threshold", format="png-still", background=parse(SPEC))
    steps = process(job)
    for _ in range(3):
        next(steps)
    steps.close()
    assert not made() and not job.output.exists()


def test_videos_crops_and_what_is_missing_end_with_status_2(
    card: cards.Generator,
    clip_path: Path,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out.png"

    def refused(source: Path, *options: str, output: Path = out) -> str:
        assert run(source, output, "--background", SPEC, *options) == 2
        assert not output.exists() and not made()
        return capsys.readouterr().err

    assert "around a single picture" in refused(clip_path, output=tmp_path / "out.mp4")
    assert "around a single picture" in refused(photo, "--crop", "1:1")
    black = tmp_path / "black.png"
    Image.new("RGB", (64, 48)).save(black)
    assert "Nothing in this picture stands out" in refused(black)
    whole = replace(card, inpaint="")
    monkeypatch.setitem(cards.GENERATORS, tiny.KEY, whole)
    assert "draws whole pictures" in refused(photo)
    monkeypatch.setitem(cards.GENERATORS, tiny.KEY, card)
    next((tmp_path / "weights").rglob("model.safetensors")).unlink()
    assert "download tiny" in refused(photo)
