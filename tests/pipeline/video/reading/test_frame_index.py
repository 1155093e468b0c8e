"""Every picture has a time of its own, the container's where it has one, and is found by it."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.video.reading import index_cache, scan
from pipeline.video.reading.frame_index import FrameIndex
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.index_cache import load_index, read_index_file, save_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.reading.source import Source
from pipeline.video.reading.timestamps import repair_timestamps
from tests import ffprobe
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip

REORDERED = {"preset": "veryfast", "crf": "12", "bf": "3", "b_adapt": "0", "g": "10", "sc_threshold": "0"}
INTRA = {"preset": "veryfast", "crf": "12", "bf": "0", "g": "5", "sc_threshold": "0"}


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def check(path: Path, numbers: Sequence[int]) -> FrameIndex:
    """The frames carry these numbers, at the times of the index, read in whichever way."""
    index = load_index(path)
    assert index.pts[0] == 0 and list(index.pts) == sorted(set(index.pts))
    told = list(zip(index.pts, numbers, strict=True))
    assert [(frame.pts, number(frame.image)) for frame in read_frames(path)] == told
    chance = random.Random(len(told))
    for count in (1, 1, 2, 5):
        chosen = sorted(chance.sample(told, min(count, len(told))))
        frames = read_frames(path, only=[pts for pts, _ in chosen])
        assert [(frame.pts, number(frame.image)) for frame in frames] == chosen
    first, last = sorted(chance.sample(range(len(told)), 2)) if len(told) > 1 else (0, 0)
    start, end = told[first][0], told[last][0]
    for way, order in ((read_frames, 1), (read_frames_backward, -1)):
        part = [(frame.pts, number(frame.image)) for frame in way(path, start, end)]
        assert part == told[first:last][::order]
    return index


# Mending


@pytest.mark.parametrize(
    ("stamps", "truth"),
    [
        ([], []),
        ([7], [7]),
        ([0, 40, 90], [0, 40, 90]),
        ([0, 40, None, 120], [0, 40, 80, 120]),
        ([0, 40, 40, 120], [0, 40, 80, 120]),
        ([0, 40, None, None, 160, 200], [0, 40, 80, 120, 160, 200]),
        ([None, 40, 80, None], [0, 40, 80, 120]),
        ([None, None, None], [0, 40, 80]),
        ([5, 5, 5], [5, 45, 85]),
        ([100, 0, 180, 220], [100, 140, 180, 220]),  # one goes back alone
        ([100, 9999, 180, 220], [100, 140, 180, 220]),  # one goes ahead alone
        ([100, 140, 180, 0, 40, 80], [100, 140, 180, 220, 260, 300]),  # the clock is set back
        ([0, 40, 40, 41, 80], [0, 40, 53, 66, 80]),  # no room for three within a tick
    ],
)
def test_missing_times_are_interpolated(stamps: list[int | None], truth: list[int]) -> None:
    assert repair_timestamps(stamps, 40) == (truth, 1)


def test_a_coarse_time_base_is_refined() -> None:
    assert repair_timestamps([0, 0, 1, 1, 2, 2, 3], 1, finest=16) == ([0, 1, 2, 3, 4, 5, 6], 2)
    assert repair_timestamps([0, 0, 1, 1, 2, 2, 3], 1, finest=1) == ([0, 1, 2, 3, 4, 5, 6], 1)


@given(
    st.lists(st.none() | st.integers(-50, 300) | st.integers(-(2**52), 2**52), max_size=40),
    st.integers(1, 99),
)
def test_repaired_times_ascend_and_valid_ones_stay(stamps: list[int | None], gap: int) -> None:
    repaired, finer = repair_timestamps(stamps, gap, 16)
    assert len(repaired) == len(stamps)
    assert all(a < b for a, b in pairwise(repaired))
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and all(a < b for a, b in pairwise(known)):
        assert (repaired, finer) == (known, 1)


# Times that are missing, repeated or set back


def test_repeated_times_lose_no_frame(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", numbered(20), rate=Fraction(25), options=INTRA)
    path = tmp_path / "repeated.mkv"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "setts=ts=40*(N-mod(N\\,4)/3*eq(mod(N\\,4)\\,3))", path)
    stamps = ffprobe._output("ffprobe", "-show_entries", "packet=pts", "-of", "csv=p=0", path).split()
    assert len(set(stamps)) < len(stamps) == 20
    index = check(path, range(20))
    clip = probe_clip(path)
    assert (clip.frames, clip.mended, clip.remarks) == (20, 20 - len(set(stamps)), ("mended",))
    assert [pts * index.tick for pts in index.pts] == [n * Fraction(1, 25) for n in range(20)]


@pytest.mark.parametrize("options", [INTRA, REORDERED])
def test_timestamps_that_jump_back_lose_no_frame(tmp_path: Path, options: dict[str, str]) -> None:
    frames = numbered(40)
    kind: Any = {"time_base": Fraction(1, 25), "rate": Fraction(25), "options": options}
    later = write_clip(tmp_path / "later.ts", frames[:20], pts=range(100, 120), **kind)
    early = write_clip(tmp_path / "early.ts", frames[20:], pts=range(20), **kind)
    path = tmp_path / "both.ts"
    path.write_bytes(later.read_bytes() + early.read_bytes())
    index = check(path, range(40))
    assert [pts * index.tick for pts in index.pts] == [n * Fraction(1, 25) for n in range(40)]
    assert probe_clip(path).mended == 20


@pytest.mark.parametrize("options", [INTRA, REORDERED])
@pytest.mark.parametrize("name", ["stream.h264", "stream.mpg"])
def test_frames_without_timestamps_get_times(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    whole = write_clip(tmp_path / "whole.mp4", numbered(40), rate=Fraction(25), options=options)
    path = tmp_path / name
    kind = ("-f", "vob") if name == "stream.mpg" else ()
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "h264_mp4toannexb", *kind, path)
    index = check(path, range(40))
    assert [pts * index.tick for pts in index.pts] == [n * Fraction(1, 25) for n in range(40)]
    assert probe_clip(path).mended > 0


@pytest.mark.parametrize("options", [REORDERED, REORDERED | {"x264-params": "open-gop=1"}])
def test_an_avi_with_reordered_frames(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_clip(tmp_path / "clip.avi", numbered(40), rate=Fraction(25), options=options)
    assert check(path, range(40)).pts == tuple(range(40))
    assert probe_clip(path).mended == 0  # it has none to mend


def test_timestamps_that_wrap_around(tmp_path: Path) -> None:
    """MPEG-TS counts in 33 bits, which is 26 hours and a half."""
    start = 2**33 - 90000
    path = tmp_path / "late.ts"
    whole = write_clip(tmp_path / "whole.mp4", numbered(50), rate=Fraction(25), options=INTRA)
    ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", f"{start / 90000 - 1.4}", path)
    index = check(path, range(50))
    assert [pts * index.tick for pts in index.pts] == [n * Fraction(1, 25) for n in range(50)]
    assert probe_clip(path).mended == 0


# Edit lists


@pytest.mark.parametrize(("delay", "skip"), [("0", "0.4"), ("0.5", "0")])
def test_edit_lists_are_applied(tmp_path: Path, delay: str, skip: str) -> None:
    """Edit lists with an empty edit at the start, and with one that begins in the middle."""
    whole = write_clip(tmp_path / "whole.mp4", numbered(40), rate=Fraction(25), options=REORDERED)
    path = tmp_path / "edited.mp4"
    ffmpeg("-ss", skip, "-i", whole, "-c", "copy", "-output_ts_offset", delay, path)
    shown = [number(frame) for frame in ffprobe.frames(path)]
    index = check(path, shown)
    told = [(pts + index.origin) * index.tick for pts in index.pts]
    assert told == ffprobe.frame_times(path)
    assert shown[0] == round(25 * float(skip))


# Any times at all


@st.composite
def clips(draw: st.DrawFn) -> dict[str, Any]:
    suffix = draw(st.sampled_from([".mp4", ".mov", ".mkv", ".ts", ".nut"]))
    clock = {".mkv": 1000, ".ts": 90000}.get(suffix) or draw(st.sampled_from([600, 12288, 30000, 90000]))
    start = draw(st.sampled_from([0, 1, 17, 5000]))
    step = draw(st.integers(5, 4000))
    gaps = draw(st.lists(st.integers(3, 4000) | st.just(step), min_size=7, max_size=24))
    options = draw(st.sampled_from([INTRA, REORDERED, REORDERED | {"b-pyramid": "none", "bf": "1"}]))
    return {
        "suffix": suffix,
        "time_base": Fraction(1, clock),
        "pts": [start + sum(gaps[:n]) for n in range(len(gaps) + 1)],
        "options": options,
    }


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(clip=clips())
def test_written_frames_are_read_at_their_times(tmp_path: Path, clip: dict[str, Any]) -> None:
    path = tmp_path / f"clip{clip.pop('suffix')}"
    path.unlink(missing_ok=True)
    pts = clip["pts"]
    write_clip(path, numbered(len(pts)), rate=Fraction(25), **clip)
    index_cache._scan_of.cache_clear()  # a clip of the same size may be written within the clock's tick
    index = check(path, range(len(pts)))
    assert [p * index.tick for p in index.pts] == [(p - pts[0]) * clip["time_base"] for p in pts]
    assert probe_clip(path).mended == 0


# Jumping


def test_a_seek_skips_non_reference_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.roll(frame, n, 0) for n, frame in enumerate(numbered(60))]
    options = REORDERED | {"g": "60", "b-pyramid": "normal"}
    path = write_clip(tmp_path / "clip.mp4", frames, options=options)
    whole = list(read_frames(path))
    decode = Source.decode
    decoded = 0

    def counting(source: Any, *where: Any) -> Any:
        nonlocal decoded
        for frame in decode(source, *where):
            decoded += 1
            yield frame

    monkeypatch.setattr(Source, "decode", counting)
    for n in (5, 23, 58):
        decoded = 0
        (alone,) = read_frames(path, only=[whole[n].pts])
        assert np.array_equal(alone.image, whole[n].image)
        assert decoded <= n * 0.6 + 4


# The index that is kept


@pytest.fixture
def kept(tmp_path: Path, counted_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    shutil.copy(counted_path, path)
    save_index(path)
    return path


def without_scanning(path: Path) -> str:
    """Return what another process prints that probes and reads `path`, in which nothing may be scanned."""
    script = """
import sys
from pathlib import Path
from pipeline.video.reading import frames, index_cache, probe, scan

def scan_packets(path):
    sys.exit("scanned")

scan.scan_packets = scan_packets
path = Path(sys.argv[1])
pts = index_cache.load_index(path).pts
print(probe.probe_clip(path).frames, len(list(frames.read_frames(path, only=[pts[17]]))))
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_stored_index_avoids_the_scan(kept: Path, tmp_path: Path) -> None:
    assert without_scanning(kept) == "40 1\n"
    elsewhere = tmp_path / "moved" / "other.mp4"
    elsewhere.parent.mkdir()
    shutil.copyfile(kept, elsewhere)  # another name would not fit the index, another date and folder do
    assert without_scanning(elsewhere) == "scanned\n"
    shutil.copyfile(kept.with_name("clip.mp4.index"), elsewhere.with_name("other.mp4.index"))
    assert without_scanning(elsewhere) == "40 1\n"


def test_a_stored_index_equals_the_scanned_one(kept: Path) -> None:
    assert index_cache.scan_of(kept) == scan.scan_packets(kept)


def test_probing_and_reading_write_no_index_file(tmp_path: Path, counted_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(counted_path, path)
    probe_clip(path)
    list(read_frames(path, only=[0]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 100_000,
        lambda text: "[]",
        lambda text: json.dumps(json.loads(text) | {"version": 0}),
        lambda text: json.dumps(json.loads(text) | {"video": "another"}),
        lambda text: json.dumps(json.loads(text) | {"tick": "1/0"}),
        lambda text: json.dumps(json.loads(text) | {"tick": "-1/5"}),
        lambda text: json.dumps(json.loads(text) | {"pts": [0, 2, 1]}),
        lambda text: json.dumps(json.loads(text) | {"pts": [0, 1.5]}),
        lambda text: json.dumps(json.loads(text) | {"pts": None}),
        lambda text: json.dumps(json.loads(text) | {"keys": ["0"]}),
        lambda text: json.dumps(json.loads(text) | {"marks": [[0, 1]]}),
        lambda text: json.dumps(json.loads(text) | {"stamps": [None]}),
        lambda text: json.dumps(json.loads(text) | {"origin": "0"}),
    ],
)
def test_an_index_file_of_another_video_is_ignored(kept: Path, change: Any) -> None:
    beside = kept.with_name("clip.mp4.index")
    beside.write_text(change(beside.read_text()))
    assert read_index_file(kept) is None
    save_index(kept)
    assert read_index_file(kept) == scan.scan_packets(kept)


def test_another_video_of_the_same_name_is_scanned(kept: Path, clip_path: Path) -> None:
    shutil.copyfile(clip_path, kept)
    assert probe_clip(kept).frames == 24
