"""The helpers that other tests trust are themselves checked, each against the other's program."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests import ffprobe
from tests.rendered import click_track, subject_over_background, write_clip


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference, in steps of 8 bits."""
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def test_rendered_subjects_are_soft_moving_and_deterministic() -> None:
    frames, alphas = subject_over_background(12, 320, 180)
    again, _ = subject_over_background(3, 320, 180)
    assert frames[0].shape == (180, 320, 3) and alphas[0].shape == (180, 320)
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=False))
    assert error(alphas[0], alphas[-1]) > 5
    share = np.stack(alphas) / 255
    assert 0.15 < share.mean() < 0.5
    assert 0.01 < np.mean((share > 0.05) & (share < 0.95)) < 0.1


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "limit"),
    [
        ("clip.mp4", "libx264", "yuv420p", 2),
        ("clip.mov", "prores_ks", "yuv422p10le", 2),
        ("clip.webm", "libvpx-vp9", "yuv420p", 2.5),
        ("clip.avi", "libx264", "yuv420p", 2),
        ("clip.mkv", "ffv1", "bgr0", 0),
    ],
)
def test_written_frames_are_read_back(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, limit: float
) -> None:
    frames, _ = subject_over_background(6, 320, 180)
    path = write_clip(tmp_path / name, frames, codec=codec, pix_fmt=pix_fmt, sound=True)
    read = ffprobe.frames(path)
    assert read.shape == (6, 180, 320, 3)
    assert error(read, np.stack(frames)) <= limit
    # A cast of the whole picture would betray a conversion by the wrong matrix or range.
    assert np.abs(read.mean((0, 1, 2)) - np.stack(frames).mean((0, 1, 2))).max() < 1
    assert ffprobe.sound_duration(path) == pytest.approx(0.25, abs=0.03)
    if pix_fmt.startswith("yuv"):
        told = ffprobe.stream(path)
        assert (told["color_space"], told["color_range"]) == ("bt709", "tv")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_variable_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    frames, _ = subject_over_background(5, 160, 90)
    pts = [0, 40, 50, 170, 230]
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = write_clip(tmp_path / f"clip{suffix}", frames, pts=pts, time_base=Fraction(1, 1000), codec=codec)
    assert ffprobe.frame_times(path) == [Fraction(p, 1000) for p in pts]


def test_an_ntsc_rate_is_exact(tmp_path: Path) -> None:
    frames, _ = subject_over_background(5, 160, 90)
    rate = Fraction(30000, 1001)
    path = write_clip(tmp_path / "clip.mp4", frames, rate=rate)
    assert ffprobe.frame_times(path) == [n / rate for n in range(5)]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_clockwise(tmp_path: Path, degrees: int) -> None:
    frames, _ = subject_over_background(2, 160, 90)
    path = write_clip(tmp_path / "clip.mp4", frames, rotation=degrees)
    assert ffprobe.rotation(path) == degrees
    assert error(ffprobe.frames(path)[0], np.rot90(frames[0], -degrees // 90)) < 3


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("clip.webm", "libvpx-vp9", "yuva420p"), ("clip.mov", "prores_ks", "yuva444p10le")],
)
def test_alpha_is_read_back(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    frames, alphas = subject_over_background(3, 160, 90)
    rgba = [np.dstack(pair) for pair in zip(frames, alphas, strict=True)]
    path = write_clip(tmp_path / name, rgba, codec=codec, pix_fmt=pix_fmt)
    assert error(ffprobe.frames(path, "rgba")[..., 3], np.stack(alphas)) < 3


def test_non_square_pixels(tmp_path: Path) -> None:
    frames, _ = subject_over_background(2, 160, 90)
    path = write_clip(tmp_path / "clip.mp4", frames, sample_aspect_ratio=Fraction(4, 3))
    assert ffprobe.stream(path)["sample_aspect_ratio"] == "4:3"


def test_ten_bits_have_more_levels_than_eight(tmp_path: Path) -> None:
    levels = np.linspace(20000, 21000, 256).astype(np.uint16)
    ramp = np.broadcast_to(levels[None, :, None], (64, 256, 3)).copy()
    path = write_clip(tmp_path / "clip.mkv", [ramp], codec="ffv1", pix_fmt="yuv444p10le")
    read = ffprobe.frames(path, "rgb48le")[0]
    assert error(read, ramp) < 64
    assert len(np.unique(read[..., 1])) > 12  # eight bits would leave five


def test_sound_has_the_given_duration_and_start(tmp_path: Path) -> None:
    frames, _ = subject_over_background(24, 160, 90)
    path = write_clip(tmp_path / "clip.mkv", frames, sound=1.5)
    rate, samples = ffprobe.sound(path)
    assert rate == 48000 and samples.shape[1] == 2
    assert len(samples) / rate == pytest.approx(1.5, abs=0.05)
    loudness = np.abs(samples[: len(click_track(1.5))]).max(axis=1)
    clicks = np.flatnonzero(loudness > 0.5) / rate
    assert {round(float(moment), 1) for moment in clicks} == {0.0, 1.0}
