"""Damaged videos of every kind are read or refused: no crash, no hang, no error that is not ours."""

import json
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.errors import VideoError
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

ROOT = Path(__file__).resolve().parents[2]
ODD = Path(os.environ.get("RECORTE_CLIPS", ROOT.parent / "shared" / "clips")) / "odd"
FILES = int(os.environ.get("RECORTE_MUTATED", "2000"))
WORKERS = 2
LARGEST_SEED = 40_000

KINDS: dict[str, tuple[str, ...]] = {
    "h264.mp4": ("-c:v", "libx264", "-bf", "2"),
    "fragments.mp4": ("-c:v", "libx264", "-movflags", "frag_every_frame+empty_moov"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-bf", "2"),
    "h264.avi": ("-c:v", "libx264", "-bf", "2"),
    "h264.mkv": ("-c:v", "libx264"),
    "ffv1.mkv": ("-c:v", "ffv1"),
    "vp9.webm": ("-c:v", "libvpx-vp9"),
    "vp8.webm": ("-c:v", "libvpx"),
    "h264.ts": ("-c:v", "libx264", "-bf", "2"),
    "mpeg2.mpg": ("-c:v", "mpeg2video"),
    "clip.gif": (),
    "clip.apng": (),
    "h264.flv": ("-c:v", "libx264"),
    "prores.mov": ("-c:v", "prores_ks"),
    "raw.h264": ("-c:v", "libx264"),
    "theora.ogv": ("-c:v", "libtheora"),
    "wmv2.asf": ("-c:v", "wmv2"),
}


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Very small clips in many containers, and what is small among the odd ones."""
    folder = tmp_path_factory.mktemp("seeds")
    source = write_clip(folder / "source.mp4", numbered(6, 64, 48), sound=True, rotation=90)
    for name, options in KINDS.items():
        ffmpeg("-i", source, *options, "-threads", "1", folder / name)
    ffmpeg("-ss", "0.1", "-i", source, "-c", "copy", folder / "edited.mov")
    options = {"x265-params": "log-level=none:bframes=2"}
    write_clip(folder / "hevc.mp4", numbered(6), codec="libx265", pix_fmt="yuv420p10le", options=options)
    odd = [path for path in ODD.iterdir() if path.stat().st_size <= LARGEST_SEED] if ODD.is_dir() else []
    return sorted(folder.iterdir()) + sorted(odd)


def looked_at(seeds: list[Path], first: int, last: int) -> list[str]:
    """Return the failures on the files of these numbers; a worker that dies is followed by another."""
    wrong = []
    while first < last:
        command = [sys.executable, "-m", "tests.pipeline.mutated", str(first), str(last), *map(str, seeds)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
        at = first
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                told = json.loads(line)
                wrong.append(f"{told['file']}: {told['raised']}")
            else:
                at = int(line)
        if done.returncode == 0:
            break
        seed = seeds[at % len(seeds)].name
        wrong.append(f"{at} of {seed}: ended with {done.returncode}: {done.stderr[-2000:]}")
        first = at + 1
    return wrong


def test_mutated_files(seeds: list[Path]) -> None:
    bounds = [FILES * n // WORKERS for n in range(WORKERS + 1)]
    with ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(lambda part: looked_at(seeds, *part), pairwise(bounds))
    wrong = [told for part in results for told in part]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "mark", "sizes"),
    [
        # BITMAPINFOHEADER: its size, the width, the height
        ("clip.avi", "ffv1", "yuv420p", b"strf", (12, struct.pack("<II", 20000, 10000))),
        # Logical Screen Descriptor: the width, the height
        ("clip.gif", "gif", "rgb8", b"GIF89a", (6, struct.pack("<HH", 16000, 12000))),
    ],
)
def test_an_enormous_picture_is_refused(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, mark: bytes, sizes: tuple[int, bytes]
) -> None:
    path = write_clip(tmp_path / name, numbered(2), codec=codec, pix_fmt=pix_fmt)
    data = path.read_bytes()
    at, sizes_ = data.index(mark) + sizes[0], sizes[1]
    path.write_bytes(data[:at] + sizes_ + data[at + len(sizes_) :])
    with pytest.raises(VideoError, match=f"^{name}: its pictures are .* more than can be handled"):
        probe_clip(path)
