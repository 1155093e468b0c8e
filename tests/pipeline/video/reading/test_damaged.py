"""A damaged picture is left out and no other, however many threads decode."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from pipeline.video.reading.source import Source
from tests.pipeline.stand_in import number, numbered
from tests.rendered import write_clip

COUNT = 30
CODECS = {
    "libx264": {"preset": "veryfast", "crf": "12", "bf": "2", "g": "30"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=error:keyint=30", "crf": "12"},
}

Threads = Callable[[int], None]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Lets decoders use so many threads where they may use any number."""
    choose = Source._choose_stream

    def use(count: int) -> None:
        def chosen(source: Source) -> None:
            choose(source)
            if source.threaded:
                source.stream.thread_count = count

        monkeypatch.setattr(Source, "_choose_stream", chosen)

    return use


def damage(path: Path, place: int) -> None:
    """Say of the packet at `place`, in the order of decoding, that its first unit is larger than it is."""
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at = positions[place]
    assert at is not None
    data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)


@pytest.mark.parametrize("count", [1, 2, 4, 16])
@pytest.mark.parametrize("codec", CODECS)
def test_damage_near_the_end_loses_one_frame(
    tmp_path: Path, codec: str, count: int, threads: Threads
) -> None:
    threads(count)
    path = write_clip(tmp_path / "clip.mp4", numbered(COUNT), codec=codec, options=CODECS[codec])
    damage(path, -2)
    frames = [number(frame.image) for frame in read_frames(path)]
    assert frames == sorted(set(frames)) and len(frames) == COUNT - 1
    pts = load_index(path).pts
    part = read_frames(path, only=pts[-4:])
    assert [number(frame.image) for frame in part] == [n for n in range(COUNT - 4, COUNT) if n in frames]
    backward = [number(frame.image) for frame in read_frames_backward(path, 0, pts[-1] + 1)]
    assert backward == frames[::-1]


def test_a_short_clip_with_a_damaged_first_frame_is_read(tmp_path: Path, threads: Threads) -> None:
    threads(16)
    options = CODECS["libx264"] | {"g": "4", "bf": "0", "keyint_min": "4", "sc_threshold": "0"}
    path = write_clip(tmp_path / "clip.mp4", numbered(8), options=options)
    damage(path, 0)
    probe_clip(path)
    assert [number(frame.image) for frame in read_frames(path)][-4:] == [4, 5, 6, 7]
