"""EXR sequences: read back by FFmpeg, whose decoder shares no code with what writes them."""

import struct
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from pipeline.compositing.background import Transparent
from pipeline.errors import RunError
from pipeline.formats import by_key
from pipeline.job import Job
from pipeline.process import process
from pipeline.video.writing.exr import ExrEncoder
from pipeline.video.writing.output import create_output
from pipeline.video.writing.timing import StreamSpec
from tests import exported, ffprobe
from tests.pipeline.video.writing.test_writer import RATE, save

FORM = by_key("exr")


def attributes(data: bytes) -> dict[str, tuple[str, bytes]]:
    """Type and value of each attribute of a header, as the description of OpenEXR's files lays them out."""
    assert data[:4] == b"\x76\x2f\x31\x01" and data[4:8] == b"\x02\0\0\0"
    found, at = {}, 8
    while data[at]:
        name, kind, _ = data[at:].split(b"\0", 2)
        at += len(name) + len(kind) + 2
        (size,) = struct.unpack_from("<i", data, at)
        found[name.decode()] = (kind.decode(), data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def to_light(signal: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, written anew: signal from 0 to 1."""
    return np.where(signal > 0.04045, ((signal + 0.055) / 1.055) ** 2.4, signal / 12.92)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("key", ["exr", "exr-straight"])
def test_values_are_the_light_in_halves(tmp_path: Path, dtype: type, alpha: bool, key: str) -> None:
    most = np.iinfo(dtype).max
    image = np.random.default_rng(5).integers(0, most, (40, 64, 4 if alpha else 3), dtype, endpoint=True)
    image[0, 0], image[0, 1] = 0, most
    path = save(tmp_path / "out", [image], by_key(key), alpha=alpha, high_bit_depth=dtype is np.uint16)
    read = ffprobe.light(path / "%06d.exr")[0].astype(np.float64)
    signal = image / np.float64(most)
    truth = np.ones((40, 64, 4))
    truth[..., :3] = to_light(signal[..., :3])
    if alpha:
        truth[..., 3] = signal[..., 3]
        if key == "exr":
            truth[..., :3] *= signal[..., 3:]
    # Half a step of a half float: 11 bits, down to 2**-14.
    assert (np.abs(read - truth) <= np.maximum(truth, 2.0**-14) * (2.0**-11 + 1e-5)).all()


@pytest.mark.parametrize(("alpha", "names"), [(False, "BGR"), (True, "ABGR")])
def test_the_header_has_colours_rate_and_halves(tmp_path: Path, alpha: bool, names: str) -> None:
    rate = Fraction(30000, 1001)
    image = np.zeros((9, 16, 4 if alpha else 3), np.uint8)
    path = save(tmp_path / "out.zip", [image] * 2, FORM, alpha=alpha, rate=rate, time_base=1 / rate)
    with ZipFile(path) as archive:
        assert archive.namelist() == ["000000.exr", "000001.exr", "times.csv"]
        told = attributes(archive.read("000001.exr"))
    kind, value = told["chromaticities"]
    assert kind == "chromaticities"
    bt709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
    assert struct.unpack("<8f", value) == pytest.approx(bt709, abs=1e-6)
    assert told["framesPerSecond"] == ("rational", struct.pack("<iI", 30000, 1001))
    assert told["compression"] == ("compression", b"\x03")  # ZIP, of sixteen lines
    half = struct.pack("<iIii", 1, 0, 1, 1)
    assert told["channels"] == ("chlist", b"".join(name.encode() + b"\0" + half for name in names) + b"\0")
    assert told["dataWindow"][1] == told["displayWindow"][1] == struct.pack("<4i", 0, 0, 15, 8)


def test_the_header_says_that_alpha_is_straight(tmp_path: Path) -> None:
    image = np.full((4, 4, 4), 100, np.uint8)
    told = {}
    for key in ("exr", "exr-straight"):
        path = save(tmp_path / key, [image], by_key(key), alpha=True)
        told[key] = attributes((path / "000000.exr").read_bytes())
    added = {"comments", "oiio:UnassociatedAlpha"}
    assert told["exr-straight"].keys() - told["exr"].keys() == added
    assert told["exr-straight"]["oiio:UnassociatedAlpha"] == ("int", struct.pack("<i", 1))
    kind, value = told["exr-straight"]["comments"]
    assert kind == "string" and value.startswith(b"Straight alpha")


@pytest.mark.parametrize("rate", [Fraction(10**12 + 1, 10**10), Fraction(1, 1001), Fraction(240)])
def test_any_rate_fits_the_header(rate: Fraction) -> None:
    encoder = ExrEncoder(rate)
    assert not list(encoder.encode(np.zeros((1, 1, 3), np.uint8), 0))
    (data,) = encoder.flush()
    encoder.close()
    above, below = struct.unpack("<iI", attributes(data)["framesPerSecond"][1])
    assert above / below == pytest.approx(float(rate), rel=1e-6)


def test_a_damaged_picture_fails_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = ExrEncoder._encode
    monkeypatch.setattr(ExrEncoder, "_encode", lambda self, image: encode(self, image)[:300])
    with pytest.raises(RunError):
        save(tmp_path / "out.zip", [np.zeros((64, 64, 3), np.uint8)], FORM)
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_encoder_ends_its_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ExrEncoder, image: np.ndarray) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(ExrEncoder, "_encode", fail)
    with pytest.raises(ZeroDivisionError):
        save(tmp_path / "out.zip", [np.zeros((64, 64, 3), np.uint8)] * 20, FORM)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("exr")]
    assert not list(tmp_path.iterdir())


def test_frames_keep_their_order_and_are_copied(tmp_path: Path) -> None:
    image = np.zeros((32, 32, 3), np.uint8)

    def frames() -> Iterator[np.ndarray]:
        for level in range(0, 240, 10):  # in one array, as a reader may use it again
            image[:] = level
            yield image

    with create_output(tmp_path / "out", FORM, StreamSpec(32, 32, *RATE)) as output:
        for number, frame in enumerate(frames()):
            output.write(frame, number)
    read = exported.read(tmp_path / "out", FORM).pictures
    assert read[:, 5, 5, 0].tolist() == list(range(0, 240, 10))


def test_a_folder_of_an_earlier_sequence_is_replaced(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    save(tmp_path / "out", [image] * 3, FORM)
    save(tmp_path / "out", [image], by_key("png"))
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["000000.png", "times.csv"]
    save(tmp_path / "out", [image] * 2, FORM)
    names = sorted(entry.name for entry in (tmp_path / "out").iterdir())
    assert names == ["000000.exr", "000001.exr", "times.csv"]


@pytest.mark.usefixtures("stand_ins")
def test_a_cut_out_is_the_light_of_its_png(clip_path: Path, tmp_path: Path) -> None:
    made = []
    for key in ("png", "exr"):
        job = Job(
            clip_path, tmp_path / key, model="threshold", background=Transparent(), format=key, end=0.25
        )
        for _ in process(job):
            pass
        made.append(tmp_path / key)
    png = ffprobe.frames(made[0] / "%06d.png", "rgba") / 255
    exr = ffprobe.light(made[1] / "%06d.exr")
    assert png.shape == exr.shape and 0 < png[..., 3].mean() < 1
    assert np.abs(exr[..., 3] - png[..., 3]).max() < 2**-11
    assert np.abs(exr[..., :3] - to_light(png[..., :3]) * png[..., 3:]).max() < 2**-11
    assert (made[0] / "times.csv").read_text() == (made[1] / "times.csv").read_text().replace(".exr", ".png")
