"""Side data that PyAV has no name for is no reason to refuse a video."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.compositing.background import Footage
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

COUNT = 8


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def exif(path: Path) -> Path:
    """A video of JPEGs as cameras write them: each says who made it."""
    about = Image.Exif()
    about[0x010F] = "A camera"  # Make
    for n, frame in enumerate(numbered(COUNT)):
        Image.fromarray(frame).save(path.with_name(f"{n:02}.jpg"), quality=95, exif=about)
    ffmpeg("-framerate", "15", "-i", path.with_name("%02d.jpg"), "-c", "copy", path)
    return path


def spatial(path: Path) -> Path:
    """HEVC whose parameter set tells of a second view (MV-HEVC), as phones film; only the first is there."""
    coded = {"x265-params": "log-level=error:bframes=0:repeat-headers=1", "tune": "zerolatency"}
    made = write_clip(path.with_suffix(".hevc"), numbered(COUNT), codec="libx265", options=coded)
    head, *units = made.read_bytes().split(b"\0\0\1")
    units = [two_views(unit) if unit[0] >> 1 == 32 else unit for unit in units]
    made.write_bytes(b"\0\0\1".join([head, *units]))
    ffmpeg("-framerate", "24", "-i", made, "-c", "copy", "-tag:v", "hvc1", path)
    return path


def two_views(unit: bytes) -> bytes:
    """The video parameter set of one layer, extended to two views (ITU-T H.265, 7.3.2.1 and F.7.3.2.1)."""
    told = "".join(f"{byte:08b}" for byte in unit[2:].replace(b"\0\0\3", b"\0\0"))
    profile, level = told[32:128], told[120:128]

    def ue(value: int) -> str:
        return "0" * (len(f"{value + 1:b}") - 1) + f"{value + 1:b}"

    base = ["0000", "1", "1", "000001", "000", "1", "1" * 16, profile, "1", ue(4), ue(2), ue(0)]
    layers = ["000001", ue(1), "11", "0", "1"]  # two sets, the second of both layers; no timing; extended
    begin = "".join(base + layers)
    more = [
        "1" * (-len(begin) % 8),
        level,
        *("0", "0100000000000000", "000", "0", "1"),  # scalable in views, which one bit numbers: 0 and 1
        *("0001", "0", "1"),
        *("1", "0", "0", "1"),  # the second is made from the first
        *(ue(1), ue(0), "00", "1", "1"),  # two profiles; both layers are shown
        *(ue(0), f"{64:016b}", f"{64:016b}", "1", "01", "0000", "0000", "0"),  # size, 4:2:0, 8 bits
        *("1", "1", "0", ue(4), ue(4), ue(2), ue(0)),
        *(ue(0), "1", "10", ue(0), "0", "0"),
        "1",
    ]
    bits = begin + "".join(more)
    bits += "0" * (-len(bits) % 8)
    raw = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    escaped = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)
    return unit[:2] + escaped


MADE = pytest.mark.parametrize(("made", "name"), [(exif, "camera.avi"), (spatial, "spatial.mov")])


@MADE
def test_pyav_still_has_no_name_for_it(made: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    """A failure means that PyAV#2392 is in the release: `reading.side_data` needs no `_name`."""
    path = made(tmp_path / name)
    code = "import av, sys; next(av.open(sys.argv[1]).decode(video=0)).side_data"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "is not a valid Type" in done.stderr


@MADE
@pytest.mark.usefixtures("stand_ins")
def test_a_video_with_unnamed_side_data_is_read(
    made: Callable[[Path], Path], name: str, tmp_path: Path, clip_path: Path
) -> None:
    path = made(tmp_path / name)
    assert probe_clip(path).frames == len(list(read_frames(path))) == COUNT
    cut, behind = tmp_path / "cut.mp4", tmp_path / "behind.mp4"
    list(process(Job(path, cut, model="threshold")))
    list(process(Job(clip_path, behind, model="threshold", background=Footage(path))))
    assert [len(ffprobe.frames(result)) for result in (cut, behind)] == [COUNT, 24]


@pytest.mark.parametrize("suffix", ["avif", "jpg", "mpo"])
def test_a_photo_with_exif_is_an_upright_clip_of_one_frame(suffix: str, tmp_path: Path) -> None:
    about = Image.Exif()
    about[0x010F], about[0x0112] = "A camera", 6  # Make, Orientation
    data = io.BytesIO()
    Image.new("RGB", (64, 48)).save(data, {"jpg": "JPEG"}.get(suffix, suffix.upper()), exif=about)
    path = tmp_path / "photo.mp4"
    path.write_bytes(data.getvalue())
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames, clip.is_picture) == (48, 64, 1, True)
