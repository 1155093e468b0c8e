"""Reading files, which PyAV or ffmpeg wrote."""

import os
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from pipeline import limits
from pipeline.errors import VideoError
from pipeline.jobs.worker import Worker
from pipeline.limits import Limits
from pipeline.video.reading import frames as reading
from pipeline.video.reading.frame_index import FrameIndex
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.reading.source import Source
from tests import ffprobe
from tests.pipeline.stand_in import number, numbered
from tests.rendered import subject_over_background, write_clip

ROOT = Path(__file__).resolve().parents[3]
NTSC = Fraction(30000, 1001)
RATE: dict[str, Any] = {"time_base": Fraction(1, 24), "rate": Fraction(24)}


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def times(path: Path) -> list[Fraction]:
    clip = probe_clip(path)
    return [frame.pts * clip.time_base for frame in read_frames(path)]


def decoded(path: Path) -> int:
    """Count the pictures that ffprobe decodes, those that it finds no time for among them."""
    entries = ("-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames")
    return int(ffprobe._output("ffprobe", *entries, "-of", "csv=p=0", path).split()[0].strip(b","))


# Reading: times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
@pytest.mark.parametrize("rate", [Fraction(24), NTSC])
def test_times_at_a_constant_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(suffix, "libx264")
    path = write_clip(tmp_path / f"clip{suffix}", numbered(12), rate=rate, codec=codec)
    truth = [n / rate for n in range(12)]
    grace = Fraction(1, 1000) if suffix in (".mkv", ".webm") else 0  # Matroska counts milliseconds
    assert all(abs(a - b) <= grace for a, b in zip(times(path), truth, strict=True))
    assert [number(frame.image) for frame in read_frames(path)] == list(range(12))
    clip = probe_clip(path)
    assert clip.frames == 12 and not clip.variable
    assert float(clip.rate) == pytest.approx(float(rate), rel=0.003)
    assert clip.duration == pytest.approx(12 / rate, abs=0.003)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_at_a_variable_rate(tmp_path: Path, suffix: str) -> None:
    pts = [0, 40, 50, 170, 230, 1000]
    path = write_clip(tmp_path / f"clip{suffix}", numbered(6), pts=pts, time_base=Fraction(1, 1000))
    assert times(path) == [Fraction(p, 1000) for p in pts]
    assert probe_clip(path).variable


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_times_start_at_0_with_the_first_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"late{suffix}"
    write_clip(
        path, numbered(8), rate=Fraction(20), pts=[50 + n for n in range(8)], time_base=Fraction(1, 20)
    )
    assert ffprobe.frame_times(path)[0] >= 2.5
    assert times(path) == [Fraction(n, 20) for n in range(8)]
    assert probe_clip(path).duration == pytest.approx(0.4)


def test_b_frames_are_read_in_presentation_order(tmp_path: Path) -> None:
    options = {"preset": "medium", "crf": "12", "bf": "4", "b_adapt": "0", "b-pyramid": "normal"}
    path = write_clip(tmp_path / "clip.mp4", numbered(24), options=options)
    assert ffprobe.stream(path)["has_b_frames"] > 0
    assert [number(frame.image) for frame in read_frames(path)] == list(range(24))


def test_b_frames_in_an_avi_without_timestamps(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "crf": "12", "bf": "3", "b_adapt": "0", "g": "10"}
    path = write_clip(tmp_path / "clip.avi", numbered(30), rate=Fraction(10), options=options)
    assert ffprobe.stream(path)["has_b_frames"] > 0
    whole = list(read_frames(path))
    assert [number(frame.image) for frame in whole] == list(range(30))
    assert times(path) == [Fraction(n, 10) for n in range(30)]
    assert [number(f.image) for f in read_frames(path, whole[14].pts, whole[26].pts)] == list(range(14, 26))
    backward = read_frames_backward(path, 0, whole[-1].pts + 1)
    assert [number(frame.image) for frame in backward] == list(range(29, -1, -1))


def test_frames_hidden_by_an_edit_list_are_not_read(tmp_path: Path, counted_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    ffmpeg("-ss", "0.7", "-i", counted_path, "-t", "0.5", "-c", "copy", path)
    truth = [number(frame) for frame in ffprobe.frames(path)]
    assert truth[0] == 14
    clip = probe_clip(path)
    read = list(read_frames(path))
    assert [number(frame.image) for frame in read] == truth
    assert read[0].pts == 0
    assert clip.frames == len(truth)


def test_a_single_frame_and_a_very_low_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "one.mp4", numbered(1))
    clip = probe_clip(path)
    assert (clip.frames, clip.duration, clip.rate) == (1, pytest.approx(1 / 24), 24)
    slides = write_clip(tmp_path / "slides.mp4", numbered(2), pts=[0, 4000], time_base=Fraction(1))
    assert 0 < probe_clip(slides).rate < 1


def test_probe_agrees_with_ffprobe(clip_path: Path) -> None:
    clip = probe_clip(clip_path, "Holiday.mp4")
    told = ffprobe.stream(clip_path)
    assert (clip.width, clip.height, clip.frames) == (told["width"], told["height"], int(told["nb_frames"]))
    assert clip.rate == Fraction(told["avg_frame_rate"])
    assert (clip.codec, clip.depth, clip.sound, clip.name) == ("h264", 8, ("aac",), "Holiday.mp4")


def test_probe_reports_10_bits(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "deep.mkv", numbered(2), codec="ffv1", pix_fmt="yuv444p10le")
    assert probe_clip(path).depth == 10


ALTERNATE = ("-auto-alt-ref", "1", "-lag-in-frames", "25", "-deadline", "good", "-b:v", "200k")


def with_hidden_frames(path: Path, codec: str, *options: str) -> Path:
    """60 frames with alternate references, which libvpx makes in the second of two passes."""
    frames, _ = subject_over_background(60, 160, 90)
    source = write_clip(path.with_name("source.mp4"), frames)
    log = path.with_name("log")
    encoder = ("-c:v", codec, *ALTERNATE, "-passlogfile", str(log), "-pass")
    ffmpeg("-i", source, *encoder, "1", "-f", "null", "-")
    ffmpeg("-i", source, *encoder, "2", *options, path)
    return path


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_hidden_frames_are_not_counted(tmp_path: Path, codec: str) -> None:
    path = with_hidden_frames(tmp_path / "clip.webm", codec)
    assert load_index(path).pts == tuple(frame.pts for frame in read_frames(path))
    assert decoded(path) == probe_clip(path).frames == 60


def test_hidden_frames_in_packets_of_their_own_are_not_counted(tmp_path: Path) -> None:
    joined = with_hidden_frames(tmp_path / "joined.webm", "libvpx-vp9")
    path = tmp_path / "parted.nut"
    ffmpeg("-i", joined, "-c", "copy", "-bsf:v", "vp9_superframe_split,setts=ts=N", path)
    packets = ffprobe._output("ffprobe", "-show_entries", "packet=pts", "-of", "csv=p=0", path).split()
    assert len(packets) > 60
    assert decoded(path) == probe_clip(path).frames == 60
    assert load_index(path).pts == tuple(frame.pts for frame in read_frames(path))


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".ts", ("-c:v", "libx264", "-x264opts", "tff=1")),
        (".ts", ("-c:v", "libx264", "-bsf:v", "h264_metadata=tick_rate=120")),  # says it is twice as fast
        (".mpg", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-bf", "2")),
    ],
)
def test_progressive_frames_are_all_counted(
    tmp_path: Path, clip_path: Path, suffix: str, options: Sequence[str]
) -> None:
    path = tmp_path / f"clip{suffix}"
    ffmpeg("-i", clip_path, *options, path)
    assert decoded(path) == probe_clip(path).frames == 24


# Reading: jumping about


def test_ranges_include_their_start_and_exclude_their_end(counted_path: Path) -> None:
    everything = [frame.pts for frame in read_frames(counted_path)]
    part = list(read_frames(counted_path, everything[13], everything[27]))
    assert [number(frame.image) for frame in part] == list(range(13, 27))
    assert [frame.pts for frame in part] == everything[13:27]
    between = everything[13] + 1
    assert [number(f.image) for f in read_frames(counted_path, between, everything[15])] == [14]


@pytest.mark.parametrize(
    "chosen", [[0], [39], [3, 4], [9, 10, 11], [0, 12, 13, 31, 39], [19, 21], list(range(0, 40, 7))]
)
def test_seeking_gives_the_same_pixels_as_sequential_decoding(counted_path: Path, chosen: list[int]) -> None:
    whole = list(read_frames(counted_path))
    only = [whole[n].pts for n in chosen]
    frames = list(read_frames(counted_path, only=only))
    assert [frame.pts for frame in frames] == only
    assert all(np.array_equal(frame.image, whole[n].image) for frame, n in zip(frames, chosen, strict=True))


def test_seeking_skips_the_frames_between(counted_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    decode = Source.decode

    def counting(source: Any, *where: Any) -> Any:
        nonlocal decoded
        for frame in decode(source, *where):
            decoded += 1
            yield frame

    whole = list(read_frames(counted_path))
    monkeypatch.setattr(Source, "decode", counting)
    assert len(list(read_frames(counted_path, only=[whole[1].pts, whole[31].pts]))) == 2
    assert decoded <= 6


def test_a_wrong_container_index_loses_no_frame(counted_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(read_frames(counted_path))
    seek = Source.seek

    def astray(source: Any, pts: int) -> None:
        seek(source, whole[30].pts if pts else 0)  # every jump lands at the last keyframe

    monkeypatch.setattr(Source, "seek", astray)
    for chosen in ([15, 16], [3, 25], [15, 25, 39]):
        frames = list(read_frames(counted_path, only=[whole[n].pts for n in chosen]))
        assert [number(frame.image) for frame in frames] == chosen
    assert [number(f.image) for f in read_frames(counted_path, whole[12].pts)] == list(range(12, 40))


def test_an_empty_selection_reads_nothing(counted_path: Path) -> None:
    assert list(read_frames(counted_path, only=[])) == []
    assert list(read_frames(counted_path, 10, 10)) == []


@pytest.mark.parametrize("frames_held", [1, 3, 7, 100])
def test_backward_reading_equals_forward_reading_reversed(
    counted_path: Path, monkeypatch: pytest.MonkeyPatch, frames_held: int
) -> None:
    monkeypatch.setattr(reading, "_BACKWARD_BYTES", frames_held * 64 * 64 * 3)
    whole = list(read_frames(counted_path))
    for first, last, only in ((0, 39, None), (5, 27, None), (0, 39, {whole[n].pts for n in (2, 13, 14, 38)})):
        lo, hi = whole[first].pts, whole[last].pts + 1
        forward = list(read_frames(counted_path, lo, hi, only))
        backward = list(read_frames_backward(counted_path, lo, hi, only))
        assert [frame.pts for frame in backward] == [frame.pts for frame in reversed(forward)]
        pairs = zip(backward, reversed(forward), strict=True)
        assert all(np.array_equal(a.image, b.image) for a, b in pairs)


def test_the_displayed_frame_at_a_time() -> None:
    index = FrameIndex((0, 10, 25), (0,))
    assert [index.frame_at(p) for p in (-5, 0, 9, 10, 24, 25, 99)] == [0, 0, 0, 10, 10, 25, 25]


# Reading: shape and colour


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_clips_are_upright(tmp_path: Path, degrees: int) -> None:
    frames, _ = subject_over_background(2, 160, 90)
    path = write_clip(tmp_path / "turned.mp4", frames, rotation=degrees)
    image = next(read_frames(path)).image
    assert error(image, np.rot90(frames[0], -degrees // 90)) < 3
    clip = probe_clip(path)
    assert (clip.height, clip.width) == image.shape[:2]


@pytest.mark.parametrize(
    ("matrix", "truth"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
    ],
)
def test_mirrored_clips_are_upright(tmp_path: Path, matrix: tuple[int, ...], truth: Any) -> None:
    frames, _ = subject_over_background(1, 160, 90)
    path = write_clip(tmp_path / "mirrored.mp4", frames, rotation=90)
    # The display matrix in the track header: three rows of three, the last column in 2.30.
    a, b, c, d = (value * 65536 for value in matrix)
    new = np.array([a, b, 0, c, d, 0, 0, 0, 2**30], ">i4").tobytes()
    data = path.read_bytes()
    old = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    path.write_bytes(data[:old] + new + data[old + 36 :])
    assert error(next(read_frames(path)).image, truth(frames[0])) < 3


@pytest.mark.parametrize(("ratio", "width"), [(Fraction(4, 3), 213), (Fraction(1, 2), 80)])
def test_pixels_become_square(tmp_path: Path, ratio: Fraction, width: int) -> None:
    frames, _ = subject_over_background(1, 160, 90)
    path = write_clip(tmp_path / "wide.mp4", frames, sample_aspect_ratio=ratio)
    clip = probe_clip(path)
    assert (clip.width, clip.height) == (width, 90)
    image = next(read_frames(path)).image
    assert image.shape == (90, width, 3)
    assert np.abs(image.mean((0, 1)) - frames[0].mean((0, 1))).max() < 2


def test_a_rotated_clip_with_non_square_pixels(tmp_path: Path) -> None:
    frames, _ = subject_over_background(1, 160, 90)
    path = write_clip(tmp_path / "both.mp4", frames, sample_aspect_ratio=Fraction(4, 3), rotation=90)
    clip = probe_clip(path)
    assert (clip.width, clip.height) == (90, 213)
    assert next(read_frames(path)).image.shape == (213, 90, 3)


GREY, RED, SKIN = (128, 128, 128), (220, 30, 30), (224, 172, 140)
WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}


def planes(colour: Sequence[int], matrix: str, full: bool) -> list[int]:
    """Y, Cb, Cr of a colour by the equations of the standard itself."""
    red, green, blue = (value / 255 for value in colour)
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    if full:
        return [round(255 * luma), round(128 + 255 * cb), round(128 + 255 * cr)]
    return [round(16 + 219 * luma), round(128 + 224 * cb), round(128 + 224 * cr)]


def patches(path: Path, matrix: str, full: bool, width: int, height: int, tagged: bool) -> Path:
    """A clip with three patches whose YUV values are known, without a conversion by anybody."""
    raw = path.with_suffix(".yuv")
    third = width // 6
    with raw.open("wb") as file:
        for plane, size in ((0, 1), (1, 2), (2, 2)):
            row = np.zeros(width // size, np.uint8)
            for n, colour in enumerate((GREY, RED, SKIN)):
                row[n * third * 2 // size :] = planes(colour, matrix, full)[plane]
            file.write(np.tile(row, (height // size, 1)).tobytes())
    size_ = ("-s", f"{width}x{height}", "-pix_fmt", "yuv420p")
    tags = ("-colorspace", matrix, "-color_range", "pc" if full else "tv") if tagged else ()
    ffmpeg("-f", "rawvideo", *size_, "-i", raw, "-c:v", "libx264", "-qp", "0", *tags, path)
    return path


def seen(path: Path) -> np.ndarray:
    image = next(read_frames(path)).image
    height, width = image.shape[:2]
    return np.stack([image[height // 2, width // 6 * (2 * n + 1)] for n in range(3)])


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_read_by_the_matrix_and_range_that_the_file_names(
    tmp_path: Path, matrix: str, full: bool
) -> None:
    path = patches(tmp_path / "patches.mp4", matrix, full, 192, 64, tagged=True)
    assert ffprobe.stream(path)["color_space"] == matrix
    assert np.abs(seen(path).astype(int) - [GREY, RED, SKIN]).max() <= 3


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [(192, 64, "smpte170m"), (720, 576, "smpte170m"), (1280, 544, "bt709"), (720, 1280, "bt709")],
)
def test_untagged_colours_depend_on_the_size(tmp_path: Path, width: int, height: int, matrix: str) -> None:
    path = patches(tmp_path / "patches.mp4", matrix, False, width, height, tagged=False)
    assert "color_space" not in ffprobe.stream(path)
    assert np.abs(seen(path).astype(int) - [GREY, RED, SKIN]).max() <= 3


def test_rgb_and_grey_files_are_full_range(tmp_path: Path) -> None:
    frames, _ = subject_over_background(1, 160, 90)
    path = write_clip(tmp_path / "rgb.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    assert np.array_equal(next(read_frames(path)).image, frames[0])


def test_a_stream_of_changing_size_gets_its_prevailing_size(tmp_path: Path) -> None:
    small, _ = subject_over_background(8, 160, 90)
    large, _ = subject_over_background(4, 320, 180)
    a = write_clip(tmp_path / "a.ts", small, pts=range(8), time_base=Fraction(1, 25))
    b = write_clip(tmp_path / "b.ts", large, pts=range(8, 12), time_base=Fraction(1, 25))
    path = tmp_path / "both.ts"
    path.write_bytes(a.read_bytes() + b.read_bytes())
    images = [frame.image for frame in read_frames(path)]
    assert len(images) > 8
    assert {image.shape for image in images} == {(90, 160, 3)}


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("turned_round", [False, True])
def test_a_stream_that_grows_beyond_the_bound_is_refused_where_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, turned_round: bool
) -> None:
    """The bound of the process that reads it; what comes before is given, and the first size was admitted."""
    small, _ = subject_over_background(16, 160, 90)
    large, _ = subject_over_background(8, 320, 180)
    parts = [
        write_clip(
            tmp_path / f"{first}.ts",
            frames,
            pts=range(first, first + len(frames)),
            time_base=Fraction(1, 25),
            codec=codec,
        )
        for first, frames in ((0, small), (16, large))
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(list(read_frames(path))) > 16
    for most in (1000, 160 * 90, 160 * 90 * 3):
        monkeypatch.setattr(limits, "_pixels", most)
        pts = load_index(path).pts
        with pytest.raises(VideoError, match=r"^both\.ts: its pictures grow to 320 × 180 on the way"):
            list(read_frames_backward(path, 0, pts[-1] + 1) if turned_round else read_frames(path))
        assert next(read_frames(path)).image.shape == (90, 160, 3)
        assert len(list(read_frames(parts[0]))) >= 15
    monkeypatch.setattr(limits, "_pixels", 320 * 180)
    assert len(list(read_frames(path))) > 16


def test_a_worker_refuses_videos_beyond_its_limit(tmp_path: Path) -> None:
    with Worker(Bounded, limits=Limits(pixels=1234)) as worker, Worker(Bounded) as free:
        assert worker.call(Bounded.most) == 1234 and free.call(Bounded.most) is None


class Bounded:
    def most(self) -> int | None:
        return limits.max_pixels()


def test_a_file_name_with_a_colon_is_not_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", numbered(2)).rename("10:30.mp4")
    assert probe_clip(Path("10:30.mp4")).frames == 2


# Reading: what may be opened


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.3gp", ("-c:v", "h263", "-s", "352x288")),
        ("clip.apng", ()),
        ("clip.asf", ("-c:v", "wmv2")),
        ("clip.dv", ("-s", "720x576", "-r", "25", "-pix_fmt", "yuv420p")),
        ("clip.flv", ("-c:v", "libx264")),
        ("clip.gif", ()),
        ("clip.m2ts", ("-c:v", "libx264")),
        ("clip.m4v", ("-c:v", "mpeg4")),
        ("clip.mov", ("-c:v", "prores")),
        ("clip.mpg", ("-c:v", "mpeg1video")),
        ("clip.mxf", ("-c:v", "mpeg2video")),
        ("clip.nut", ("-c:v", "libx264")),
        ("clip.ogv", ("-c:v", "libtheora")),
        ("clip.vob", ("-c:v", "mpeg2video")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_containers_are_supported(tmp_path: Path, clip_path: Path, name: str, options: Sequence[str]) -> None:
    path = tmp_path / name
    ffmpeg("-i", clip_path, "-an", *options, path)
    assert len(list(read_frames(path))) == probe_clip(path).frames == decoded(path) > 20


MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="1" bandwidth="1"><BaseURL>other.ts</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>"
)
M3U8 = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nother.ts\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", M3U8),
        ("list.mp4", M3U8),
        ("list.mp4", "ffconcat version 1.0\nfile other.ts\n"),
        ("list.mpd", MPD),
        ("%05d.png", "a pattern for pictures"),
    ],
)
def test_playlists_do_not_open_other_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    others = [tmp_path / "other.ts", tmp_path / "00001.png"]
    opened: list[Path] = []

    def watch(pipe: Path) -> None:
        with pipe.open("wb"):  # waits until somebody opens it for reading
            opened.append(pipe)

    threads = [Thread(target=watch, args=(other,), daemon=True) for other in others]
    for other, thread in zip(others, threads, strict=True):
        os.mkfifo(other)
        thread.start()
    with pytest.raises(VideoError, match="cannot be read as a video"):
        probe_clip(path)
    assert not opened
    for other, thread in zip(others, threads, strict=True):
        with other.open("rb"):
            thread.join()


# Reading: what is damaged


def test_a_damaged_packet_affects_no_other_frame(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "crf": "12", "g": "1"}
    path = write_clip(tmp_path / "hurt.mp4", numbered(10), options=options)
    packets = ffprobe._output("ffprobe", "-show_entries", "packet=pos,size", "-of", "csv=p=0", path)
    size, position = (int(field) for field in packets.decode().splitlines()[4].split(",")[:2])
    data = bytearray(path.read_bytes())
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    assert [number(frame.image) for frame in read_frames(path)] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert probe_clip(path).frames == 10


def test_a_slightly_truncated_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", numbered(100))
    ffmpeg("-i", path, "-c", "copy", "-movflags", "+faststart", tmp_path / "fast.mp4")
    packets = ffprobe._output(
        "ffprobe", "-show_entries", "packet=pos", "-of", "csv=p=0", tmp_path / "fast.mp4"
    )
    last = max(int(line.split(",")[0]) for line in packets.decode().split())
    os.truncate(tmp_path / "fast.mp4", last)
    clip = probe_clip(tmp_path / "fast.mp4")
    assert clip.frames == 99
    assert len(list(read_frames(tmp_path / "fast.mp4"))) >= 97
