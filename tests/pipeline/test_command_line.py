"""The contract of `python -m pipeline`, through real processes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import models
from tests import ffprobe
from tests.pipeline.stand_in import threshold

ROOT = Path(__file__).resolve().parent.parent.parent
WITH_STAND_INS = [sys.executable, "-m", "tests.pipeline.stand_in"]
SUMMARY = {"frames", "seconds", "frames_per_second", "peak_memory_bytes", "output"}


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WITH_STAND_INS, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_130_and_leaves_what_was_there(
    long_path: Path, tmp_path: Path, end: signal.Signals
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"what was there")
    command = [*WITH_STAND_INS, "run", str(long_path), str(out), "--model", "slow", "--json"]
    command += ["--matte", str(tmp_path / "m.mkv")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # A shell's background job ignores the keyboard's signal, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.send_signal(end)
        began = time.monotonic()
        _, said = process.communicate(timeout=20)
        assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "Traceback" not in said and said.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert out.read_bytes() == b"what was there"
