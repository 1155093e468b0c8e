"""Mistakes of a person: each has its sentence, exit status 2, and leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipeline.__main__ import main
from tests import ffprobe
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command line; gives the exit status and what stands on standard error."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's own
            code = int(str(end.code))
        return code, capsys.readouterr().err

    return run


Status = Callable[..., tuple[int, str]]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def make(name: str, folder: Path, clip: Path) -> Path:
    """A file that is no usable video, of the kind that `name` says."""
    path = folder / f"{name}.mp4"
    data = clip.read_bytes()
    match name:
        case "text":
            path.write_text("This is no video.\n" * 200)
        case "empty":
            path.touch()
        case "truncated":  # the index, at the end, is gone
            path.write_bytes(data[: len(data) * 2 // 3])
        case "truncated-faststart":
            ffmpeg("-i", clip, "-c", "copy", "-movflags", "+faststart", path)
            os.truncate(path, path.stat().st_size * 2 // 3)
        case "sound-only":
            ffmpeg("-i", clip, "-vn", "-c", "copy", path)
        case "cover":  # a picture in a music file is no video
            Image.new("RGB", (32, 32)).save(folder.parent / "cover.png")
            cover = ("-i", folder.parent / "cover.png", "-map", "0:a", "-map", "1:v")
            tune = folder / "cover.m4a"
            ffmpeg("-i", clip, *cover, "-c:a", "copy", "-c:v", "png", "-disposition:v", "attached_pic", tune)
            tune.rename(path)
        case "no-frames":
            ffmpeg("-i", clip, "-an", "-frames:v", "0", "-c:v", "libx264", "-f", "mov", path)
        case "png" | "jpeg" | "webp" | "bmp":
            Image.effect_noise((64, 64), 90).save(path, name)
            os.truncate(path, path.stat().st_size // 2)
        case "jpeg2000":
            Image.new("RGB", (64, 64), "red").save(path, name)
        case "hls":
            lines = ("#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXTINF:1.0,", "secret.ts")
            path.write_text("\n".join((*lines, "#EXT-X-ENDLIST", "")))
        case "concat":
            path.write_text("ffconcat version 1.0\nfile secret.ts\nfile secret.ts\n")
        case "concat-unsafe":
            path.write_text(f"ffconcat version 1.0\nfile {folder / 'secret.ts'}\n")
        case "dash":
            period = "<BaseURL>secret.ts</BaseURL></Representation></AdaptationSet></Period>"
            path.write_text(
                '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
                f'<Representation id="1" bandwidth="1">{period}</MPD>'
            )
        case "folder":
            path.mkdir()
        case "missing":
            pass
        case _:
            raise AssertionError(name)
    return path


INPUTS = {
    "text": "cannot be read as a video",
    "empty": "the file is empty",
    "truncated": "cannot be read as a video",
    "truncated-faststart": "the file is cut short",
    "sound-only": "sound only",
    "cover": "sound only",
    "no-frames": r"cannot be read|not one picture|no picture|damaged",
    "jpeg2000": "of a kind that is not read here",
    "png": "damaged, cut short",
    "jpeg": "damaged, cut short",
    "webp": "damaged, cut short",
    "bmp": "damaged, cut short",
    "hls": "playlists|cannot be read",
    "concat": "playlists|cannot be read",
    "concat-unsafe": "playlists|cannot be read",
    "dash": "playlists|cannot be read",
    "folder": "no file",
    "missing": "no such file",
}


@pytest.mark.parametrize(("name", "sentence"), INPUTS.items())
def test_unusable_videos_are_refused(
    clip_path: Path, tmp_path: Path, status: Status, name: str, sentence: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_clip(folder / "secret.ts", numbered(24))
    path = make(name, folder, clip_path)
    before = sorted(folder.iterdir())
    for command in (("probe", path), ("run", path, folder / "out.mp4", "--model", "threshold")):
        code, said = status(*command)
        assert code == 2
        assert said.startswith(path.name + ": ") and said.count("\n") == 1
        assert re.search(sentence, said), said
        assert str(tmp_path) not in said
    assert sorted(folder.iterdir()) == before


def test_unusable_videos_are_refused_as_background(clip_path: Path, tmp_path: Path, status: Status) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_clip(folder / "secret.ts", numbered(24))
    for name in ("text", "empty", "sound-only", "hls", "concat", "missing"):
        path = make(name, folder, clip_path)
        code, said = status(
            "run", clip_path, folder / "out.mp4", "--model", "threshold", "--background", path
        )
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith(path.name + ": ")
    assert not (folder / "out.mp4").exists()


def test_a_video_of_one_frame_is_accepted(tmp_path: Path, status: Status) -> None:
    path = write_clip(tmp_path / "one.mp4", numbered(1), sound=True)
    assert status("run", path, tmp_path / "out.mp4", "--model", "threshold") == (0, "")
    assert len(ffprobe.frame_times(tmp_path / "out.mp4")) == 1


ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "point outside": (["--point", "400,10"], "outside the picture, which is 320 × 180"),
    "box outside": (["--box", "10,10,400,20"], "outside the picture"),
    "flat box": (["--box", "10,10,10,20"], "less than one pixel"),
    "point too late": (["--point", "10,10@1.5"], "1.00 s long"),
    "point before": (["--point", "10,10@-1"], "1.00 s long"),
    "no point": (["--point", "10"], "is no mark"),
    "no number": (["--point", "ten,10"], "is no mark"),
    "no time": (["--exclude", "1,1@soon"], "is no mark"),
    "box of three": (["--box", "1,2,3"], "is no mark"),
    "not a number": (["--point", "nan,10"], "outside the picture"),
    "start beyond": (["--start", "2"], "lies outside subject.mp4"),
    "start before": (["--start", "-1"], "lies outside"),
    "end first": (["--start", "0.5", "--end", "0.25"], "must come after the start"),
    "end nowhere": (["--end", "nan"], "must come after the start"),
    "model": (["--model", "magic"], "no model called 'magic'"),
    "shy model": (["--model", "shy"], "needs to be told what to keep"),
    "format": (["--format", "avi"], "no format called 'avi'"),
    "colour": (["--background", "reddish"], "'reddish' is no background"),
    "transparent": (["--background", "transparent"], "cannot hold transparency"),
    "radius": (["--background", "blur:-1"], "the radius is a number"),
    "picture": (["--background", "nowhere/beach.png"], "no such background picture"),
    "fit": (["--background", "beach.png?zoom"], "'zoom' says nothing"),
    "prompts missing": (["--prompts", "nowhere.json"], "no JSON file of marks"),
    "start is a word": (["--start", "soon"], "invalid float value"),
    "unknown option": (["--colour", "red"], "unrecognized arguments"),
    "device": (["--device", "toaster"], "toaster"),
}


@pytest.mark.parametrize(("arguments", "sentence"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_wrong_arguments_are_refused(
    clip_path: Path, tmp_path: Path, status: Status, arguments: list[str], sentence: str
) -> None:
    code, said = status("run", clip_path, tmp_path / "out.mp4", "--model", "threshold", *arguments)
    assert code == 2
    assert sentence in said
    assert "unrec" in sentence or "invalid" in sentence or said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_invalid_prompts_are_refused(clip_path: Path, tmp_path: Path, status: Status) -> None:
    for n, text in enumerate(("{", "[1]", '{"time": 0}', "\xff", '[{"points": [{"x": 1}]}]')):
        path = tmp_path / f"{n}.json"
        path.write_bytes(text.encode("latin-1"))
        code, said = status("run", clip_path, tmp_path / "out.mp4", "--model", "threshold", "--prompts", path)
        assert (code, said.count("\n")) == (2, 1)
    assert not (tmp_path / "out.mp4").exists()


def test_impossible_outputs_are_refused(clip_path: Path, tmp_path: Path, status: Status) -> None:
    source = tmp_path / "in.mp4"
    shutil.copy(clip_path, source)
    (tmp_path / "folder.mp4").mkdir()
    for output, sentence in (
        (source, "overwrite"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "missing" / "out.mp4", "does not exist"),
        (tmp_path / "in.mp4" / "out.mp4", "does not exist"),
        (tmp_path / "out.avi", "must end in one of .mp4, .webm"),
        (Path("/proc/out.mp4"), "nothing can be written"),
    ):
        code, said = status("run", source, output, "--model", "threshold")
        assert (code, said.count("\n")) == (2, 1), output
        assert sentence in said
    for output, sentence in (
        (tmp_path / "out.jpg", "must end in .png"),
        (tmp_path / "missing" / "out.png", "does not exist"),
    ):
        code, said = status("preview", source, output, "--model", "threshold")
        assert (code, said.count("\n")) == (2, 1)
        assert sentence in said
    assert status("preview", source, tmp_path / "a.png", "--model", "threshold", "--at", "nan")[0] == 2
    assert source.read_bytes() == clip_path.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.mp4", "in.mp4"]


def test_a_file_that_is_no_matte_is_refused(clip_path: Path, tmp_path: Path, status: Status) -> None:
    (tmp_path / "text.mkv").write_text("no matte")
    for name, sentence in (("text.mkv", "cannot be read"), ("missing.mkv", "no such matte file")):
        code, said = status("render", clip_path, tmp_path / name, tmp_path / "out.mp4")
        assert (code, said.count("\n")) == (2, 1)
        assert sentence in said
    code, said = status("render", clip_path, clip_path, tmp_path / "out.mp4", "--background", "transparent")
    assert code == 2 and "transparency" in said


@pytest.mark.parametrize("name", ["text", "truncated-faststart", "hls"])
def test_errors_on_the_command_line_are_one_line(clip_path: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = make(name, folder, clip_path)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", path, folder / "out.mp4"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_a_full_disk_has_status_1_and_leaves_no_files(long_path: Path, tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pipeline.__main__ import main
from tests.pipeline import stand_in
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
with stand_in.registered():
    status = main()
sys.exit(status)
"""
    before = b"what was there"
    (tmp_path / "out.mp4").write_bytes(before)
    arguments = [
        "run",
        long_path,
        tmp_path / "out.mp4",
        "--model",
        "threshold",
        "--matte",
        tmp_path / "m.mkv",
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert "the disk is full" in done.stderr and done.stderr.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == before


LONG = "b" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("probe", f"{LONG}.mp4"),
        ("run", "IN", f"{LONG}.mp4"),
        ("run", "IN", "out.mp4", "--matte", f"{LONG}.mkv"),
        ("run", "IN", "out.mp4", "--matte", f"{'b' * 250}.mkv"),  # what is kept beside it has a longer name
        ("run", "IN", "out.mp4", "--background", f"{LONG}.png"),
        ("run", "IN", "out.mp4", "--background", LONG),
        ("run", "IN", f"{LONG}/out.mp4"),
        ("run", "IN", LONG),
        ("render", "IN", f"{LONG}.mkv", "out.mp4"),
        ("preview", "IN", f"{LONG}.png"),
    ],
)
def test_a_file_name_that_is_too_long_is_refused(
    clip_path: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ("--model", "grabcut") if words[0] in ("run", "preview") else ()
    assert main([str(clip_path) if word == "IN" else word for word in (*words, *model)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("b" * 40 + "…: this name is too long")
    assert not list(tmp_path.iterdir())
