"""The sound of a video as a file for players, judged by the ffmpeg and ffprobe programs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunError, VideoError
from pipeline.video.audio.audio_file import write_audio
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.hearing import ffmpeg, hear, write_wav

RATE, FRAMES = 25, 75
CLICK = 30
"""The frame with whose beginning the click is heard."""
CLICK_SECONDS = CLICK / RATE
EXACT = 0.003


def clip_with_click(
    path: Path, *options: object, rate: int = 48_000, channels: int = 2, offset: float = 0, seconds: float = 3
) -> Path:
    """Write a clip of `FRAMES` with a click at frame `CLICK`; its sound starts `offset` seconds late."""
    samples = np.zeros((round((seconds - offset) * rate), channels))
    at = round((CLICK_SECONDS - offset) * rate)
    samples[at : at + rate // 100] = 0.9
    wav = write_wav(path.with_suffix(".wav"), samples, rate)
    picture = ("-f", "lavfi", "-i", f"testsrc=s=64x48:r={RATE}:d={FRAMES / RATE}")
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p", *options)
    ffmpeg(*picture, "-itsoffset", offset, "-i", wav, *coded, path)
    return path


def samples_of(path: Path) -> tuple[np.ndarray, int]:
    """Decode a file as a player does: samples `[n, channels]`, and how many there are in a second."""
    (stream,) = ffprobe.probe(path)["streams"]
    raw = ffprobe._output("ffmpeg", "-i", path, "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, stream["channels"]), int(stream["sample_rate"])


def click_time(samples: np.ndarray, rate: int) -> float:
    """Return when the click begins, in seconds."""
    return float(np.flatnonzero(np.abs(samples).max(1) > 0.3)[0]) / rate


def frame_time(source: Path, number: int) -> float:
    """Return when a frame is shown, in seconds from the first, as the page counts."""
    index = load_index(source)
    return float(index.pts[number] * index.tick)


def written(source: Path) -> Path:
    clip = probe_clip(source)
    write_audio(source, target := source.with_name("sound.m4a"), clip.length)
    return target


@pytest.mark.parametrize(
    ("name", "options", "rate", "channels"),
    [
        ("aac.mp4", ("-c:a", "aac"), 48_000, 2),
        ("mp3.mkv", ("-c:a", "libmp3lame"), 44_100, 1),
        ("opus.mkv", ("-c:a", "libopus"), 48_000, 2),
        ("surround.mkv", ("-c:a", "flac"), 96_000, 6),
    ],
)
def test_a_click_is_heard_at_its_frame(
    tmp_path: Path, name: str, options: tuple[str, ...], rate: int, channels: int
) -> None:
    source = clip_with_click(tmp_path / name, *options, rate=rate, channels=channels)
    samples, own_rate = samples_of(sound := written(source))
    # Matroska counts milliseconds, and FFmpeg begins with what an Opus decoder drops.
    assert click_time(samples, own_rate) == pytest.approx(
        CLICK_SECONDS, abs=0.008 if "opus" in name else EXACT
    )
    heard = hear(source)
    assert click_time(samples, own_rate) == pytest.approx(
        heard.begin + click_time(heard.samples, heard.rate), abs=EXACT
    )
    assert samples.shape[1] == min(channels, 2) and own_rate == min(rate, 48_000)
    (stream,) = ffprobe.probe(sound)["streams"]
    assert stream["codec_name"] == "aac"
    assert float(stream["start_time"]) == 0
    assert float(ffprobe.probe(sound)["format"]["duration"]) == pytest.approx(FRAMES / RATE, abs=0.03)


@pytest.mark.parametrize("offset", [0.5, 1.0])
def test_sound_that_starts_later_than_the_picture_is_preceded_by_silence(
    tmp_path: Path, offset: float
) -> None:
    samples, rate = samples_of(written(clip_with_click(tmp_path / "late.mp4", "-c:a", "aac", offset=offset)))
    assert click_time(samples, rate) == pytest.approx(CLICK_SECONDS, abs=EXACT)
    assert not np.abs(samples[: round((offset - 0.05) * rate)]).max() > 1e-3


def test_sound_that_starts_before_the_picture_is_heard_at_its_frame(tmp_path: Path) -> None:
    source = clip_with_click(tmp_path / "early.mkv", "-c:a", "flac", offset=-0.4)
    samples, rate = samples_of(written(source))
    assert frame_time(source, CLICK) == pytest.approx(
        CLICK_SECONDS + 0.4
    )  # the first frame is shown meanwhile
    assert click_time(samples, rate) == pytest.approx(frame_time(source, CLICK), abs=EXACT)


def test_sound_that_ends_early_goes_on_as_silence(tmp_path: Path) -> None:
    sound = written(clip_with_click(tmp_path / "short.mp4", "-c:a", "aac", seconds=1.6))
    samples, rate = samples_of(sound)
    assert len(samples) / rate == pytest.approx(FRAMES / RATE, abs=0.03)


def test_the_index_comes_first(tmp_path: Path) -> None:
    data = written(clip_with_click(tmp_path / "a.mp4", "-c:a", "aac")).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "silent.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc=s=64x48:r={RATE}:d=1", "-pix_fmt", "yuv420p", source)
    with pytest.raises(VideoError, match=r"^silent\.mp4: its sound could not be read\.$"):
        write_audio(source, tmp_path / "sound.m4a", Fraction(1))
    assert [path.name for path in tmp_path.glob("*sound*")] == []


def test_nothing_is_left_of_a_file_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip_with_click(tmp_path / "a.mp4", "-c:a", "aac")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.files.move_into_place", full)
    with pytest.raises(RunError, match="the disk is full"):
        write_audio(source, tmp_path / "sound.m4a", Fraction(3))
    assert not list(tmp_path.glob("*sound*"))
