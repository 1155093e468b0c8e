"""Frames of two fields become one picture each: no comb, and no time or frame lost or moved."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.reading.source import Source
from tests import ffprobe
from tests.pipeline.video.test_video import error, ffmpeg
from tests.rendered import write_clip

WIDTH, HEIGHT, FRAMES = 192, 128, 20


@pytest.fixture(scope="module")
def moments() -> list[np.ndarray]:
    """Fields of a camera, 50 a second, `[H, W]`: a texture that moves by six pixels from one to the next."""
    random = np.random.default_rng(3)
    wall = cv2.resize(
        random.random((24, 120), np.float32), (WIDTH * 3, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    wall = np.rint(wall.clip(0, 1) * 200 + 25).astype(np.uint8)
    return [wall[:, 3 * n : 3 * n + WIDTH] for n in range(2 * FRAMES)]


def interlaced(path: Path, moments: list[np.ndarray], top_first: bool, *options: str) -> Path:
    """The clip whose frame n holds the moments 2n and 2n + 1, each in every other line."""
    raw = path.with_suffix(".raw")
    with raw.open("wb") as file:
        for first, second in zip(moments[::2], moments[1::2], strict=True):
            frame = np.empty_like(first)
            frame[0::2], frame[1::2] = (
                (first[0::2], second[1::2]) if top_first else (second[0::2], first[1::2])
            )
            file.write(frame.tobytes())
            file.write(np.full(WIDTH * HEIGHT // 2, 128, np.uint8).tobytes())
    size = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25")
    order = f"setfield={'tff' if top_first else 'bff'}"
    ffmpeg(*size, "-i", raw, "-vf", order, *options, "-flags", "+ilme+ildct", path)
    return path


X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "8", "-g", "8")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "1", "-g", "8", "-bf", "2")


def luma(image: np.ndarray) -> np.ndarray:
    """The samples that became a grey picture, whose range was limited."""
    return 16 + image[..., 1].astype(np.float32) * 219 / 255


def comb(image: np.ndarray) -> float:
    """Measure how far lines differ from those next to them and agree with those after."""
    lines = image.astype(np.float32)
    return float(np.abs(2 * lines[2:-2] - lines[1:-3] - lines[3:-1]).mean())


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", X264),
        (".ts", X264),
        (".mkv", X264),
        (".mpg", MPEG2),
        (".mxf", MPEG2),
        (".mkv", ("-c:v", "ffv1")),
    ],
)
def test_an_interlaced_frame_shows_its_first_field(
    tmp_path: Path, moments: list[np.ndarray], top_first: bool, suffix: str, options: tuple[str, ...]
) -> None:
    path = interlaced(tmp_path / f"fields{suffix}", moments, top_first, *options)
    clip = probe_clip(path)
    assert clip.interlaced and clip.remarks == ("interlaced",) and clip.frames == FRAMES
    frames = list(read_frames(path))
    stored = ffprobe.frames(path, "gray")
    truth = np.stack(moments[::2])
    read = np.stack([luma(frame.image) for frame in frames])
    assert len(read) == len(stored) == FRAMES
    assert error(read, truth) < error(16 + stored.astype(np.float32) * 219 / 255, truth) / 3
    assert comb(read[5]) < 1.2 * comb(truth[5]) < comb(stored[5]) / 2
    times = [frame.pts * clip.time_base for frame in frames]
    assert all(abs(time - Fraction(n, 25)) <= Fraction(1, 1000) for n, time in enumerate(times))


@pytest.mark.parametrize(("suffix", "options"), [(".mp4", X264), (".ts", X264), (".mkv", ("-c:v", "ffv1"))])
def test_seeking_gives_the_same_pixels_as_sequential_decoding(
    tmp_path: Path, moments: list[np.ndarray], suffix: str, options: tuple[str, ...]
) -> None:
    path = interlaced(tmp_path / f"fields{suffix}", moments, True, *options)
    whole = list(read_frames(path))
    assert len(load_index(path).keyframes) > 1
    for chosen in ([0], [8], [19], [7, 8, 16], [3, 17], list(range(20))):
        frames = list(read_frames(path, only=[whole[n].pts for n in chosen]))
        assert [frame.pts for frame in frames] == [whole[n].pts for n in chosen]
        assert all(np.array_equal(f.image, whole[n].image) for f, n in zip(frames, chosen, strict=True))
    backward = list(read_frames_backward(path, 0, whole[-1].pts + 1))
    pairs = zip(backward, reversed(whole), strict=True)
    assert all(a.pts == b.pts and np.array_equal(a.image, b.image) for a, b in pairs)


def test_a_damaged_frame_affects_no_other(tmp_path: Path, moments: list[np.ndarray]) -> None:
    path = interlaced(tmp_path / "hurt.mkv", moments, True, "-c:v", "mpeg2video", "-q:v", "2", "-g", "1")
    before = list(read_frames(path))
    entries = ("-show_entries", "packet=pos,size", "-of", "csv=p=0")
    lines = ffprobe._output("ffprobe", *entries, path).decode().splitlines()
    size, position = (int(field) for field in lines[9].split(",")[:2])
    data = bytearray(path.read_bytes())
    data[position + 12 : position + size] = b"\xff" * (size - 12)
    path.write_bytes(data)
    after = list(read_frames(path))
    assert [frame.pts for frame in after if frame.pts != before[9].pts] == [
        frame.pts for n, frame in enumerate(before) if n != 9
    ]
    assert np.array_equal(after[5].image, before[5].image)
    assert np.array_equal(after[-3].image, before[-3].image)


def test_progressive_frames_among_interlaced_ones_are_unchanged(
    tmp_path: Path, moments: list[np.ndarray]
) -> None:
    fields = interlaced(tmp_path / "fields.ts", moments, True, *MPEG2)
    pictures = [np.repeat(m[..., None], 3, axis=2) for m in moments[:10]]
    options = {"g": "8", "qmin": "1", "qmax": "1"}
    whole = write_clip(tmp_path / "whole.ts", pictures, rate=25, codec="mpeg2video", options=options)
    plain = list(read_frames(whole))
    assert not probe_clip(whole).interlaced
    both = tmp_path / "both.ts"
    ffmpeg("-i", f"concat:{fields}|{whole}|{fields}", "-c", "copy", both)
    with Source(both) as source:
        flags, images = [], []
        for frame in source._decode_packets(source.packets(), None):
            flags.append(frame.interlaced_frame)
            images.append(source.to_image(frame, "rgb24"))
    frames = list(read_frames(both))
    assert len(frames) == len(flags) and 8 <= flags.count(False) <= 10 == len(plain)
    for read, flag, image in zip(frames, flags, images, strict=True):
        assert np.array_equal(read.image, image) != flag


def test_a_changing_frame_size(tmp_path: Path, moments: list[np.ndarray]) -> None:
    large = interlaced(tmp_path / "large.ts", moments, True, *MPEG2)
    small = tmp_path / "small.ts"
    ffmpeg("-i", large, "-vf", "crop=96:64:0:0", *MPEG2, "-flags", "+ilme+ildct", small)
    both = tmp_path / "both.ts"
    both.write_bytes(large.read_bytes() + small.read_bytes())
    images = [frame.image for frame in read_frames(both)]
    assert len(images) > FRAMES
    assert {image.shape for image in images} == {(HEIGHT, WIDTH, 3)}


@pytest.mark.parametrize("size", ["2x2", "3x5", "6x30", "16x16"])
def test_the_smallest_frames(tmp_path: Path, size: str) -> None:
    path = tmp_path / "tiny.mkv"
    fields = ("-vf", "setfield=tff,format=yuv444p", "-c:v", "ffv1", "-flags", "+ilme+ildct")
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=25:duration=0.2", *fields, path)
    assert probe_clip(path).interlaced
    assert len(list(read_frames(path))) == 5


def test_a_progressive_clip_is_not_filtered(tmp_path: Path, moments: list[np.ndarray]) -> None:
    pictures = [np.repeat(m[..., None], 3, axis=2) for m in moments[:6]]
    path = write_clip(tmp_path / "whole.mkv", pictures, codec="ffv1", pix_fmt="bgr0", rate=Fraction(25))
    assert not probe_clip(path).interlaced
    assert all(np.array_equal(f.image, p) for f, p in zip(read_frames(path), pictures, strict=True))
