"""Durations of pictures: the last as long as the file says, the first from the sound's start on."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import formats
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index, read_index_file, save_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.webp import parse_frames
from tests import ffprobe
from tests.hearing import ffmpeg, hear, write_melody
from tests.pipeline.stand_in import number, numbered
from tests.pipeline.video.reading.test_frame_index import check
from tests.rendered import write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

COUNT, RATE = 10, 10
PLAIN = {"preset": "veryfast", "crf": "12", "bf": "0", "g": "5", "sc_threshold": "0"}
REORDERED = PLAIN | {"bf": "2", "b_adapt": "0"}


def lengths(path: Path) -> list[float]:
    """Seconds that each picture of a result is shown, as an independent reader sees it."""
    if path.suffix == ".webp":
        with path.open("rb") as file:
            return [picture.milliseconds / 1000 for picture in parse_frames(file)]
    if path.suffix == ".zip":
        raise ValueError("ask the table in it")
    times = [float(time) for time in ffprobe.frame_times(path)]
    assert times[0] == 0
    ends = [*times, float(ffprobe.probe(path)["format"]["duration"])]
    return [b - a for a, b in pairwise(ends)]


def render(source: Path, result: Path, **changed: Any) -> Path:
    list(process(Job(source, result, model="threshold", **changed)))
    return result


def idle(path: Path, last: float = 3, *, sound: bool = False, options: dict[str, str] = PLAIN) -> Path:
    """COUNT pictures, RATE a second, of which the last is shown for `last` seconds."""
    frames = numbered(COUNT)
    if path.suffix in (".gif", ".apng", ".webp"):
        first, *others = [Image.fromarray(frame) for frame in frames]
        each = [1000 // RATE] * (COUNT - 1) + [round(1000 * last)]
        kind = {"format": "PNG"} if path.suffix == ".apng" else {}
        first.save(path, save_all=True, append_images=others, duration=each, loop=0, **kind)
        return path
    whole = write_clip(path.with_name("whole.mp4"), frames, rate=Fraction(RATE), options=options)
    more = f"setts=pts=PTS:dts=DTS:duration='if(eq(N,{COUNT - 1}),{last}/TB,DURATION)'"
    heard: tuple[str | Path, ...] = ()
    if sound:
        heard = (
            "-i",
            write_melody(path.with_suffix(".wav"), 0.9 + last),
            "-map",
            "0",
            "-map",
            "1",
            "-c:a",
            "aac",
        )
    made = path.with_name("longer.mp4")
    ffmpeg("-i", whole, *heard, "-c:v", "copy", "-bsf:v", more, made)
    if path.suffix == ".mp4":
        return made.rename(path)
    ffmpeg("-i", made, "-c", "copy", path)
    return path


@pytest.mark.parametrize("name", ["clip.gif", "clip.apng", "clip.mp4", "clip.mov", "clip.mkv"])
def test_the_last_frame_has_the_duration_of_the_file(name: str, tmp_path: Path) -> None:
    clip = probe_clip(idle(tmp_path / name))
    assert (clip.frames, clip.duration) == (COUNT, pytest.approx(0.9 + 3))
    assert clip.variable
    index = load_index(clip.path)
    save_index(clip.path)
    kept = read_index_file(clip.path)
    assert kept is not None and kept.index == index


def test_the_last_of_reordered_frames_has_its_duration(tmp_path: Path) -> None:
    """MP4 says how long packets last in the order of decoding."""
    assert probe_clip(idle(tmp_path / "clip.mp4", options=REORDERED)).duration == pytest.approx(0.9 + 3)


@pytest.mark.parametrize(
    "form", [key for key, form in formats.FORMATS.items() if form.suffix != ".zip" and not form.still]
)
def test_every_format_keeps_the_last_duration(form: str, tmp_path: Path) -> None:
    source = idle(tmp_path / "clip.mp4")
    result = render(source, tmp_path / f"result{formats.FORMATS[form].suffix}", format=form)
    assert lengths(result) == pytest.approx([0.1] * 9 + [3], abs=0.002)


def test_picture_sequences_store_the_last_duration(tmp_path: Path) -> None:
    folder = render(idle(tmp_path / "clip.gif"), tmp_path / "folder", format="png")
    assert (folder / "times.csv").read_text().splitlines()[-1] == "000009.png,0.900000,3.000000"


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("name", ["clip.gif", "clip.mp4"])
def test_a_range_may_start_and_end_within_a_frame(name: str, suffix: str, tmp_path: Path) -> None:
    source, result = idle(tmp_path / name), tmp_path / f"result{suffix}"
    form = formats.by_suffix(result).key
    assert lengths(render(source, result, format=form, start=2.0)) == pytest.approx([1.9], abs=0.002)
    assert lengths(render(source, result, format=form, start=0.8, end=2.0)) == pytest.approx(
        [0.1, 1.1], abs=0.002
    )
    assert lengths(render(source, result, format=form, start=1.5, end=2.5)) == pytest.approx([1], abs=0.002)


def test_a_constant_rate_repeats_the_last_frame(tmp_path: Path) -> None:
    result = render(idle(tmp_path / "clip.mp4"), tmp_path / "result.mp4", rate=Fraction(10), start=2.0)
    assert lengths(result) == pytest.approx([0.1] * 19)


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_the_sound_lasts_until_the_end_of_the_last_frame(start: float, tmp_path: Path) -> None:
    result = render(idle(tmp_path / "clip.mp4", sound=True), tmp_path / "result.mp4", start=start)
    got = hear(result)
    assert got.span()[1] == pytest.approx(3.9 - start, abs=0.05)
    assert got.late(0.5, shift=start) == pytest.approx(0, abs=0.02)


# Pictures that begin after the sound


def late(path: Path, by: float, seconds: float = 3, *, options: dict[str, str] = PLAIN) -> Path:
    """Sound of some seconds, and pictures from `by` seconds on."""
    count = round((seconds - by) * RATE)
    whole = write_clip(path.with_name("whole.mp4"), numbered(count), rate=Fraction(RATE), options=options)
    tune = write_melody(path.with_name("tune.wav"), seconds)
    copied = ("-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac")
    ffmpeg("-itsoffset", by, "-i", whole, "-i", tune, *copied, path)
    return path


@pytest.mark.parametrize("options", [PLAIN, REORDERED])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
def test_the_first_frame_is_also_shown_before_its_time(
    suffix: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = late(tmp_path / f"clip{suffix}", 1, options=options)
    clip = probe_clip(path)
    assert (clip.frames, clip.duration) == (20, pytest.approx(3, abs=0.1))
    index = check(path, range(20))
    assert [float(pts * index.tick) for pts in index.pts[:3]] == pytest.approx([0, 1.1, 1.2], abs=0.05)
    save_index(path)
    kept = read_index_file(path)
    assert kept is not None and kept.index == index


@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_sound_before_the_first_frame_is_kept_in_sync(form: str, tmp_path: Path) -> None:
    source = late(tmp_path / "clip.mp4", 1)
    result = render(source, tmp_path / f"result{formats.FORMATS[form].suffix}", format=form)
    got = hear(result)
    assert got.span() == pytest.approx((0, 3), abs=0.05)
    assert max(abs(got.late(at)) for at in (0.2, 1.2, 2.2)) < 0.02
    times = [float(time) for time in ffprobe.frame_times(result)]
    assert times == pytest.approx([0, *(1 + n / RATE for n in range(1, 20))], abs=0.002)
    part = render(source, result, format=form, start=0.5, end=2.0)
    assert hear(part).span() == pytest.approx((0, 1.5), abs=0.05)
    assert abs(hear(part).late(0.2, shift=0.5)) < 0.02
    assert lengths(part) == pytest.approx([0.6] + [0.1] * 9, abs=0.03)


def test_sound_that_starts_slightly_earlier_shifts_no_frame(tmp_path: Path) -> None:
    """As encoders' run-up does, and every second film of a phone."""
    index = load_index(late(tmp_path / "clip.mp4", 0.08))
    assert [pts * index.tick for pts in index.pts] == [Fraction(n, RATE) for n in range(len(index.pts))]


# Recordings that begin anywhere


def cut(path: Path, share: float, codec: str, **options: str) -> Path:
    """A broadcast with sound of which the beginning is missing: as it is found on a hard disk."""
    whole = path.with_name("whole.ts")
    kind = {"g": "12", "bf": "2"} | options
    told = [part for name, value in kind.items() for part in (f"-{name}", value)]
    seen = ("-f", "lavfi", "-i", "testsrc=s=160x96:r=25:d=4")
    tune = ("-i", write_melody(path.with_name("tune.wav"), 4))
    ffmpeg(*seen, *tune, "-c:v", codec, *told, "-pix_fmt", "yuv420p", "-b:v", "1M", "-c:a", "mp2", whole)
    data = whole.read_bytes()
    head, begin = 188 * 3, round(len(data) // 188 * share) * 188
    path.write_bytes(data[:head] + data[begin:])
    return path


BROADCASTS = pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("mpeg2video", {}),
        ("libx264", {"preset": "veryfast", "sc_threshold": "0"}),
        ("libx264", {"preset": "veryfast", "sc_threshold": "0", "x264-params": "open-gop=1:keyint=12"}),
        ("libx265", {"preset": "veryfast", "x265-params": "log-level=error:keyint=12:open-gop=1"}),
    ],
)


@BROADCASTS
def test_a_recording_starts_with_its_first_decodable_frame(
    codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = cut(tmp_path / "clip.ts", 0.3, codec, **options)
    index = load_index(path)
    frames = list(read_frames(path))
    assert [frame.pts for frame in frames] == list(index.pts)
    entries = ("-show_entries", "frame=pts", "-select_streams", "v", "-of", "json")
    told = json.loads(ffprobe._output("ffprobe", *entries, path))["frames"]
    assert len(frames) == len(told) == probe_clip(path).frames
    truth = ffprobe.frames(path)
    assert np.abs(frames[0].image.astype(int) - truth[0]).mean() < 4
    part = next(read_frames(path, only=[index.pts[20]]))
    assert np.array_equal(part.image, frames[20].image)


@pytest.mark.parametrize("form", ["mp4", "gif", "webp", "pair"])
def test_every_format_starts_with_the_first_decodable_frame(form: str, tmp_path: Path) -> None:
    source = cut(tmp_path / "clip.ts", 0.3, "mpeg2video")
    result = render(source, tmp_path / f"result{formats.FORMATS[form].suffix}", format=form)
    if form == "pair":
        return  # which checks itself
    assert lengths(result) == pytest.approx([0.04] * len(load_index(source).pts), abs=0.002)
    if form == "mp4":
        zero = load_index(source).origin * load_index(source).tick
        entries = ("-show_entries", "format=start_time", "-of", "json")
        whole = json.loads(ffprobe._output("ffprobe", *entries, tmp_path / "whole.ts"))["format"][
            "start_time"
        ]
        assert abs(hear(result).late(0.5, shift=float(zero) - float(whole))) < 0.03


def test_a_damaged_first_frame_of_a_part_is_replaced(tmp_path: Path) -> None:
    """Not every format can begin with no picture."""
    options = PLAIN | {"keyint_min": "5"}
    path = write_clip(tmp_path / "clip.mp4", numbered(20), rate=Fraction(RATE), options=options)
    places = json.loads(ffprobe._output("ffprobe", "-show_entries", "packet=pos", "-of", "json", path))[
        "packets"
    ]
    data = bytearray(path.read_bytes())
    at = int(places[10]["pos"])
    data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)
    result = render(path, tmp_path / "result.gif", format="gif", start=1.0)
    shown = [number(frame) for frame in ffprobe.frames(result)]
    assert 10 not in shown and sum(lengths(result)) == pytest.approx(1)
