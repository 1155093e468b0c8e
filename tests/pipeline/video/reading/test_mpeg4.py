"""MPEG-4 as DivX and Xvid put it into AVI: two pictures in a packet, packets that only repeat a picture."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet

from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.stand_in import number, numbered
from tests.pipeline.video.reading.test_frame_index import check
from tests.rendered import write_clip

COUNT = 30
# P-VOP, no second since the one before, marker, 5 bits of time, marker, vop_coded 0, stuffing.
NOTHING = b"\0\0\1\xb6\x50\x4f"
# user_data, by which decoders know that pictures are packed.
SAID = b"\0\0\1\xb2DivX503b1393p\0"


def coded(path: Path, reordered: bool) -> Path:
    options = {"bf": "1" if reordered else "0", "g": "10", "q": "2", "sc_threshold": "1000000000"}
    return write_clip(path, numbered(COUNT), rate=Fraction(25), codec="mpeg4", options=options)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def coding(data: bytes) -> int:
    """vop_coding_type: 0 for I, 1 for P, 2 for B."""
    return data[data.index(b"\0\0\1\xb6") + 4] >> 6


def remuxed(path: Path, like: Path, payloads: list[bytes]) -> Path:
    """The packets, one for each picture's length, as a container of their own."""
    with av.open(str(like)) as template, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(template.streams.video[0])
        for n, data in enumerate(payloads):
            packet = Packet(data)
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 25), 1
            packet.pts = packet.dts = n
            packet.is_keyframe = data != NOTHING and coding(data) == 0
            out.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_packed_b_frames_are_unpacked(tmp_path: Path, suffix: str) -> None:
    like = coded(tmp_path / "plain.avi", reordered=True)
    packed: list[bytes] = []
    for data in packets(like):
        if coding(data) == 2:
            packed[-1] += data
            packed.append(NOTHING)
        else:
            packed.append(data)
    packed[0] = packed[0].replace(b"\0\0\1\xb6", SAID + b"\0\0\1\xb6", 1)
    assert len(packed) == COUNT and NOTHING in packed
    path = remuxed(tmp_path / f"packed{suffix}", like, packed)
    index = check(path, range(COUNT))
    assert [pts * index.tick for pts in index.pts] == [n * Fraction(1, 25) for n in range(COUNT)]
    assert probe_clip(path).frames == COUNT


def test_a_repeated_frame_is_not_decoded_twice(tmp_path: Path) -> None:
    like = coded(tmp_path / "plain.avi", reordered=False)
    payloads = packets(like)
    path = remuxed(tmp_path / "idle.avi", like, [*payloads[:20], NOTHING, NOTHING, *payloads[20:]])
    index = load_index(path)
    assert len(index.pts) == probe_clip(path).frames == COUNT
    assert [number(frame.image) for frame in read_frames(path)] == list(range(COUNT))
    assert (index.pts[20] - index.pts[19]) * index.tick == Fraction(3, 25)


@pytest.mark.parametrize("reordered", [False, True])
def test_very_small_frames_are_not_dropped(tmp_path: Path, reordered: bool) -> None:
    options = {"bf": "1" if reordered else "0", "g": "100", "q": "5"}
    frames = [numbered(1)[0]] * COUNT
    path = write_clip(tmp_path / "still.avi", frames, rate=Fraction(25), codec="mpeg4", options=options)
    assert min(map(len, packets(path))) < 20
    assert len(load_index(path).pts) == len(list(read_frames(path))) == COUNT
