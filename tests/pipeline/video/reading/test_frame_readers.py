"""Frames from readers that stay open: the same ones as by opening the video for each."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.errors import VideoError
from pipeline.video.reading import frame_readers
from pipeline.video.reading.frame_readers import FrameReaders
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.source import Source
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip
from tests.waiting import until

FRAMES = 60
REORDERED = {"preset": "veryfast", "crf": "12", "bf": "3", "b_adapt": "0", "g": "20", "sc_threshold": "0"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    return write_clip(folder / "a.mp4", numbered(FRAMES), options=REORDERED)


@pytest.fixture
def readers() -> Iterator[FrameReaders]:
    readers = FrameReaders(10**9)
    yield readers
    readers.close()
    assert readers.count == 0


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collect the files that are opened."""
    paths: list[Path] = []

    class Counted(Source):
        def __init__(self, path: Path) -> None:
            paths.append(path)
            super().__init__(path)

    monkeypatch.setattr(frame_readers, "Source", Counted)
    return paths


def read(readers: FrameReaders, video: Path, numbers: Sequence[int]) -> list[int]:
    pts = load_index(video).pts
    frames = [readers.read(video, pts[n]) for n in numbers]
    assert [frame and frame.pts for frame in frames] == [pts[n] for n in numbers]
    return [number(frame.image) for frame in frames if frame is not None]


@pytest.mark.parametrize(
    "numbers",
    [
        list(range(FRAMES)),
        list(range(FRAMES - 1, -1, -1)),
        list(range(0, FRAMES, 7)),
        [0, FRAMES - 1, 0, 30, 29, 31, 59, 58],
        random.Random(7).choices(range(FRAMES), k=80),
    ],
)
def test_frames_in_any_order_are_the_right_ones(
    readers: FrameReaders, video: Path, numbers: list[int]
) -> None:
    assert read(readers, video, numbers) == numbers


def test_frames_in_a_row_open_the_video_once(readers: FrameReaders, video: Path, opened: list[Path]) -> None:
    read(readers, video, [3, 4, 6, 5, 7, 10, 9, 8, 20, 19])
    assert opened == [video]


def test_frames_backwards_are_decoded_in_pieces(
    readers: FrameReaders, video: Path, opened: list[Path]
) -> None:
    read(readers, video, list(range(FRAMES - 1, -1, -1)))
    assert len(opened) <= 2 + FRAMES // 20 + 1, "once for each keyframe"


def test_who_plays_and_who_looks_elsewhere_have_a_reader_each(
    readers: FrameReaders, video: Path, opened: list[Path]
) -> None:
    mixed = [n for pair in zip(range(10), range(45, 55), strict=True) for n in pair]
    assert read(readers, video, mixed) == mixed
    assert len(opened) == readers.count == 2


def test_threads_that_share_a_reader_get_their_own_frames(readers: FrameReaders, video: Path) -> None:
    pts, wrong = load_index(video).pts, []

    def ask(first: int) -> None:
        for n in range(first, FRAMES, 4):
            frame = readers.read(video, pts[n])
            if frame is None or number(frame.image) != n:
                wrong.append(n)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_replaced_video_is_opened_again(readers: FrameReaders, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(8))
    assert read(readers, path, [2]) == [2]
    write_clip(path, numbered(30)[20:])
    assert read_image(readers, path, 2) == 22


def read_image(readers: FrameReaders, path: Path, place: int) -> int:
    frame = readers.read(path, load_index(path).pts[place])
    assert frame is not None
    return number(frame.image)


def test_readers_are_closed_when_nobody_asks(video: Path) -> None:
    readers = FrameReaders(10**9, idle_seconds=0.05)
    assert read(readers, video, [5]) == [5]
    until(lambda: readers.count == 0)
    assert read(readers, video, [6]) == [6]
    until(lambda: readers.count == 0)


def test_large_videos_have_fewer_readers(tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{n}.mp4", numbered(3)) for n in range(5)]
    with Source(paths[0]) as source:
        pixels = source.size[0] * source.size[1]
    readers = FrameReaders(2 * pixels)
    for path in paths:
        assert readers.read(path, 0) is not None
    assert readers.count <= 3
    many = FrameReaders(10**9)
    copies = [path.with_stem(f"{path.stem}-{n}") for n in range(3) for path in paths]
    for copy, path in zip(copies, paths * 3, strict=True):
        copy.write_bytes(path.read_bytes())
        assert many.read(copy, 0) is not None
    assert many.count == frame_readers._MAX_READERS
    readers.close()
    many.close()


def test_grey_frames_are_those_of_a_matte(readers: FrameReaders, video: Path) -> None:
    frame = readers.read(video, load_index(video).pts[3], "gray")
    assert frame is not None and frame.image.ndim == 2


def test_a_file_that_is_no_video_is_refused(readers: FrameReaders, video: Path, tmp_path: Path) -> None:
    load_index(video)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    with pytest.raises(VideoError):
        readers.read(broken, 0)
    with pytest.raises(FileNotFoundError):
        readers.read(tmp_path / "none.mp4", 0)
