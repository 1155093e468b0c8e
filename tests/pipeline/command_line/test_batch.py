"""Batches: what they run, what they leave as it is, and what they tell, through real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.__main__ import _create_parser
from pipeline.command_line.batch import MANIFEST, read_manifest
from pipeline.command_line.batch_plan import BatchJob, plan_jobs
from pipeline.errors import InputError
from tests import children, ffprobe
from tests.pipeline.hub import apart
from tests.waiting import DEADLINE, until

ROOT = Path(__file__).resolve().parents[3]
BATCH = [sys.executable, "-m", "pipeline", "batch"]
QUICK = ["--model", "grabcut", "--box", "60,20,260,170", "--end", "0.2"]


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    apart(monkeypatch, tmp_path_factory.mktemp("user"))


@pytest.fixture
def videos(clip_path: Path, tmp_path: Path) -> Path:
    """A folder with two videos, one of them in a folder of its own, a text, and one that cannot be read."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    for name in ("one.mp4", "more/two.mp4"):
        (folder / name).write_bytes(clip_path.read_bytes())
    (folder / "bad.mp4").write_text("Dear all, this is no video.")
    (folder / "notes.txt").write_text("not taken")
    return folder


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BATCH, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


def options(*arguments: str | Path) -> Namespace:
    return _create_parser().parse_args(["batch", *map(str, arguments)])


def plan(*arguments: str | Path) -> list[BatchJob]:
    read = options(*arguments)
    return plan_jobs(read.inputs, read.folder, read)


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


# ---------------------------------------------------------------- what is run


def test_a_batch_does_all_it_can_and_again_what_is_missing_or_changed(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = call(videos, out, *QUICK, "--jobs", 2)
    assert (done.returncode, done.stderr) == (3, "")
    assert "bad.mp4: this cannot be read as a video" in done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()[-3:]} == {"done", "failed"}
    assert {(Path(line["output"]).name, line["state"]) for line in manifest(out)} == {
        ("bad.mp4", "failed"), ("one.mp4", "done"), ("two.mp4", "done")
    }  # fmt: skip
    frames = {len(ffprobe.frame_times(out / name)) for name in ("one.mp4", "two.mp4")}
    assert frames == {line["frames"] for line in manifest(out) if line["state"] == "done"}
    assert not (out / "bad.mp4").exists()

    (videos / "bad.mp4").unlink()
    done = call(videos, out, *QUICK)
    assert (done.returncode, done.stdout) == (0, "2 of 2 are done already.\n")
    (out / "one.mp4").write_bytes(b"cut short")
    assert call(videos, out, *QUICK).stdout.startswith("1 of 2 are done already.\n[1/1] ")
    assert ffprobe.frame_times(out / "one.mp4")
    done = call(videos, out, *QUICK, "--background", "blur", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["state"] for line in told if "fingerprint" in line] == ["done", "done"]


def test_pictures_become_pictures_beside_videos(clip_path: Path, drawn: Any, tmp_path: Path) -> None:
    folder, out = tmp_path / "mixed", tmp_path / "out"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(clip_path.read_bytes())
    Image.fromarray(drawn[0][0]).save(folder / "photo.jpg")
    frames = [Image.fromarray(frame) for frame in drawn[0][:3]]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:], duration=50)
    numbered = tmp_path / "shot"
    numbered.mkdir()
    for number, frame in enumerate(frames):
        frame.save(numbered / f"shot.{number}.png")
    listed = tmp_path / "jobs.jsonl"
    listed.write_text(json.dumps({"input": str(numbered), "rate": "10"}))
    done = call(folder, listed, out, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    made = {"clip.mp4", "moving.mp4", "photo.png", "shot.mp4"}
    assert {path.name for path in out.iterdir()} == {*made, MANIFEST}
    with Image.open(out / "photo.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (320, 180))
    assert ffprobe.frame_times(out / "shot.mp4") == pytest.approx([0, 0.1], abs=1e-3)


def test_each_line_of_a_list_has_options_of_its_own(videos: Path, tmp_path: Path) -> None:
    out, listed = tmp_path / "out", tmp_path / "jobs.csv"
    one = videos / "one.mp4"
    listed.write_text(f"input,output,background,end\n{one},short.mp4,,0.1\n{one},clear.webm,transparent,\n")
    done = call(listed, out, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ffprobe.frame_times(out / "short.mp4")) < len(ffprobe.frame_times(out / "clear.webm"))
    assert ffprobe.frames(out / "clear.webm", "rgba")[..., 3].min() == 0


def test_an_interrupted_batch_goes_on_where_it_was(long_path: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "long.mp4", tmp_path / "out"
    source.write_bytes(long_path.read_bytes())
    command = [
        *BATCH,
        str(source),
        str(out),
        "--model",
        "grabcut",
        "--matte",
        str(out / "{stem}.mkv"),
        "--json",
    ]
    with children.running(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert not (out / "long.mp4").exists() and (out / "long.mkv.parts").exists()
    done = subprocess.run([*command, "--end", "1"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert ffprobe.frame_times(out / "long.mp4")


def test_a_watched_folder_is_gone_on_with(videos: Path, tmp_path: Path) -> None:
    watched, out = tmp_path / "watched", tmp_path / "out"
    watched.mkdir()
    command = [*BATCH, str(watched), str(out), *QUICK, "--watch"]
    with children.running(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        (watched / "one.mp4").write_bytes((videos / "one.mp4").read_bytes())
        until(lambda: "one.mp4" in {Path(path).name for path in read_manifest(out / MANIFEST)})
        (watched / "bad.mp4").write_bytes((videos / "bad.mp4").read_bytes())
        until(lambda: len(read_manifest(out / MANIFEST)) == 2)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 3
    assert [line.split()[0] for line in said.splitlines()[-2:]] == ["done", "failed"]


# ---------------------------------------------------------------- what is planned


def test_names_are_made_of_what_is_known(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = plan(
        videos, out, "--name", "{number}-{stem}-{model}.{suffix}", "--format", "prores", "--model", "isnet"
    )
    assert [str(job.output.relative_to(out)) for job in jobs] == [
        "0001-bad-isnet.mov", "0002-two-isnet.mov", "0003-one-isnet.mov"
    ]  # fmt: skip
    assert [job.output.name for job in plan(videos / "*.mp4", out)] == ["bad.mp4", "one.mp4"]


def test_results_inside_the_watched_folder_are_no_inputs(videos: Path) -> None:
    out = videos / "out"
    out.mkdir()
    (out / "one.mp4").write_bytes(b"")
    assert out / "one.mp4" not in [job.source for job in plan(videos, out)]


@pytest.mark.parametrize(
    "given",
    [
        ["--point=10,20@1", "--point=30,40", "--no-steady", "--rate=30000/1001", "--grow=-1.5"],
        ["--background=-odd name.png", "--hardware", "--start=1.0", "--despill=green"],
        [],
    ],
)
def test_the_options_of_a_run_are_those_of_its_batch(videos: Path, tmp_path: Path, given: list[str]) -> None:
    (job,) = plan(videos / "one.mp4", tmp_path / "out", *given)
    run = _create_parser().parse_args(["run", *job.arguments, "--", "in.mp4", "out.mp4"])
    expected = _create_parser().parse_args(["run", *given, "--", "in.mp4", "out.mp4"])
    assert run == expected


def test_a_line_takes_the_place_of_the_batchs_options(videos: Path, tmp_path: Path) -> None:
    listed = tmp_path / "jobs.jsonl"
    lines = [
        {"input": "a.mp4", "point": ["1,2", "3,4@1"], "no_steady": True, "background": "blur"},
        {"input": "b.mp4", "no-steady": False},
    ]
    listed.write_text("\n\n".join(map(json.dumps, lines)))
    first, second = plan(listed, tmp_path / "out", "--point", "9,9", "--background", "red")
    assert set(first.arguments) == {"--point=1,2", "--point=3,4@1", "--no-steady", "--background=blur"}
    assert set(second.arguments) == {"--point=9,9", "--background=red"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"input": "a.mp4"}\n{"input": "b.mp4", "colour": 1}',
            "jobs.jsonl, line 2: there is no option 'colour'.",
        ),
        ('{"point": "1,2"}', "jobs.jsonl, line 1: it names no input."),
        ("[1]", "jobs.jsonl, line 1: it names no input."),
        ('{"input": "a.mp4", "hardware": "perhaps"}', "must be true or false"),
        (
            '{"input": "a.mp4", "quality": "splendid"}',
            "jobs.jsonl, line 1: argument --quality: invalid choice",
        ),
        ('{"input": ', "jobs.jsonl, line 1: "),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", "jobs.jsonl, line 1: "),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "jobs.jsonl").write_text(text)
    with pytest.raises(InputError) as told:
        plan(tmp_path / "jobs.jsonl", tmp_path / "out")
    assert sentence in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["one.mp4", "more/two.mp4", "--name", "same.mp4"], "would both be written to"),
        (["one.mp4", "more/two.mp4", "--matte", "same.mkv"], "would both be written to"),
        (["one.mp4", "--name", "../{stem}.mp4"], "leads out of"),
        (["one.mp4", "--name", "{colour}.mp4"], "a field that is not known"),
        (["one.mp4", "--name", "{stem.__class__}.mp4"], "a field that is not known"),
        (["nothing*.mp4"], "no such file, folder or pattern"),
        (["one.mp4", "--format", "vhs"], "vhs"),
    ],
)
def test_what_cannot_be_planned_is_told_before_anything_runs(
    videos: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    inputs = [str(videos / text) for text in arguments if text.endswith("mp4") and "{" not in text]
    inputs = [text for text in inputs if "same" not in text]
    rest = arguments[len(inputs) :]
    with pytest.raises(InputError) as told:
        plan(*inputs, tmp_path / "out", *rest)
    assert sentence in str(told.value)


def test_half_a_line_of_a_manifest_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    path.write_text('{"input": "a.mp4", "output": "out/a.mp4", "state": "do')
    assert read_manifest(path) == {}
    assert read_manifest(tmp_path / "none") == {}
