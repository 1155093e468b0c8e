"""Writing results: each format is read back by other programs, picture by picture and time by time."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest

from pipeline import formats
from pipeline.errors import InputError, RunError
from pipeline.formats import QUALITIES, Format, Hardware
from pipeline.formats.format import quality_options
from pipeline.video.audio.audio_mux import AudioMuxer
from pipeline.video.audio.audio_read import AudioRange
from pipeline.video.hardware import has_any_hardware_encoder, has_hardware_encoder
from pipeline.video.priority import realtime_threads
from pipeline.video.writing import archive
from pipeline.video.writing.output import create_output
from pipeline.video.writing.palette import PaletteConverter
from pipeline.video.writing.timing import StreamSpec
from pipeline.video.writing.verify import Content, verify_content
from pipeline.video.writing.writer import Writer
from tests import exported, ffprobe
from tests.pipeline.stand_in import number, numbered
from tests.rendered import subject_over_background

ROOT = Path(__file__).resolve().parents[4]
NTSC = Fraction(30000, 1001)
RATE = (Fraction(1, 24), Fraction(24))
FORMATS = {key: form for key, form in formats.FORMATS.items() if not form.still}
"""Those of moving pictures; a single one has a writer and tests of its own."""

ALPHA = [key for key, form in FORMATS.items() if form.alpha]
DEEP = [key for key, form in FORMATS.items() if form.supports_high_bit_depth(False)]
EVEN = {"mkv", "mp4", "hevc", "matte", "pair", "stacked", "overlay", "plate"}
MEMBERS = ("foreground.mp4", "matte.mp4")
CHANNELS: dict[str, tuple[int, ...]] = {
    "matte": (),
    "mask": (),
    "objects": (1,),
    "pair": (4,),
    "stacked": (4,),
    "layers": (4,),
}
"""By what the format holds; otherwise three."""
ONE_CHANNEL = {"matte", "mask", "objects"}
# Half of what each container counts in.
GRACE = {"webm": 2000, "matroska": 2000, "webp": 2000, "gif": 200, "zip": 2 * 10**6}
GREY, RED, SKIN, GREEN = (128, 128, 128), (220, 30, 30), (224, 172, 140), (0, 177, 64)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def save(path: Path, images: Sequence[np.ndarray], form: Format | None = None, **changed: Any) -> Path:
    """Write `images` as the format takes them: RGB is made grey for a matte, and opaque RGBA beside one."""
    form = form or formats.by_suffix(path)
    pts = changed.pop("pts", range(len(images)))
    height, width = images[0].shape[:2]
    time_base, rate = changed.pop("time_base", RATE[0]), changed.pop("rate", RATE[1])
    shape = StreamSpec(width, height, time_base, rate, changed.pop("start", 0))
    with create_output(path, form, shape, **changed) as output:
        for image, moment in zip(images, pts, strict=True):
            if form.content in ONE_CHANNEL and image.ndim == 3:
                image = np.ascontiguousarray(image[..., 0])
            if form.content == "objects":
                image = image[..., None]
            if form.content == "layers":
                image = np.dstack((image, image[..., 0]))
            if form.has_foreground and image.shape[-1] == 3:
                image = np.dstack([image, np.full_like(image[..., 0], 255)])
            output.write(image, moment)
    return path


def cut_out(drawn: tuple[np.ndarray, np.ndarray], count: int = 6) -> list[np.ndarray]:
    """RGBA frames `[90, 160, 4]`."""
    return [np.dstack(pair)[::2, ::2].copy() for pair in zip(drawn[0][:count], drawn[1][:count], strict=True)]


# Times


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (1 / NTSC, range(10)),
        (Fraction(1, 90000), [n * 3754 + n % 2 for n in range(10)]),
        (Fraction(1, 1000), [0, 40, 50, 170, 230, 231, 400, 700, 701, 702, 1000, 3000]),
    ],
    ids=["ntsc", "90000", "variable"],
)
def test_each_frame_has_the_time_it_was_given(
    tmp_path: Path, key: str, time_base: Fraction, pts: Sequence[int]
) -> None:
    form = FORMATS[key]
    rate = (len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)
    if form.max_rate is not None:  # such frames are farther apart before they come here
        time_base *= max(1, 20 * (min(b - a for a, b in pairwise(pts)) * time_base < 1 / form.max_rate))
    frames = numbered(len(pts))
    path = save(tmp_path / f"out{form.suffix}", frames, form, pts=pts, time_base=time_base, rate=rate)
    container = {"pair": "mp4", "objects": "matroska"}.get(key, form.container)
    grace = Fraction(1, GRACE[container]) if container in GRACE else 0
    for member in MEMBERS if form.has_foreground else ("",):
        images = exported.read(path, form, member=member)
        assert all(abs(a - p * time_base) <= grace for a, p in zip(images.times, pts, strict=True))
        usual = sorted(b - a for a, b in pairwise(pts))[(len(pts) - 1) // 2]
        assert abs(images.end - (pts[-1] + usual) * time_base) <= 2 * grace + time_base + Fraction(1, 1000)
        if member != "matte.mp4":  # which is white
            assert [number(frame) for frame in images.pictures] == list(range(len(pts)))


@pytest.mark.parametrize("key", FORMATS)
def test_no_encoder_leaves_realtime_threads(tmp_path: Path, key: str) -> None:
    """As root some take real-time priority, for this program and for all that it starts."""
    form, (width, height) = FORMATS[key], (160, 90)
    with create_output(tmp_path / f"out{form.suffix}", form, StreamSpec(width, height, *RATE)) as output:
        for n in range(3):
            channels = CHANNELS.get(form.content, (3,))
            output.write(np.full((height, width, *channels), 40 * n, np.uint8), n)
            assert not realtime_threads()
    assert not realtime_threads()


def test_times_are_relative_to_the_given_start(tmp_path: Path) -> None:
    times = {"pts": [1000, 1040, 1080], "time_base": Fraction(1, 1000), "start": 960}
    for key in ("mp4", "png"):
        path = save(tmp_path / f"out{FORMATS[key].suffix}", numbered(3), FORMATS[key], **times)
        assert exported.read(path, FORMATS[key]).times == [Fraction(p, 1000) for p in (40, 80, 120)]


@pytest.mark.parametrize("key", FORMATS)
def test_a_single_frame_can_be_written(tmp_path: Path, key: str) -> None:
    form = FORMATS[key]
    images = exported.read(save(tmp_path / f"out{form.suffix}", numbered(1), form), form)
    assert len(images.pictures) == 1 and images.times == [0]


# Picture


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(161, 121), (3, 17), (1, 1)])
def test_sizes_are_kept_or_padded_with_a_mirror(tmp_path: Path, key: str, width: int, height: int) -> None:
    form = FORMATS[key]
    frames, _ = subject_over_background(2, max(width, 32), max(height, 32))
    images = [np.ascontiguousarray(frame[:height, :width]) for frame in frames]
    path = save(tmp_path / f"out{form.suffix}", images, form, quality="best")
    read = exported.read(path, form).pictures
    wide, high = (width + width % 2, height + height % 2) if key in EVEN else (width, height)
    least = {"hevc": 64, "av1": 4}.get(key, 1)
    assert read.shape[1:3] == (max(high, least), max(wide, least))
    truth = np.stack(images)
    if form.content in ONE_CHANNEL:
        truth = truth[..., :1].repeat(3, -1)
    if min(width, height) > 100:  # in small ones pixels that share their colour are most of them
        assert error(read[:, :height, :width], truth) < (8 if form.codec == "gif" else 4)
        if read.shape[2] > width:
            assert error(read[:, :, width], read[:, :, width - 1]) < 3
            # Players mix the colours, not the brightness, of rows where stacked halves meet.
            rows = read if form.content != "stacked" else exported.read(path, form, "gray").pictures
            assert error(rows[:, height], rows[:, height - 1]) < 3


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("key", ["mp4", "hevc", "webm", "av1", "prores", "matte", "pair", "stacked"])
def test_codec_and_colour_tags_are_written(tmp_path: Path, key: str, deep: bool) -> None:
    form = FORMATS[key]
    frames = [frame.astype(np.uint16) * 257 for frame in numbered(2)] if deep else numbered(2)
    if deep and not form.supports_high_bit_depth(False):
        pytest.skip("has 8 bits only")
    path = save(tmp_path / f"out{form.suffix}", frames, form, high_bit_depth=deep)
    if key == "pair":
        ZipFile(path).extractall(tmp_path)
        path = tmp_path / "matte.mp4"
    told = ffprobe.stream(path)
    codec, tag, shallow, rich = {
        "hevc": ("hevc", "hvc1", "yuv420p", "yuv420p10le"),
        "webm": ("vp9", "", "yuv420p", ""),
        "av1": ("av1", "", "yuv420p", "yuv420p10le"),
        "prores": ("prores", "ap4h", "yuv444p12le", "yuv444p12le"),  # as it is decoded
    }.get(key, ("h264", "avc1", "yuv420p", ""))
    assert (told["codec_name"], told["pix_fmt"]) == (codec, rich if deep else shallow)
    assert not tag or told["codec_tag_string"] == tag
    tags = [told[f"color_{name}"] for name in ("space", "primaries", "transfer", "range")]
    assert tags == ["bt709", "bt709", "bt709", "tv"]


@pytest.mark.parametrize("key", FORMATS)
def test_flat_colours_survive(tmp_path: Path, key: str) -> None:
    form = FORMATS[key]
    image = np.repeat(np.array([[GREY, RED, SKIN, GREEN]], np.uint8), 48, 0).repeat(48, 1)
    read = exported.read(save(tmp_path / f"out{form.suffix}", [image] * 2, form), form).pictures
    patches = read[:, 24, 24 + 48 * np.arange(4)].astype(int)
    truth = np.array([GREY, RED, SKIN, GREEN])
    if form.content in ONE_CHANNEL:
        truth = truth[:, :1].repeat(3, -1)
    exact = form.codec in ("gif", "png", "exr", "ffv1")
    assert np.abs(patches - truth).max() <= (0 if exact else 2)


@pytest.mark.parametrize("key", DEEP)
@pytest.mark.parametrize("alpha", [False, True])
def test_ten_bits_are_written(tmp_path: Path, key: str, alpha: bool) -> None:
    form = FORMATS[key]
    if alpha and not form.supports_high_bit_depth(alpha):
        pytest.skip("has no place for both")
    ramp = np.linspace(20000, 26000, 512).round().astype(np.uint16)  # 23 steps of 8 bits, 94 of 10
    image = np.broadcast_to(ramp[None, :, None], (64, 512, 4 if alpha else 3)).copy()
    path = save(
        tmp_path / f"out{form.suffix}", [image], form, high_bit_depth=True, alpha=alpha, quality="best"
    )
    read = exported.read(path, form, "rgba64le" if alpha else "rgb48le").pictures[0]
    assert len(np.unique(read[32, :, 1])) > 60
    assert np.abs(read[32, 8:-8].astype(int) - image[32, 8:-8]).max() < 257
    assert np.abs(read[32, 8:-8].astype(int) - image[32, 8:-8]).mean() < 80
    if alpha:
        assert len(np.unique(read[32, :, 3])) > 60


@pytest.mark.parametrize("key", [key for key, form in FORMATS.items() if form.qualities])
def test_higher_quality_is_closer_and_larger(
    tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray], key: str
) -> None:
    form = FORMATS[key]
    images = [frame[::2, ::2].copy() for frame in drawn[0][:4]]
    truth = np.stack(images) if form.content != "matte" else np.stack(images)[..., :1].repeat(3, -1)
    sizes, errors = [], []
    for quality in QUALITIES:
        path = save(tmp_path / f"{quality}{form.suffix}", images, form, quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(error(exported.read(path, form).pictures, truth))
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)


@pytest.mark.parametrize("key", ALPHA)
def test_alpha_is_written(tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray], key: str) -> None:
    form = FORMATS[key]
    images = cut_out(drawn)
    result = exported.read(save(tmp_path / f"out{form.suffix}", images, form, alpha=True), form, "rgba")
    truth = np.stack(images)
    read = result.pictures
    assert len(read) == 6
    if key == "gif":
        assert np.array_equal(read[..., 3], 255 * (truth[..., 3] > 127))
    else:
        assert error(read[..., 3], truth[..., 3]) < 2
        assert read[..., 3][truth[..., 3] == 0].mean() < 1
    inside = truth[..., 3] > 250
    assert error(read[..., :3][inside], truth[..., :3][inside]) < 6


def test_webm_files_are_tagged_with_alpha(tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    path = save(tmp_path / "out.webm", cut_out(drawn), alpha=True)
    tags = {key.lower(): value for key, value in ffprobe.stream(path)["tags"].items()}
    assert tags["alpha_mode"] == "1"


@pytest.mark.parametrize("key", ["matte", "matte-lossless", "pair", "stacked"])
def test_mattes_are_written_as_grey(tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray], key: str) -> None:
    form = FORMATS[key]
    images = cut_out(drawn)
    truth = np.stack(images)
    given = images if form.has_foreground else [image[..., 3].copy() for image in images]
    path = save(tmp_path / f"out{form.suffix}", given, form)
    read = exported.read(path, form, member="matte.mp4").pictures
    assert error(read, truth[..., 3:].repeat(3, -1)) < (0.01 if key == "matte-lossless" else 2)
    if form.has_foreground:
        foreground = exported.read(path, form).pictures
        assert error(foreground, truth[..., :3]) < 6


def test_stacked_halves_do_not_mix(tmp_path: Path) -> None:
    """Of an odd height, and of colours that differ where they meet."""
    image = np.full((33, 47, 4), (230, 30, 30, 0), np.uint8)
    path = save(tmp_path / "out.mp4", [image] * 2, FORMATS["stacked"])
    assert ffprobe.frames(path).shape == (2, 68, 48, 3)
    read = exported.read(path, FORMATS["stacked"], "rgba").pictures
    assert np.abs(read[:, :-1].astype(int) - image[0, 0]).max() <= 6
    light = ffprobe.frames(path, "gray")
    assert np.ptp(light[:, :34]) <= 8 and np.ptp(light[:, 34:]) <= 8


def test_a_grey_frame_four_pixels_wide_is_not_rgba(tmp_path: Path) -> None:
    image = np.full((8, 4), 200, np.uint8)
    for key in ("matte", "matte-lossless"):
        form = FORMATS[key]
        read = exported.read(save(tmp_path / f"out{form.suffix}", [image], form), form).pictures
        assert error(read[:, :, :4], np.full((1, 8, 4, 3), 200)) < 2


def test_mp4_files_have_their_index_at_the_front(tmp_path: Path) -> None:
    for key in ("mp4", "hevc", "prores"):
        form = FORMATS[key]
        data = save(tmp_path / f"out{form.suffix}", numbered(3), form).read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


# A GIF's colours


def test_a_palette_is_reused_until_the_picture_changes(
    monkeypatch: pytest.MonkeyPatch, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    made: list[int] = []
    make = PaletteConverter._palette
    monkeypatch.setattr(PaletteConverter, "_palette", lambda self, frame: made.append(1) or make(self, frame))
    paletted = PaletteConverter(128)
    counts = []
    for image in [*drawn[0][:8], *(255 - drawn[0][:8])]:
        pixels = paletted(image).reformat(format="rgba").to_ndarray()
        counts.append(len(made))
        assert len(np.unique(pixels.reshape(-1, 4), axis=0)) <= 128
        assert error(pixels[..., :3], image) < 8
    assert counts == [1] * 8 + [2] * 8


def test_static_areas_do_not_flicker(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    still = drawn[0][0]
    moving = still.copy()
    moving[:60, :60] = drawn[0][9][:60, :60]
    paletted = PaletteConverter(64)
    first, second = (paletted(image).reformat(format="rgb24").to_ndarray() for image in (still, moving))
    assert np.array_equal(first[60:], second[60:]) and np.array_equal(first[:, 60:], second[:, 60:])


def test_a_fully_transparent_frame_becomes_a_gif(tmp_path: Path) -> None:
    images = [np.zeros((32, 32, 4), np.uint8)] * 2
    path = save(tmp_path / "out.gif", images, alpha=True)
    assert not exported.read(path, FORMATS["gif"], "rgba").pictures[..., 3].any()


# Single pictures


def test_a_zip_stores_its_pictures_uncompressed(tmp_path: Path) -> None:
    path = save(tmp_path / "out.zip", numbered(3))
    with ZipFile(path) as file:
        assert file.testzip() is None
        assert file.namelist() == ["000000.png", "000001.png", "000002.png", "times.csv"]
        assert {entry.compress_type for entry in file.infolist()} == {ZIP_STORED}
        assert file.read("times.csv").splitlines()[:2] == [
            b"picture,seconds,lasts",
            b"000000.png,0.000000,0.041667",
        ]


def test_a_path_without_a_suffix_is_a_folder_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "pictures"
    assert formats.by_suffix(path).key == "png"
    other = tmp_path / "other"
    other.mkdir()
    for count in (5, 3):  # the second in place of the first
        save(path, numbered(count))
        images = exported.read(path, FORMATS["png"])
        assert [number(frame) for frame in images.pictures] == list(range(count))
    assert path.stat().st_mode == other.stat().st_mode
    save(other, numbered(1))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other", "pictures"]


@pytest.mark.parametrize("name", ["holiday.jpg", "000007.png", "sub", "000000.png/x"])
def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "pictures", numbered(2))
    if name == "sub":
        (path / name).mkdir()
    elif "/" in name:
        (path / "000000.png").unlink()
        (path / "000000.png").mkdir()
    else:
        (path / name).write_bytes(b"a user's own")
    before = sorted(path.rglob("*"))
    with pytest.raises(InputError, match=r"^pictures: there are other files in this folder"):
        save(path, numbered(1))
    assert sorted(path.rglob("*")) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["pictures"]


def test_a_folder_that_got_a_file_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pictures"
    with (
        pytest.raises(InputError, match="other files"),
        create_output(path, FORMATS["png"], StreamSpec(64, 64, *RATE)) as output,
    ):
        output.write(numbered(1)[0], 0)
        path.mkdir()
        (path / "new.txt").touch()
    assert [entry.name for entry in tmp_path.rglob("*")] == ["pictures", "new.txt"]


def test_a_file_is_refused_as_folder_for_pictures(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("mine")
    with pytest.raises(InputError, match=r"^pictures: this is a file"):
        save(tmp_path / "pictures", numbered(1))
    with pytest.raises(InputError, match=r"^pictures: the folder to write it into does not exist"):
        save(tmp_path / "none" / "pictures", numbered(1))
    assert (tmp_path / "pictures").read_text() == "mine"


# Whole or not at all


def test_files_have_default_permissions(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    for name in ("out.mp4", "out.zip"):
        assert save(tmp_path / name, numbered(1)).stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize("before", [None, b"what was there before"])
def test_an_error_keeps_the_existing_file(tmp_path: Path, key: str, before: bytes | None) -> None:
    form = FORMATS[key]
    path = tmp_path / f"out{form.suffix}"
    if before is not None:
        path.write_bytes(before)
    shape = (64, 64, *CHANNELS.get(form.content, (3,)))
    with (
        pytest.raises(ZeroDivisionError),
        create_output(path, form, StreamSpec(64, 64, *RATE)) as output,
    ):
        output.write(np.zeros(shape, np.uint8), 0)
        raise ZeroDivisionError
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if before is None else [path.name])
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("key", ["mp4", "pair"])
def test_a_failing_encoder_raises_run_error(tmp_path: Path, key: str) -> None:
    form = FORMATS[key]
    with pytest.raises(RunError, match=r"\.mp4: "):
        save(tmp_path / f"out{form.suffix}", numbered(2), form, options={"profile": "no such profile"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.zip", "out"])
def test_a_full_disk_raises_an_error_sentence(tmp_path: Path, name: str) -> None:
    script = f"""
import resource, signal
from pathlib import Path
import numpy as np
from pipeline.errors import RunError, VideoError
from tests.pipeline.video.writing.test_writer import save

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
frames = [np.random.default_rng(n).integers(0, 255, (360, 640, 3), np.uint8) for n in range(8)]
try:
    save(Path({str(tmp_path / name)!r}), frames)
except RunError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == f"{name}: the disk is full. Free some space and run it again.\n", done.stderr
    assert not done.stderr
    assert not list(tmp_path.iterdir())


# What is written is looked at again


@pytest.mark.parametrize("key", [key for key, form in FORMATS.items() if form.container != "zip"])
def test_a_lost_frame_fails_verification(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Writer._encode
    monkeypatch.setattr(
        Writer, "_encode", lambda self, frame, lasts: frame.pts == 2 or encode(self, frame, lasts)
    )
    form = FORMATS[key]
    path = tmp_path / f"out{form.suffix}"
    path.write_bytes(b"before")
    with pytest.raises(RunError, match=rf"^{path.name}: .*it has 4 pictures and not 5"):
        save(path, numbered(5), form)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_lost_frame_in_a_zip_fails_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = archive.ZipArchive.add
    monkeypatch.setattr(
        archive.ZipArchive, "add", lambda self, name, data: name == "000002.png" or add(self, name, data)
    )
    with pytest.raises(RunError, match="it has 4 pictures and not 5"):
        save(tmp_path / "out.zip", numbered(5))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "flat"), [("webm", "yuv420p"), ("prores", "yuv444p10le"), ("webp", "yuv420p")]
)
def test_missing_alpha_fails_verification(
    tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray], key: str, flat: str
) -> None:
    form = replace(FORMATS[key], alpha_pixel_format=flat)
    with pytest.raises(RunError, match="it has no alpha"):
        save(tmp_path / f"out{form.suffix}", cut_out(drawn), form, alpha=True)
    assert not list(tmp_path.iterdir())


def test_missing_sound_fails_verification(
    tmp_path: Path, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AudioMuxer, "mux", lambda self, until: None)
    with pytest.raises(RunError, match="it has 0 tracks of sound and not 1"):
        save(tmp_path / "out.mp4", numbered(24), sound=AudioRange(clip_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"codec": "vp9"}, "it holds vp9 and not h264"),
        ({"size": (64, 62)}, "64 × 62 pixels and not 64 × 64"),
        ({"depth": 8}, "8 bits per sample and not 10"),
        ({"times": [Fraction(0), Fraction(2)]}, "picture 2 is shown at 2.0000 s and not at 1.0000 s"),
        ({"duration": Fraction(1, 2)}, "it lasts 0.500 s and not 2.000 s"),
        ({"mean_alpha": 0.9}, "90% of its first picture are opaque and not 50%"),
        ({"sound_tracks": 1}, "1 tracks of sound and not 2"),
    ],
)
def test_verification_reports_each_difference(changed: dict[str, Any], said: str) -> None:
    promised = Content("h264", (64, 64), 10, [Fraction(0), Fraction(1)], Fraction(2), 0.5, 2)
    verify_content("out", promised, promised)
    verify_content("out", promised, replace(promised, duration=Fraction(9)))  # there is sound
    with pytest.raises(RunError, match="it lasts"):
        verify_content(
            "out", replace(promised, sound_tracks=0), replace(promised, sound_tracks=0, duration=Fraction(9))
        )
    with pytest.raises(RunError, match=said):
        verify_content("out", promised, replace(promised, **changed))


# Graphics cards


def test_a_working_hardware_encoder_is_used(tmp_path: Path) -> None:
    # Another encoder of the processor in the place of a card's.
    form = replace(
        FORMATS["mp4"], hardware=Hardware("mpeg4", quality_options("qmin", 9, 6, 3, 2), options={})
    )
    assert has_hardware_encoder(form)
    with create_output(tmp_path / "out.mp4", form, StreamSpec(64, 64, *RATE), hardware=True) as output:
        for n, frame in enumerate(numbered(4)):
            output.write(frame, n)
    assert output.notes == ()
    assert ffprobe.stream(tmp_path / "out.mp4")["codec_name"] == "mpeg4"


@pytest.mark.parametrize("codec", ["no_such_encoder", "h264_vaapi", "libsvtav1"])
def test_a_broken_hardware_encoder_falls_back_with_a_note(tmp_path: Path, codec: str) -> None:
    # The last refuses so small a size.
    form = replace(FORMATS["mp4"], hardware=Hardware(codec, {}, options={}))
    with create_output(tmp_path / "out.mp4", form, StreamSpec(2, 2, *RATE), hardware=True) as output:
        output.write(np.zeros((2, 2, 3), np.uint8), 0)
    assert tuple(map(str, output.notes)) == (
        "No graphics card here could encode this; the processor did it.",
    )
    assert ffprobe.stream(tmp_path / "out.mp4")["codec_name"] == "h264"


@pytest.mark.parametrize("key", FORMATS)
def test_hardware_can_be_requested_for_any_format(tmp_path: Path, key: str) -> None:
    form = FORMATS[key]
    shape = (64, 64, *CHANNELS.get(form.content, (3,)))
    path = tmp_path / f"out{form.suffix}"
    with create_output(path, form, StreamSpec(64, 64, *RATE), hardware=True) as output:
        output.write(np.zeros(shape, np.uint8), 0)
    worked = has_hardware_encoder(form, *form.encoded_size(64, 64))
    assert len(output.notes) == (not worked)
    assert not worked or has_any_hardware_encoder()
    assert len(exported.read(path, form).pictures) == 1
