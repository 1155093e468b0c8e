"""Folders and ZIP files of numbered pictures as clips."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError, VideoError
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.probe import probe_clip

SIZE = 40, 30

Make = Callable[[Mapping[str, Image.Image]], Path]


def picture(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A grey picture, as light as its number says."""
    return Image.new("RGB", size, (number,) * 3)


def folder_of(path: Path, pictures: Mapping[str, Image.Image]) -> Path:
    path.mkdir(exist_ok=True)
    for name, image in pictures.items():
        (path / name).parent.mkdir(exist_ok=True)
        image.save(path / name)
    return path


def zip_of(path: Path, pictures: Mapping[str, Image.Image], compression: int = 0) -> Path:
    with ZipFile(path, "w", compression) as archive:
        for name, image in pictures.items():
            with archive.open(name, "w") as file:
                image.save(file, Image.registered_extensions()[Path(name).suffix])
    return path


@pytest.fixture(params=["folder", "zip", "packed"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A function that makes a clip of pictures by name."""

    def make(pictures: Mapping[str, Image.Image]) -> Path:
        if request.param == "folder":
            return folder_of(tmp_path / "shot", pictures)
        return zip_of(tmp_path / "shot.zip", pictures, ZIP_DEFLATED if request.param == "packed" else 0)

    return make


def shades(path: Path, **options: object) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in read_frames(path, **options)]  # type: ignore[arg-type]


def test_pictures_come_in_the_order_of_their_numbers(made: Make) -> None:
    path = made({f"shot{n}.png": picture(n) for n in (10, 8, 9, 11)})
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames, clip.rate) == (*SIZE, 4, 25)
    assert clip.untimed and not clip.missing and not clip.is_picture and clip.codec == "png"
    assert shades(path) == [8, 9, 10, 11]
    assert shades(path, only=[3, 1]) == [9, 11]
    assert [f.pts for f in read_frames_backward(path, 0, 4)] == [3, 2, 1, 0]


def test_the_rate_is_that_which_is_asked_for(made: Make) -> None:
    path = made({f"shot.{n:04}.png": picture(n) for n in range(1001, 1013)})
    clip = probe_clip(path, rate=Fraction(24000, 1001))
    assert clip.rate == Fraction(24000, 1001) and clip.length == 12 * Fraction(1001, 24000)
    with pytest.raises(InputError, match="from 1 to 240"):
        probe_clip(path, rate=Fraction(0))


def test_missing_numbers_are_told(made: Make) -> None:
    path = made({f"shot.{n}.png": picture(n) for n in (3, 4, 7, 9)})
    clip = probe_clip(path)
    assert (clip.frames, clip.missing, clip.remarks) == (4, 3, ("missing",))
    assert shades(path) == [3, 4, 7, 9]


def test_other_sizes_are_refused(made: Make) -> None:
    path = made({"a.1.png": picture(1), "a.2.png": picture(2, (30, 40))})
    with pytest.raises(VideoError, match=r"a\.1\.png is 40 × 30, a\.2\.png is 30 × 40"):
        probe_clip(path)


def test_a_picture_that_is_turned_is_of_another_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder_of(tmp_path / "shot", {"a.1.jpg": picture(1)})
    picture(2).save(path / "a.2.jpg", exif=exif)
    with pytest.raises(VideoError, match=r"a\.2\.jpg is 30 × 40"):
        list(read_frames(path))


def test_several_series_are_refused(made: Make) -> None:
    path = made({"beauty.1.png": picture(1), "depth.1.png": picture(1)})
    with pytest.raises(VideoError, match=r"several series of pictures in it, such as beauty\.#\.png"):
        probe_clip(path)


def test_a_number_that_is_there_twice_is_refused(made: Make) -> None:
    path = made({"a.1.png": picture(1), "a.01.png": picture(2)})
    with pytest.raises(VideoError, match="two pictures with the number 1"):
        probe_clip(path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "shot", {f"a.{n}.png": picture(n) for n in range(3)})
    whole = (path / "a.1.png").read_bytes()
    (path / "a.1.png").write_bytes(whole[: len(whole) // 2])
    assert probe_clip(path).frames == 3
    with pytest.raises(VideoError, match=r"^a\.1\.png: this picture cannot be read"):
        list(read_frames(path))


def test_hidden_files_and_others_do_not_count(made: Make) -> None:
    path = made({"a.1.png": picture(1), "a.2.png": picture(2), ".a.3.png": picture(3)})
    assert probe_clip(path).frames == 2


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    names = [f"../../evil.{n}.png" for n in range(3)]
    path = zip_of(inner / "shot.zip", {name: picture(n) for n, name in enumerate(names)})
    assert shades(path) == [0, 1, 2]
    assert [p.name for p in tmp_path.rglob("*")] == ["inner", "shot.zip"]


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shot.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive, archive.open("a.1.bmp", "w") as file:
        for _ in range(80):
            file.write(bytes(2**20))
    assert path.stat().st_size < 10**6
    with pytest.raises(VideoError, match="made to fill the memory"):
        probe_clip(path)


def test_archives_without_pictures_are_refused(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "none")
    with pytest.raises(VideoError, match=r"^a\.zip: there is no picture in this archive"):
        probe_clip(tmp_path / "a.zip")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(VideoError, match=r"^cut\.zip: .* cannot be read"):
        probe_clip(tmp_path / "cut.zip")


def test_a_table_of_times_is_followed(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "shot", {f"{n:06}.png": picture(n) for n in range(3)})
    table = ["picture,seconds,lasts", "000000.png,0.000000,0.100000", "000001.png,0.100000,0.400000"]
    (path / "times.csv").write_text("\n".join([*table, "000002.png,0.500000,0.250000", ""]))
    clip = probe_clip(path, rate=Fraction(10))
    assert not clip.untimed and clip.variable and clip.duration == pytest.approx(0.75)
    assert [float(f.pts * clip.time_base) for f in read_frames(path)] == pytest.approx([0, 0.1, 0.5])
    (path / "times.csv").write_text("\n".join([*table, ""]))
    (path / "more").mkdir()  # another state of the folder
    with pytest.raises(VideoError, match=r"its times\.csv does not fit"):
        probe_clip(path)


def test_pictures_of_mixed_depth_are_one_clip(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "shot", {"a.1.png": picture(9)})
    Image.fromarray(np.full(SIZE[::-1], 514, np.uint16)).save(path / "a.2.png")
    assert shades(path) == [9, 2]
