"""The matte file."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import matte, video
from pipeline.errors import InputError, VideoError
from pipeline.matte import Kept
from tests import ffprobe
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip


def save(path: Path, clip_path: Path, first: int, count: int, key: str = "k") -> list[np.ndarray]:
    """Noise as mattes for `count` frames of the clip from the `first` on."""
    clip = video.probe(clip_path)
    pts = video.index(clip_path).pts[first : first + count]
    images = list(np.random.default_rng(5).integers(0, 256, (count, clip.height, clip.width), np.uint8))
    with matte.writer(path, clip, key=key, start=pts[0]) as writer:
        for image, moment in zip(images, pts, strict=True):
            writer.write(image, moment)
    return images


def test_it_is_lossless_and_says_what_it_was_made_from(counted_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    images = save(path, counted_path, 8, 20)
    assert np.array_equal(ffprobe.frames(path, "gray"), np.stack(images))
    assert ffprobe.stream(path)["codec_name"] == "ffv1"
    kept = Kept.open(path)
    assert (kept.key, kept.start, kept.count) == ("k", video.index(counted_path).pts[8], 20)
    assert kept.past(video.probe(counted_path)) == video.index(counted_path).pts[28]
    assert Kept.find(path, "k") == kept
    assert Kept.find(path, "another") is None
    assert Kept.find(tmp_path / "missing.mkv", "k") is None
    assert Kept.find(None, "k") is None


def test_frames_and_mattes_find_each_other(counted_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    images = save(path, counted_path, 8, 20)
    clip = video.probe(counted_path)
    found = list(Kept.open(path).pairs(clip))
    assert [number(frame.image) for frame, _ in found] == list(range(8, 28))
    assert all(np.array_equal(a, b) for (_, a), b in zip(found, images, strict=True))

    pts = video.index(counted_path).pts
    wanted = [pts[n] for n in (3, 8, 13, 27, 28)]
    some = list(Kept.open(path).only(clip, wanted))
    assert [number(frame.image) for frame, _ in some] == [8, 13, 27]
    assert all(np.array_equal(a, images[n]) for (_, a), n in zip(some, (0, 5, 19), strict=True))
    assert Kept.open(path).reaches(clip, wanted[1:4])
    assert not Kept.open(path).reaches(clip, wanted)


def test_a_matte_to_the_end_has_nothing_past_it(counted_path: Path, tmp_path: Path) -> None:
    save(tmp_path / "m.mkv", counted_path, 30, 10)
    assert Kept.open(tmp_path / "m.mkv").past(video.probe(counted_path)) is None


def test_the_matte_of_another_clip_is_refused(counted_path: Path, clip_path: Path, tmp_path: Path) -> None:
    save(tmp_path / "m.mkv", counted_path, 0, 20)
    with pytest.raises(InputError, match=r"m\.mkv: .*64 × 64"):
        list(Kept.open(tmp_path / "m.mkv").pairs(video.probe(clip_path)))
    short = write_clip(tmp_path / "short.mp4", numbered(5))
    with pytest.raises(InputError, match="20 pictures"):
        list(Kept.open(tmp_path / "m.mkv").pairs(video.probe(short)))


def test_any_grey_video_will_do(counted_path: Path, tmp_path: Path) -> None:
    mattes = write_clip(tmp_path / "hand.mp4", numbered(40))
    kept = Kept.open(mattes)
    assert (kept.key, kept.start) == ("", 0)
    assert len(list(kept.pairs(video.probe(counted_path)))) == 40


def test_what_is_no_matte(tmp_path: Path) -> None:
    (tmp_path / "m.mkv").write_bytes(b"nothing of the kind")
    with pytest.raises(VideoError):
        Kept.open(tmp_path / "m.mkv")
    assert Kept.find(tmp_path / "m.mkv", "k") is None
