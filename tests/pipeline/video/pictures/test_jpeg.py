"""Number of scans of a JPEG, counted without decoding it."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.images import open_image
from pipeline.errors import BackgroundError
from pipeline.video.pictures.jpeg import MAX_SCANS, count_scans
from tests.pipeline.compositing.test_composite import noise


def progressive(path: Path, size: int, more: int) -> Path:
    """A progressive picture whose last scan comes `more` times more."""
    held = io.BytesIO()
    picture = Image.fromarray(np.full((size, size, 3), 90, np.uint8))
    picture.save(held, "JPEG", progressive=True)
    data = held.getvalue()
    last = data.rindex(b"\xff\xda")
    path.write_bytes(data[:-2] + data[last:-2] * more + data[-2:])
    return path


@pytest.mark.parametrize(
    ("options", "scans"),
    [({}, 1), ({"quality": 100}, 1), ({"progressive": True}, 10), ({"restart_marker_blocks": 1}, 1)],
)
def test_jpeg_scans_are_counted(tmp_path: Path, options: dict[str, object], scans: int) -> None:
    Image.fromarray(noise(120, 160, 3)).save(tmp_path / "a.jpg", **options)
    assert count_scans(tmp_path / "a.jpg") == scans
    assert open_image(tmp_path / "a.jpg").shape == (120, 160, 3)


def test_markers_in_headers_or_after_the_image_do_not_count(tmp_path: Path) -> None:
    """A thumbnail is in the Exif, a film may lie behind: their bytes read like markers here and there."""
    picture = Image.fromarray(noise(40, 40, 3))
    picture.save(tmp_path / "a.jpg", comment=b"\xff\xda" * 500, exif=b"Exif\x00\x00" + b"\xff\xda" * 500)
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\xff\xda\x00\x02" * 5000)
    assert count_scans(tmp_path / "a.jpg") == 1
    assert open_image(tmp_path / "a.jpg").shape == (40, 40, 3)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\x89PNG"]
)
def test_other_files_have_no_jpeg_scans(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert count_scans(tmp_path / "a.jpg") <= 1
    with pytest.raises(BackgroundError, match=r"^a\.jpg: this is no picture"):
        open_image(tmp_path / "a.jpg")


def test_more_scans_than_any_encoder_makes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    few = progressive(tmp_path / "few.jpg", 64, MAX_SCANS - 10)
    assert count_scans(few) == MAX_SCANS and open_image(few).shape == (64, 64, 3)
    many = progressive(tmp_path / "many.jpg", 5000, 700)
    assert many.stat().st_size < 2_000_000
    began = time.process_time()
    with pytest.raises(BackgroundError, match=r"^many\.jpg: this JPEG has more than 100 scans"):
        open_image(many)
    assert time.process_time() - began < 2
    assert count_scans(many) == MAX_SCANS + 1
