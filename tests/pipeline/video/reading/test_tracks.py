"""Choice of the track of a file that is its film."""

import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import VideoError
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip

THUMB = ["-f", "lavfi", "-i", "color=gray:s=96x64:r=1:d=1"]
FILM = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1"]
LARGE = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=1"]
SOUND = ["-f", "lavfi", "-i", "sine=440:d=1"]


def ffmpeg(path: Path, *words: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words, path], check=True)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut", ".avi"])
@pytest.mark.parametrize("codec", ["mjpeg", "png"])
def test_a_single_image_beside_a_video_stream_is_not_chosen(tmp_path: Path, suffix: str, codec: str) -> None:
    path = ffmpeg(
        tmp_path / f"a{suffix}", *THUMB, *FILM, *SOUND, "-map", "0", "-map", "1", "-map", "2",
        "-c:v:0", codec, "-c:v:1", "mpeg4", "-c:a", "aac", "-disposition:v:0", "default",
    )  # fmt: skip
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames) == (64, 48, 25)
    assert len(list(read_frames(path))) == 25


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi"])
def test_the_largest_video_stream_is_chosen_by_default(tmp_path: Path, suffix: str) -> None:
    words = (*FILM, *LARGE, "-map", "0", "-map", "1", "-c:v", "mpeg2video", "-disposition:v:0", "0")
    assert probe_clip(ffmpeg(tmp_path / f"a{suffix}", *words)).width == 128


def test_the_default_video_stream_is_preferred_to_a_larger_one(tmp_path: Path) -> None:
    words = (*LARGE, *FILM, "-map", "0", "-map", "1", "-c:v", "mpeg4")
    path = ffmpeg(tmp_path / "a.mkv", *words, "-disposition:v:0", "0", "-disposition:v:1", "default")
    assert probe_clip(path).width == 64


def test_a_single_image_stream_is_used_if_there_is_no_other(tmp_path: Path) -> None:
    path = ffmpeg(tmp_path / "a.mkv", *THUMB, "-c:v", "mpeg4", "-frames:v", "1")
    assert probe_clip(path).width == 96
    cover = ffmpeg(tmp_path / "a.mp4", *SOUND, *THUMB, "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    with pytest.raises(VideoError, match=r"a\.mp4: the file holds sound only"):
        probe_clip(cover)


def test_the_animation_of_an_avif_is_chosen_and_not_its_cover(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (64, 48), (40 * n, 0, 0)) for n in range(4)]
    pictures[0].save(tmp_path / "a.avif", save_all=True, append_images=pictures[1:], duration=100)
    assert probe_clip(tmp_path / "a.avif").frames == 4
