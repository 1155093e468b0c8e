"""The matte file."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import matte
from pipeline.errors import InputError, VideoError
from pipeline.matte import MatteFile
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip


def save(path: Path, clip_path: Path, first: int, count: int, key: str = "k") -> list[np.ndarray]:
    """Noise as mattes for `count` frames of the clip from the `first` on."""
    clip = probe_clip(clip_path)
    pts = load_index(clip_path).pts[first : first + count]
    images = list(np.random.default_rng(5).integers(0, 256, (count, clip.height, clip.width), np.uint8))
    with matte.create_writer(path, clip, key=key, start=pts[0]) as writer:
        for image, moment in zip(images, pts, strict=True):
            writer.write(image, moment)
    return images


def test_a_matte_file_is_lossless_and_has_its_tags(counted_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    images = save(path, counted_path, 8, 20)
    assert np.array_equal(ffprobe.frames(path, "gray"), np.stack(images))
    assert ffprobe.stream(path)["codec_name"] == "ffv1"
    kept = MatteFile.open(path)
    assert (kept.key, kept.start, kept.frame_count) == ("k", load_index(counted_path).pts[8], 20)
    assert kept.pts_range(probe_clip(counted_path))[1] == load_index(counted_path).pts[28]
    assert MatteFile.find(path, "k") == kept
    assert MatteFile.find(path, "another") is None
    assert MatteFile.find(tmp_path / "missing.mkv", "k") is None
    assert MatteFile.find(None, "k") is None


def test_frames_and_mattes_are_matched_by_time(counted_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.mkv"
    images = save(path, counted_path, 8, 20)
    clip = probe_clip(counted_path)
    pairs = list(MatteFile.open(path).read(clip))
    assert [number(frame.image) for frame, _ in pairs] == list(range(8, 28))
    assert all(np.array_equal(a, b) for (_, a), b in zip(pairs, images, strict=True))

    pts = load_index(counted_path).pts
    wanted = [pts[n] for n in (3, 8, 13, 27, 28)]
    some = list(MatteFile.open(path).read_at(clip, wanted))
    assert [number(frame.image) for frame, _ in some] == [8, 13, 27]
    assert all(np.array_equal(a, images[n]) for (_, a), n in zip(some, (0, 5, 19), strict=True))
    assert MatteFile.open(path).covers_frames(clip, wanted[1:4])
    assert not MatteFile.open(path).covers_frames(clip, wanted)


def without(path: Path, source: Path, lost: set[int]) -> Path:
    """The file again, less some of its pictures, each at the time it had."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        new.metadata.update(old.metadata)
        for n, packet in enumerate(old.demux(old.streams.video[0])):
            if packet.size and n not in lost:
                packet.stream = stream
                new.mux(packet)
    return path


@pytest.mark.parametrize("lost", [{0}, {19}, {7}, {0, 1, 2, 9, 10, 18}])
def test_a_missing_frame_shifts_no_other(counted_path: Path, tmp_path: Path, lost: set[int]) -> None:
    images = save(tmp_path / "whole.mkv", counted_path, 8, 20)
    kept = MatteFile.open(without(tmp_path / "m.mkv", tmp_path / "whole.mkv", lost))
    assert (kept.key, kept.frame_count) == ("k", 20 - len(lost))
    clip = probe_clip(counted_path)
    pts = load_index(counted_path).pts
    left = [n for n in range(20) if n not in lost]
    for pairs in (list(kept.read(clip)), list(kept.read_at(clip, list(pts)))):
        assert [number(frame.image) - 8 for frame, _ in pairs] == left
        assert all(np.array_equal(a, images[n]) for (_, a), n in zip(pairs, left, strict=True))
    assert kept.covers_frames(clip, [pts[n + 8] for n in left])
    assert not any(kept.covers_frames(clip, [pts[n + 8]]) for n in lost)
    assert kept.pts_range(clip)[1] == pts[left[-1] + 9]


def test_an_undecodable_frame_shifts_no_other(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "crf": "12", "g": "1"}
    path = write_clip(tmp_path / "clip.mp4", numbered(10), options=options)
    images = save(tmp_path / "m.mkv", path, 0, 10)
    packets = ffprobe._output("ffprobe", "-show_entries", "packet=pos,size", "-of", "csv=p=0", path)
    size, position = (int(field) for field in packets.decode().splitlines()[4].split(",")[:2])
    data = bytearray(path.read_bytes())
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    clip, kept = probe_clip(path), MatteFile.open(tmp_path / "m.mkv")
    for pairs in (list(kept.read(clip)), list(kept.read_at(clip, list(load_index(path).pts)))):
        assert [number(frame.image) for frame, _ in pairs] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        assert all(np.array_equal(a, images[number(frame.image)]) for frame, a in pairs)


@pytest.mark.parametrize(
    ("tick", "pts"),
    [
        (Fraction(1001, 60000), list(range(12))),
        (Fraction(1, 90000), [n * 750 + n % 2 for n in range(12)]),  # 120 frames a second
        (Fraction(1, 1000), [0, 40, 50, 170, 230, 231, 400, 700, 701, 702, 1000, 3000]),
    ],
)
def test_mattes_of_any_frame_rate(tmp_path: Path, tick: Fraction, pts: list[int]) -> None:
    path = write_clip(tmp_path / "clip.mp4", numbered(12), pts=pts, time_base=tick)
    images = save(tmp_path / "whole.mkv", path, 0, 12)
    clip = probe_clip(path)
    for lost in (set(), {0}, {5}, {2, 8, 10}):
        kept = MatteFile.open(without(tmp_path / "m.mkv", tmp_path / "whole.mkv", lost))
        pairs = list(kept.read(clip))
        assert [number(frame.image) for frame, _ in pairs] == [n for n in range(12) if n not in lost]
        assert all(np.array_equal(a, images[number(frame.image)]) for frame, a in pairs)


def test_the_pts_range_of_a_matte_file(counted_path: Path, tmp_path: Path) -> None:
    save(tmp_path / "m.mkv", counted_path, 30, 10)
    times = load_index(counted_path).pts
    kept = MatteFile.open(tmp_path / "m.mkv")
    assert kept.pts_range(probe_clip(counted_path)) == (times[30], times[-1] + 1)


def test_a_matte_covers_the_ranges_inside_its_own(counted_path: Path, tmp_path: Path) -> None:
    times = load_index(counted_path).pts
    clip = probe_clip(counted_path)
    with matte.create_writer(tmp_path / "m.mkv", clip, start=times[10], past=times[30]) as writer:
        for pts in times[10:30]:
            writer.write(np.zeros((clip.height, clip.width), np.uint8), pts)
    kept = MatteFile.open(tmp_path / "m.mkv")
    assert kept.covers(times[10], times[30]) and kept.covers(times[12], times[13])
    assert not kept.covers(times[9], times[30]) and not kept.covers(times[10], times[31])
    inside = [number(frame.image) for frame, _ in kept.read(clip, (times[12], times[15]))]
    assert inside == [12, 13, 14]


def test_the_matte_of_another_clip_is_refused(counted_path: Path, clip_path: Path, tmp_path: Path) -> None:
    save(tmp_path / "m.mkv", counted_path, 0, 20)
    with pytest.raises(InputError, match=r"m\.mkv: .*64 × 64"):
        list(MatteFile.open(tmp_path / "m.mkv").read(probe_clip(clip_path)))
    short = write_clip(tmp_path / "short.mp4", numbered(5))
    with pytest.raises(InputError, match="20 pictures"):
        list(MatteFile.open(tmp_path / "m.mkv").read(probe_clip(short)))


def test_any_grey_video_is_accepted_as_a_matte(counted_path: Path, tmp_path: Path) -> None:
    mattes = write_clip(tmp_path / "hand.mp4", numbered(40))
    kept = MatteFile.open(mattes)
    assert (kept.key, kept.start) == ("", 0)
    assert len(list(kept.read(probe_clip(counted_path)))) == 40  # as many, at another rate


def test_a_shorter_grey_video_is_matched_by_time(counted_path: Path, tmp_path: Path) -> None:
    rate = Fraction(19990, 1000)
    images = [np.full((64, 64, 3), 6 * n, np.uint8) for n in range(30)]
    whole = write_clip(tmp_path / "whole.mp4", images, rate=rate, options={"crf": "8", "g": "1"})
    kept = MatteFile.open(without(tmp_path / "hand.mp4", whole, {11}))
    pairs = list(kept.read(probe_clip(counted_path)))
    assert [number(frame.image) for frame, _ in pairs] == [n for n in range(30) if n != 11]
    assert all(abs(int(a.mean()) - 6 * number(frame.image)) <= 2 for frame, a in pairs)


def test_a_file_that_is_no_matte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.mkv").write_bytes(b"nothing of the kind")
    with pytest.raises(VideoError):
        MatteFile.open(tmp_path / "m.mkv")
    assert MatteFile.find(tmp_path / "m.mkv", "k") is None
