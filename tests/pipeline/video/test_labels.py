"""Title, time of creation, timecode and chapters go along where the container holds them."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import formats
from pipeline.job import Job
from pipeline.matte import MatteFile, create_writer
from pipeline.process import render
from pipeline.video.labels import Labels, Timecode
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip

NTSC = Fraction(30000, 1001)
CREATED = "2020-02-03T04:05:06.000000Z"


def labelled(path: Path, rate: str = "25", timecode: str = "10:00:00:00") -> Path:
    """Four seconds with three chapters."""
    told = ";FFMETADATA1\ntitle=My film\n"
    for title, start, end in (("One", 0, 1000), ("Two", 1000, 2500), ("Three", 2500, 4000)):
        told += f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n"
    path.with_suffix(".txt").write_text(told)
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc=s=64x48:r={rate}:d=4"),
            *("-i", path.with_suffix(".txt"), "-map", "0", "-map_metadata", "1"),
            *("-metadata", f"creation_time={CREATED}", "-timecode", timecode),
            *("-c:v", "libvpx-vp9" if path.suffix == ".webm" else "libx264", "-preset", "ultrafast", path),
        ],
        check=True,
    )
    return path


def rendered(source: Path, out: Path, key: str, start: float = 0, end: float | None = None) -> Path:
    clip = probe_clip(source)
    job = Job(source, out, format=key, start=start, end=end, sound="none")
    with create_writer(out.with_name("kept.mkv"), clip, past=10**9) as kept:
        for frame in read_frames(source):
            kept.write(np.full((48, 64), 255, np.uint8), frame.pts)
    list(render(job, MatteFile.open(out.with_name("kept.mkv"))))
    return out


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]


def tags(path: Path) -> dict[str, str]:
    """Those of the container, and the timecode wherever it is."""
    with av.open(str(path)) as container:
        told = {key.lower(): value for key, value in container.metadata.items()}
        for stream in container.streams:
            told |= {key: value for key, value in stream.metadata.items() if key == "timecode"}
    return told


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("key", ["mp4", "hevc", "webm", "mkv", "prores", "matte"])
def test_all_labels_are_copied(tmp_path: Path, suffix: str, key: str) -> None:
    source = labelled(tmp_path / f"in{suffix}")
    path = rendered(source, tmp_path / f"out{formats.by_key(key).suffix}", key)
    told = tags(path)
    assert told["title"] == "My film" and told["creation_time"] == CREATED
    assert told["timecode"] == "10:00:00:00"
    assert chapters(path) == [(0, 1, "One"), (1, 2.5, "Two"), (2.5, 4, "Three")]


@pytest.mark.parametrize("key", ["mp4", "webm", "mkv", "prores"])
def test_a_range_has_adjusted_labels(tmp_path: Path, key: str) -> None:
    source = labelled(tmp_path / "in.mov", "30000/1001", "01:00:59;20")
    path = rendered(source, tmp_path / f"out{formats.by_key(key).suffix}", key, start=1.001, end=3.003)
    assert tags(path)["timecode"] == "01:01:00;22"  # 20 + 30 frames; two numbers are left out
    assert chapters(path) == [
        (0, pytest.approx(1.499, abs=0.002), "Two"),
        (pytest.approx(1.499, abs=0.002), pytest.approx(2.002, abs=0.002), "Three"),
    ]


@pytest.mark.parametrize("key", ["gif", "webp", "png"])
def test_formats_without_labels_are_rendered_without_them(tmp_path: Path, key: str) -> None:
    source = labelled(tmp_path / "in.mp4")
    assert rendered(source, tmp_path / f"out{formats.by_key(key).suffix}", key, end=0.2).exists()


def test_a_video_without_labels_has_none(tmp_path: Path, counted_path: Path) -> None:
    assert Labels.read(counted_path, Fraction(20)) == Labels()


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), NTSC, Fraction(60000, 1001), Fraction(50)])
def test_timecodes_count_frames(rate: Fraction) -> None:
    for drop in (False, True) if round(rate) % 30 == 0 else (False,):
        mark = ";" if drop else ":"
        seen = Timecode.parse(f"23:58:58{mark}00", rate)
        assert seen is not None
        texts = []
        for number in range(90 * round(rate)):
            code = seen.later(number / rate, rate)
            texts.append(str(code))
            read = Timecode.parse(str(code), rate)
            assert read is not None and str(read) == str(code)
        assert len(set(texts)) == len(texts)
        numbers = [text for text in texts if text.startswith(f"23:59:00{mark}")]
        assert numbers[0].endswith(f"{mark}{round(rate) // 15 if drop else 0:02}")
        assert any(text.startswith("00:00:") for text in texts)


def test_drop_frame_timecode_follows_the_clock() -> None:
    code = Timecode.parse("00:00:00;00", NTSC)
    assert code is not None
    assert str(code.later(Fraction(3600), NTSC)) == "01:00:00;00"
    assert str(code.later(Fraction(600), NTSC)) == "00:10:00;00"
    assert str(code.later(1800 / NTSC, NTSC)) == "00:01:00;02"


def test_a_timecode_at_another_rate_is_the_same_time() -> None:
    code = Timecode.parse("10:20:30:20", Fraction(25))
    assert code is not None and str(code.at_rate(Fraction(50))) == "10:20:30:40"
    assert str(code.at_rate(NTSC)) == "10:20:30:24"


@pytest.mark.parametrize("text", ["", "now", "1:2:3:4", "10:00:00:25", "10:00:00:99"])
def test_invalid_timecodes_are_ignored(text: str) -> None:
    assert Timecode.parse(text, Fraction(25)) is None
