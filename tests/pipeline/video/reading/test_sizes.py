"""A stream may change its size on the way: what leaves is as large as most of it, and nothing is squeezed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests.hearing import ffmpeg
from tests.rendered import write_clip

CODECS = {
    "libvpx": (".webm", {"deadline": "realtime", "cpu-used": "8", "b": "1M"}),
    "libvpx-vp9": (".webm", {"deadline": "realtime", "cpu-used": "8", "b": "1M"}),
    "libx264": (".ts", {"preset": "veryfast", "crf": "12", "bf": "0"}),
    "mpeg2video": (".ts", {"b": "4M", "bf": "0"}),
}


def turned(path: Path, codec: str, parts: Sequence[tuple[int, int, int]]) -> Path:
    """White pictures, so many of each width and height, one stream behind the other."""
    options = CODECS[codec][1]
    made = []
    for n, (width, height, count) in enumerate(parts):
        part = path.with_name(f"part{n}{path.suffix}")
        frames = [np.full((height, width, 3), 255, np.uint8)] * count
        made.append(write_clip(part, frames, rate=25, codec=codec, options=options))
    if path.suffix == ".ts":
        path.write_bytes(b"".join(part.read_bytes() for part in made))
        return path
    listed = path.with_name("list.txt")
    listed.write_text("".join(f"file {part.name}\n" for part in made))
    ffmpeg("-f", "concat", "-i", listed, "-c", "copy", path)
    return path


@pytest.mark.parametrize("codec", CODECS)
def test_the_size_is_the_prevailing_one(codec: str, tmp_path: Path) -> None:
    path = turned(tmp_path / f"clip{CODECS[codec][0]}", codec, [(64, 128, 5), (128, 64, 10)])
    clip = probe_clip(path)
    assert (clip.width, clip.height) == (128, 64)
    frames = [frame.image for frame in read_frames(path)]
    assert {frame.shape for frame in frames} == {(64, 128, 3)}
    upright, wide = frames[2], frames[-1]
    assert wide.min() > 240
    assert upright[:, 50:78].min() > 200 and upright[:, :46].max() < 20 and upright[:, 82:].max() < 20
    grey = next(iter(read_frames(path, pixel_format="gray"))).image
    assert grey.shape == (64, 128) and grey[:, :46].max() < 20


def test_a_growing_stream_has_its_prevailing_size(tmp_path: Path) -> None:
    path = turned(tmp_path / "clip.webm", "libvpx", [(64, 32, 4), (96, 48, 4), (128, 64, 12)])
    assert (probe_clip(path).width, probe_clip(path).height) == (128, 64)
    assert min(frame.image.min() for frame in read_frames(path)) > 230
