"""Sound goes along: whole, in sync, and unchanged where the container takes it."""

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import formats, video
from pipeline.formats import FORMATS
from pipeline.video import Heard, Writer
from tests import ffprobe
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

SECONDS = 3
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime")


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds of picture with a click at every full one, the sound in several codecs."""
    folder = tmp_path_factory.mktemp("sound")
    frames = numbered(12 * SECONDS)
    aac = write_clip(folder / "aac.mp4", frames, rate=12, sound=True)
    made = {"aac": aac}
    for name, suffix, codec in (
        ("pcm", ".mov", "pcm_s16le"),
        ("mp3", ".mkv", "libmp3lame"),
        ("opus", ".webm", "libopus"),
        ("vorbis", ".mkv", "libvorbis"),
        ("flac", ".mkv", "flac"),
        ("ts", ".ts", "aac"),
    ):
        made[name] = folder / f"{name}{suffix}"
        picture = VP9 if suffix == ".webm" else H264
        ffmpeg("-i", aac, *picture, "-c:a", codec, made[name])
    return made


def save(source: Path, target: Path, start: Fraction | int = 0, end: Fraction | int | None = None) -> Path:
    """The clip's own frames and sound from `start` to `end` seconds, through our reader and writer."""
    clip = video.probe(source)
    first = next(p for p in video.index(source).pts if p * clip.time_base >= start - Fraction(1, 1000))
    past = None if end is None else round(end / clip.time_base)
    with Writer(
        target,
        formats.by_suffix(target),
        width=clip.width,
        height=clip.height,
        time_base=clip.time_base,
        rate=clip.rate,
        start=first,
        sound=Heard(source, first * clip.time_base, None if end is None else Fraction(end)),
    ) as writer:
        for frame in video.read(source, first, past):
            writer.write(frame.image, frame.pts)
    return target


def clicks(path: Path) -> list[float]:
    """Seconds, on the file's own clock, at which a click sets in."""
    first = float(ffprobe.stream(path, "audio").get("start_time", 0))
    # What FFmpeg decodes begins at second 0 of the file, or where the sound begins.
    rate, samples = ffprobe.sound(path)
    loud = np.flatnonzero(np.abs(samples).max(axis=1) > 0.5) / rate + max(0.0, first)
    starts = [loud[0], *(b for a, b in pairwise(loud) if b - a > 0.5)]
    return [float(moment) for moment in starts]


def packets(path: Path) -> list[str]:
    """The hash of each packet of sound."""
    out = ffprobe._output(
        "ffprobe", "-select_streams", "a:0", "-show_data_hash", "md5", "-show_packets", path
    )
    return [line for line in out.decode().splitlines() if line.startswith("data_hash")]


@pytest.mark.parametrize(
    ("name", "target"),
    [(name, "mp4") for name in ("aac", "pcm", "mp3", "opus", "ts")]
    + [(name, "webm") for name in ("aac", "mp3", "opus", "vorbis", "flac")],
)
def test_sound_is_there_whole_and_in_sync(
    tmp_path: Path, sources: dict[str, Path], name: str, target: str
) -> None:
    path = save(sources[name], tmp_path / f"out{FORMATS[target].suffix}")
    copied = {"mp4": {"aac": "aac", "mp3": "mp3", "ts": "aac"}, "webm": {"opus": "opus", "vorbis": "vorbis"}}
    expected = copied[target].get(name, {"mp4": "aac", "webm": "opus"}[target])
    assert ffprobe.stream(path, "audio")["codec_name"] == expected
    assert ffprobe.sound_duration(path) == pytest.approx(SECONDS, abs=0.05)
    assert clicks(path) == pytest.approx(range(SECONDS), abs=0.01)
    source, result = ffprobe.frame_times(sources[name]), ffprobe.frame_times(path)
    # WebM knows no time before 0, so sound that begins a few ms before the picture moves both.
    assert result[0] <= (Fraction(1, 100) if target == "webm" else 0)
    pairs = zip(source, result, strict=True)
    assert all(abs((b - result[0]) - (a - source[0])) <= Fraction(1, 2000) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "suffix"), [("aac", ".mp4"), ("mp3", ".mp4"), ("opus", ".webm"), ("vorbis", ".webm")]
)
def test_what_the_container_takes_goes_over_bit_for_bit(
    tmp_path: Path, sources: dict[str, Path], name: str, suffix: str
) -> None:
    path = save(sources[name], tmp_path / f"out{suffix}")
    assert len(packets(path)) > 50
    assert packets(path) == packets(sources[name])


@pytest.mark.parametrize(
    ("name", "target"),
    [("aac", "mp4"), ("opus", "mp4"), ("pcm", "mp4"), ("mp3", "mp4"), ("aac", "webm"), ("opus", "webm")],
)
def test_sound_is_cut_with_the_picture(
    tmp_path: Path, sources: dict[str, Path], name: str, target: str
) -> None:
    path = save(sources[name], tmp_path / f"out{FORMATS[target].suffix}", Fraction(2, 3), Fraction(5, 2))
    assert [float(moment) for moment in ffprobe.frame_times(path)] == pytest.approx(
        [n / 12 for n in range(22)], abs=0.0011
    )
    assert clicks(path) == pytest.approx([1 / 3, 4 / 3], abs=0.025)
    begin = max(0.0, float(ffprobe.stream(path, "audio").get("start_time", 0)))
    assert begin <= 0.03
    assert begin + float(ffprobe.sound_duration(path)) == pytest.approx(2.5 - 2 / 3, abs=0.05)


def test_sound_that_begins_before_or_after_the_picture_keeps_its_distance(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    for delay in (0.4, -0.4):
        moved = tmp_path / "moved.mkv"
        offset = ("-itsoffset", str(delay))
        ffmpeg(
            "-i",
            sources["pcm"],
            *offset,
            "-i",
            sources["pcm"],
            "-map",
            "0:v",
            "-map",
            "1:a",
            *H264,
            "-c:a",
            "libmp3lame",
            moved,
        )
        truth = [n + delay for n in range(SECONDS) if n + delay > 0]
        for suffix in (".mp4", ".webm"):
            path = save(moved, tmp_path / f"out{suffix}")
            assert ffprobe.frame_times(path)[0] == 0
            assert clicks(path) == pytest.approx(truth, abs=0.025)


def test_a_gap_in_the_sound_stays_a_gap(tmp_path: Path, sources: dict[str, Path]) -> None:
    gap = tmp_path / "gap.mkv"
    ffmpeg("-i", sources["pcm"], *H264, "-c:a", "flac", "-af", "aselect='not(between(t,0.3,0.8))'", gap)
    assert clicks(save(gap, tmp_path / "out.webm")) == pytest.approx([0, 1, 2], abs=0.06)


def test_a_video_without_sound_gives_one_without_sound(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "mute.mp4", numbered(6))
    for suffix in (".mp4", ".webm"):
        with pytest.raises(LookupError):
            ffprobe.stream(save(source, tmp_path / f"out{suffix}"), "audio")


def test_damaged_sound_does_not_cost_the_picture(tmp_path: Path, sources: dict[str, Path]) -> None:
    out = ffprobe._output(
        "ffprobe",
        "-select_streams",
        "a:0",
        "-show_entries",
        "packet=pos,size",
        "-of",
        "csv=p=0",
        sources["aac"],
    )
    places = [tuple(map(int, line.split(",")[:2])) for line in out.decode().split()]
    data: Any = bytearray(sources["aac"].read_bytes())
    for size, position in places[20:24]:
        data[position : position + size] = b"\xff" * size
    hurt = tmp_path / "hurt.mp4"
    hurt.write_bytes(data)
    path = save(hurt, tmp_path / "out.webm")
    assert len(ffprobe.frame_times(path)) == 12 * SECONDS
    assert clicks(path) == pytest.approx(range(SECONDS), abs=0.01)
