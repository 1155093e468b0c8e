"""Words for a background, at the command line and in a job: a picture first, and then as any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.compositing.background import Picture, Words
from pipeline.generation import backgrounds, cards
from pipeline.job import Job
from pipeline.process import process
from tests import ffprobe

pytestmark = [
    pytest.mark.usefixtures("stand_ins", "folder"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

SPEC = "words:a sunlit loft?seed=7"


def made() -> list[Path]:
    return sorted(backgrounds.cache_folder().glob("*"))


def test_a_run_draws_the_picture_and_lays_it_behind(
    card: cards.Generator, clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out.mov", tmp_path / "again.mov"
    arguments = ["--model", "threshold", "--format", "prores", "--background", SPEC, "--json"]
    assert main(["run", str(clip_path), str(out), *arguments]) == 0
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [step["done"] for step in steps if step.get("stage") == "background"] == [0, 1, 2, 3]
    (path,) = made()
    with Image.open(path) as picture:
        resized = np.asarray(picture.convert("RGB").resize((320, 180)), np.float32)
    corner = ffprobe.frames(out)[0, :40, :40].astype(np.float32)
    assert abs(corner.mean((0, 1)) - resized[:40, :40].mean((0, 1))).max() < 12
    # The picture, given as one, makes the same result; and words make it without drawing again.
    behind = f"{path}?fill"
    assert main(["run", str(clip_path), str(again), *arguments[:-2], behind, "--json"]) == 0
    assert np.array_equal(ffprobe.frames(out), ffprobe.frames(again))
    capsys.readouterr()
    assert main(["run", str(clip_path), str(out), *arguments]) == 0
    assert '"background"' not in capsys.readouterr().out and made() == [path]


def test_a_job_with_words_is_run_as_one_with_the_picture(
    card: cards.Generator, clip_path: Path, tmp_path: Path
) -> None:
    job = Job(clip_path, tmp_path / "words.mp4", model="threshold", background=Words("a loft", 1))
    *_, last = process(job)
    (path,) = made()
    *_, same = process(replace(job, output=tmp_path / "picture.mp4", background=Picture(path)))
    assert last.frames == same.frames == 24
    assert (tmp_path / "words.mp4").read_bytes() == (tmp_path / "picture.mp4").read_bytes()


def test_a_run_that_ends_while_it_draws_leaves_nothing(
    card: cards.Generator, clip_path: Path, tmp_path: Path
) -> None:
    steps = process(Job(clip_path, tmp_path / "out.mp4", model="threshold", background=Words("a loft")))
    next(steps), next(steps)
    steps.close()
    assert not made() and not (tmp_path / "out.mp4").exists()


def test_missing_weights_packages_and_words_end_with_status_2(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(spec: str) -> str:
        out = tmp_path / "out.mp4"
        assert main(["run", str(clip_path), str(out), "--model", "threshold", "--background", spec]) == 2
        assert not out.exists() and not made()
        return capsys.readouterr().err

    assert "FLUX.2 [klein] 4B needs its weights" in refused(SPEC)
    assert "download flux2-klein" in refused(SPEC)
    assert "flux2-klein" in refused(f"{SPEC},model=nothing")
    assert "Say in words" in refused("words:")
    monkeypatch.setattr(cards, "_EXTRA", ("no_such_package",))
    assert "requirements-generate.txt" in refused(SPEC)
