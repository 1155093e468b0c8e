"""The contract of `python -m pipeline`, through real processes."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import models
from pipeline.command_output import print_remarks
from pipeline.video.reading.probe import probe_clip
from tests import children, ffprobe
from tests.pipeline.hub import CONTENT, Hub, apart
from tests.pipeline.stand_in import threshold
from tests.waiting import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
WITH_STAND_INS = [sys.executable, "-m", "tests.pipeline.stand_in"]
WITH_HUB = [sys.executable, "-m", "tests.pipeline.hub"]
SUMMARY = {"frames", "seconds", "frames_per_second", "peak_memory_bytes", "output", "check", "notes"}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return apart(monkeypatch, tmp_path_factory.mktemp("user"))


def call(*arguments: str | Path, program: Sequence[str] = WITH_STAND_INS) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_run_and_render(clip_path: Path, tmp_path: Path) -> None:
    out, matte = tmp_path / "out.mp4", tmp_path / "m.mkv"
    told = lines(call("run", clip_path, out, "--model", "threshold", "--matte", matte, "--json"))
    *steps, summary = told
    assert len(steps) >= 24
    assert all(step.keys() == {"stage", "done", "total", "rate", "left", "frames"} for step in steps)
    assert steps[-1]["done"] == steps[-1]["total"] == 24
    assert summary.keys() == SUMMARY
    assert (summary["frames"], summary["output"]) == (24, str(out))
    assert summary["peak_memory_bytes"] > 20e6 and summary["seconds"] > 0
    assert len(ffprobe.frame_times(out)) == 24

    webm = tmp_path / "out.webm"
    *steps, summary = lines(call("render", clip_path, matte, webm, "--background", "transparent", "--json"))
    assert {step["stage"] for step in steps} == {"render"}
    assert summary.keys() == SUMMARY and summary["frames"] == 24
    assert ffprobe.stream(webm)["codec_name"] == "vp9"
    assert ffprobe.frames(webm, "rgba")[..., 3].min() == 0


def test_marks_and_range(counted_path: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks.json"
    marks.write_text(json.dumps([{"time": 1.75, "points": [{"x": 3, "y": 4, "keep": False}]}]))
    matte = tmp_path / "m.mkv"
    arguments = ("--box", "1,1,60,60@0.5", "--point", "5,5@1.25", "--exclude", "7,7@1.25", "--prompts", marks)
    span = ("--start", "0.25", "--end", "1.9")
    done = call(
        "run", counted_path, tmp_path / "o.mp4", "--model", "carrying", "--matte", matte, *arguments, *span
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'o.mp4'}: 33 frames in ") and done.stdout.count("\n") == 1
    # From frame 5 on: back from the box on 10, and forward from it.
    streams = [int(image[0, 0]) for image in ffprobe.frames(matte, "gray")]
    assert streams == [1] * 5 + [2] * 28


def test_strokes_on_the_command_line(clip_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "look.png"
    brushes = ("--stroke", "10,20,30,20,50,20:8@0.5", "--erase", "160,0,160,180:12@0.5", "--erase", "5,5:3")
    arguments = ("--model", "threshold", "--at", "0.5", "--background", "transparent", "--json", *brushes)
    assert lines(call("preview", clip_path, path, *arguments)) == [{"output": str(path), "at": 0.5}]
    with Image.open(path) as picture:
        alpha = np.asarray(picture)[..., 3]
    assert (alpha[18:22, 10:50] == 255).all() and not alpha[:, 155:165].any()
    for wrong in ("1,2,3:4", "1,2", "a,2:3", "1,2:w", "1,2:3@x"):
        done = call("preview", clip_path, path, "--model", "threshold", "--stroke", wrong)
        assert done.returncode == 2 and done.stderr == (
            f"{wrong!r} is no brush stroke. Write it as X,Y,X,Y,…:WIDTH or X,Y,X,Y,…:WIDTH@SECONDS.\n"
        )
    done = call("preview", clip_path, path, "--model", "threshold", "--stroke", "1,2,nan,9,inf,3:4")
    assert done.returncode == 2 and "lies outside the picture" in done.stderr


def test_preview(clip_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "look.png"
    arguments = ("--model", "threshold", "--at", "0.5", "--background", "transparent", "--json")
    assert lines(call("preview", clip_path, path, *arguments)) == [{"output": str(path), "at": 0.5}]
    with Image.open(path) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (320, 180))
        rgba = np.asarray(picture)
    truth = threshold(ffprobe.frames(clip_path)[12])
    assert np.abs(rgba[..., 3].astype(int) - truth).mean() < 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["look.png"]


def test_probe(clip_path: Path) -> None:
    (told,) = lines(call("probe", clip_path, "--json"))
    assert (told["width"], told["height"], told["frames"], told["rate"]) == (320, 180, 24, "24")
    assert (told["name"], told["sound"], told["duration"]) == ("subject.mp4", ["aac"], 1.0)
    done = call("probe", clip_path)
    assert done.stdout == "subject.mp4: 320 × 180, 1.00 s, 24 frames, 24 a second, h264, 8 bits, sound: aac\n"


def test_models() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "models", "--json"], capture_output=True, text=True, cwd=ROOT
    )
    told = lines(done)
    assert [card["key"] for card in told] == list(models.cards())
    assert all(
        {"key", "label", "purpose", "points", "box", "automatic", "licence"} <= card.keys() for card in told
    )


def test_weights_are_fetched_on_first_use(
    clip_path: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    arguments = ("run", clip_path, tmp_path / "o.mp4", "--model", "cutter", "--json")
    with hub.serving():
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        refused = call(*arguments, program=WITH_HUB)
        assert (refused.returncode, refused.stdout, hub.requests) == (2, "", [])
        assert refused.stderr.startswith("Not to be sold. Read https://example.org/licence")
        told = lines(call(*arguments, "--accept-licence", program=WITH_HUB))
        fetching = [step for step in told if step.get("stage") == "download"]
        assert fetching == told[: len(fetching)] and fetching[-1] == {
            "stage": "download", "done": len(CONTENT), "total": len(CONTENT), "file": "cutter.pth"
        }  # fmt: skip
        assert told[-1]["frames"] == 24
    again = lines(call(*arguments, program=WITH_HUB))
    assert {step.get("stage") for step in again} == {"matte", None}
    (card,) = [c for c in lines(call("models", "--json", program=WITH_HUB)) if c["key"] == "cutter"]
    assert (card["present"], card["bytes"], card["acknowledged"]) == (True, len(CONTENT), True)
    mine = tmp_path / "mine.pth"
    (folder / "cutter.pth").rename(mine)
    lines(call(*arguments, "--weights", mine, program=WITH_HUB))
    assert not (folder / "cutter.pth").exists()


def test_commands_that_need_no_weights(clip_path: Path, tmp_path: Path) -> None:
    assert call("download", "grabcut").stdout == "GrabCut needs no weights.\n"
    done = call("preview", clip_path, tmp_path / "o.png", "--model", "threshold", "--weights", tmp_path)
    assert (done.returncode, done.stderr) == (2, "Threshold has no weights: leave --weights out.\n")


def test_the_default_model_is_printed(clip_path: Path, tmp_path: Path) -> None:
    done = call("preview", clip_path, tmp_path / "o.png")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith("Recorte is used: the weights of RMBG")


def test_review_times_are_printed(clip_path: Path, tmp_path: Path) -> None:
    arguments = ("run", clip_path, tmp_path / "o.mp4", "--model", "doubting", "--box", "1,1,60,60")
    told = lines(call(*arguments, "--json"))[-1]["check"]
    said = call(*arguments).stdout.splitlines()
    times = ", ".join(f"{at:.2f} s" for at in told)
    assert told and said[1:] == [f"Look at {times}: the cut may have slipped there."]


def test_an_interrupted_run_prints_what_is_kept(long_path: Path, tmp_path: Path) -> None:
    command = [*WITH_STAND_INS, "run", str(long_path), str(tmp_path / "out.mp4"), "--model", "dwelling"]
    command += ["--matte", str(tmp_path / "m.mkv"), "--json"]
    with children.running(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert said == (
        "Interrupted; what was found so far is kept beside the matte. Run the same again to continue.\n"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.mkv.parts"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_has_status_130_and_keeps_existing_files(
    long_path: Path, tmp_path: Path, end: signal.Signals
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"what was there")
    command = [*WITH_STAND_INS, "run", str(long_path), str(out), "--model", "slow", "--json"]
    command += ["--matte", str(tmp_path / "m.mkv")]
    with children.running(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.send_signal(end)
        _, said = process.communicate(timeout=DEADLINE)  # by itself it would end with 0
    assert process.returncode == 130
    assert "Traceback" not in said and said.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert out.read_bytes() == b"what was there"


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"LANG": "de_DE.UTF-8"}, "nothing.mp4: Diese Datei gibt es nicht."),
        ({"LANG": "C.UTF-8", "LC_ALL": "es_ES.UTF-8"}, "nothing.mp4: no existe ese archivo."),
        ({"LANG": "zz_ZZ.UTF-8"}, "nothing.mp4: there is no such file."),
    ],
)
def test_errors_are_in_the_language_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], shown: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = call("probe", "nothing.mp4", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{shown}\n")


def test_the_output_is_the_same_in_every_language(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [call(*command, "--json").stdout for command in (["models"], ["probe", clip_path])]
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert [call(*command, "--json").stdout for command in (["models"], ["probe", clip_path])] == told


def test_what_is_unusual_about_a_clip_is_in_the_language_of_the_environment(
    clip_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = replace(probe_clip(clip_path), transfer="pq", mended=3)
    assert clip.remarks == ("hdr", "mended")
    for language, first, last in (
        ("C", "It is HDR: ", "The times of 3 frames were missing or repeated, and were put right."),
        ("de_DE.UTF-8", "Es ist HDR: ", "Die Zeiten von 3 Frames fehlten"),
        ("es_ES.UTF-8", "Es HDR: ", "Faltaban o se repetían los tiempos de 3 fotogramas"),
    ):
        monkeypatch.setenv("LC_ALL", language)
        print_remarks(clip)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2 and lines[0].startswith(first) and lines[1].startswith(last)
