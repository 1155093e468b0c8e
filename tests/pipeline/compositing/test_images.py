"""Pictures from files: any kind, any way up, any colours, and bounds against what is meant to do harm."""

import json
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from pipeline.compositing import background
from pipeline.compositing.canvas import fit_to_canvas
from pipeline.compositing.images import open_image, read_size
from pipeline.errors import BackgroundError
from tests.pipeline.compositing.test_composite import noise


def test_images_are_fitted_to_the_canvas() -> None:
    left, right = (200, 0, 0), (0, 0, 200)
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :40], wide[:, 40:] = left, right
    fill, fit, stretch = (fit_to_canvas(wide, 60, 60, name) for name in ("fill", "fit", "stretch"))
    assert tuple(fill[30, 1]) == left and tuple(fill[30, 58]) == right and fill[0].any(1).all()
    assert not fit[:15].any() and not fit[45:].any() and tuple(fit[30, 1]) == left
    assert tuple(stretch[1, 1]) == left and tuple(stretch[58, 58]) == right
    square = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    for name in ("fill", "fit", "stretch"):
        assert np.array_equal(fit_to_canvas(square, 16, 16, name), square)


def test_fill_crops_to_the_centre() -> None:
    ramp = np.tile(np.arange(90, dtype=np.uint8)[None, :, None], (30, 1, 3))
    assert np.array_equal(fit_to_canvas(ramp, 30, 30, "fill"), ramp[:, 30:60])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).swapaxes(0, 1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_an_image_is_rotated_by_its_exif_orientation(
    tmp_path: Path, orientation: int, upright: Callable[[np.ndarray], np.ndarray], suffix: str
) -> None:
    stored = cv2.resize(noise(3, 4, 3), (160, 120), interpolation=cv2.INTER_NEAREST)
    picture = Image.fromarray(stored)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"turned{suffix}", exif=exif, quality=100)
    for least in (None, 60):
        shown = open_image(tmp_path / f"turned{suffix}", min_side=least)
        expected = upright(stored)
        assert read_size(tmp_path / f"turned{suffix}") == expected.shape[1::-1]
        assert shown.shape == expected.shape or least
        large = cv2.resize(shown, expected.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        assert np.abs(large.astype(int) - expected).mean() < 12


def test_transparent_pixels_become_black(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(tmp_path / "hole.png")
    assert not open_image(tmp_path / "hole.png").any()
    half = Image.new("RGBA", (4, 4), (200, 100, 50, 128))
    half.save(tmp_path / "half.png")
    assert np.abs(open_image(tmp_path / "half.png").astype(int) - (100, 50, 25)).max() <= 1
    palette = Image.new("P", (4, 4))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 1), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    shown = open_image(tmp_path / "palette.png")
    assert tuple(shown[1, 1]) == (0, 0, 255) and not shown[0].any()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, ".png") for mode in ("1", "L", "LA", "P", "I;16", "RGBA", "RGB")]
    + [(mode, ".tif") for mode in ("CMYK", "F", "LAB", "I;16", "1")]
    + [("CMYK", ".jpg"), ("L", ".jpg"), ("RGBA", ".webp"), ("P", ".gif"), ("RGB", ".bmp"), ("RGB", ".jp2")]
    + [("RGB", ".tga"), ("RGB", ".ppm"), ("RGBA", ".ico"), ("RGBA", ".qoi"), ("RGBA", ".dds")],
)
def test_pictures_of_every_mode_and_format(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new(mode, (16, 16)).save(path)
    assert open_image(path).shape == (16, 16, 3)
    assert open_image(path, min_side=8).shape == (8, 8, 3)
    assert isinstance(background.parse(str(path)), background.Picture)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_images_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 50, 90)).save(tmp_path / "a.avif", quality=95)
    assert np.abs(open_image(tmp_path / "a.avif").astype(int) - (200, 50, 90)).max() <= 3


def test_an_animation_is_read_as_its_first_frame(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for suffix in (".gif", ".png", ".webp"):
        pictures[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pictures[1:], lossless=True)
        assert tuple(open_image(tmp_path / f"a{suffix}")[5, 5]) == (255, 0, 0)


def profile_of(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def test_colour_profiles_are_applied(tmp_path: Path) -> None:
    plain = Image.fromarray(cv2.GaussianBlur(noise(20, 20, 3), (0, 0), 2))
    plain.save(tmp_path / "same.png", icc_profile=profile_of("sRGB"))
    assert np.abs(open_image(tmp_path / "same.png").astype(int) - np.asarray(plain)).max() <= 1
    # Primaries swapped round: what the file calls red is meant as green.
    swapped = bytearray(profile_of("sRGB"))
    count = int.from_bytes(swapped[128:132], "big")
    tags = {bytes(swapped[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    swapped[red + 4 : red + 12], swapped[green + 4 : green + 12] = (
        swapped[green + 4 : green + 12],
        swapped[red + 4 : red + 12],
    )
    for suffix in (".png", ".tif", ".jpg", ".webp"):
        for mode, hole in (("RGB", ()), ("RGBA", (255,))):
            if suffix == ".jpg" and hole:
                continue
            picture = Image.new(mode, (20, 20), (200, 40, 90, *hole))
            picture.save(tmp_path / f"a{suffix}", icc_profile=bytes(swapped), quality=95)
            shown = open_image(tmp_path / f"a{suffix}")[5, 5].astype(int)
            assert np.abs(shown - (40, 200, 90)).max() <= 3


def test_an_invalid_colour_profile_is_ignored(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 40, 90)).save(tmp_path / "a.png", icc_profile=b"no profile" * 30)
    Image.new("CMYK", (20, 20)).save(tmp_path / "b.tif", icc_profile=profile_of("sRGB"))
    Image.new("L", (20, 20), 77).save(tmp_path / "c.png", icc_profile=profile_of("sRGB"))
    assert tuple(open_image(tmp_path / "a.png")[5, 5]) == (200, 40, 90)
    assert tuple(open_image(tmp_path / "b.tif")[5, 5]) == (255, 255, 255)
    assert np.abs(open_image(tmp_path / "c.png").astype(int) - 77).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_large_image_is_reduced_while_it_is_read(tmp_path: Path, suffix: str) -> None:
    scene = cv2.resize(noise(6, 8, 3), (1600, 1200), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(scene).save(tmp_path / f"a{suffix}", quality=95)
    whole, small = open_image(tmp_path / f"a{suffix}"), open_image(tmp_path / f"a{suffix}", min_side=200)
    assert whole.shape == scene.shape
    assert 200 <= min(small.shape[:2]) < 400
    for fit in ("fill", "fit", "stretch"):
        a, b = fit_to_canvas(whole, 200, 120, fit), fit_to_canvas(small, 200, 120, fit)
        assert np.abs(a.astype(int) - b).mean() < 3


def test_an_extreme_aspect_ratio_fills_a_frame(tmp_path: Path) -> None:
    strip = np.tile(np.linspace(0, 255, 100_000).astype(np.uint8)[:, None, None], (1, 1, 3))
    shown = fit_to_canvas(strip, 1920, 1080, "fill")
    assert np.abs(shown.astype(int) - 127).max() <= 1
    assert fit_to_canvas(strip, 1920, 1080, "fit").any()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp", ".jp2", ".avif"])
def test_damaged_pictures_are_opened_or_refused(tmp_path: Path, suffix: str) -> None:
    random = np.random.default_rng(0)
    picture = Image.fromarray(cv2.GaussianBlur(noise(40, 50, 3), (0, 0), 3))
    picture.save(tmp_path / f"a{suffix}", icc_profile=profile_of("sRGB"))
    whole = np.frombuffer((tmp_path / f"a{suffix}").read_bytes(), np.uint8)
    for _ in range(40):
        damaged = whole.copy()
        at = random.integers(0, min(len(whole), random.choice([64, 10_000])), 4)
        damaged[at] = random.integers(0, 256, 4)
        (tmp_path / f"b{suffix}").write_bytes(
            damaged[: random.integers(1, len(whole) + 1) if at[0] % 3 == 0 else None].tobytes()
        )
        with suppress(BackgroundError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert open_image(tmp_path / f"b{suffix}", min_side=20).ndim == 3


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert np.abs(open_image(tmp_path / "deep.png").astype(int) - 128).max() <= 1


def test_files_that_are_no_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "program.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    )
    for suffix in ("png", "jpg", "webp", "gif", "tif"):
        Image.fromarray(noise(50, 50, 3)).save(tmp_path / f"whole.{suffix}")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"half.{suffix}").write_bytes(whole[: len(whole) // 2])
    names = ["a.png", "empty.jpg", "program.png", "missing.png"]
    for name in names + [f"half.{suffix}" for suffix in ("png", "jpg", "webp", "gif", "tif")]:
        with pytest.raises(BackgroundError, match=f"^{name}: "):
            open_image(tmp_path / name)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A file of these chunks, made by hand."""
    parts = [
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png(header(side, side), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")))
    with pytest.raises(BackgroundError, match="more than 89 million pixels"):
        open_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(200 * 2**20), 9)),
        (b"zTXt", b"comment\0\0" + zlib.compress(bytes(200 * 2**20), 9)),
        (b"iTXt", b"comment\0\1\0\0\0" + zlib.compress(bytes(200 * 2**20), 9)),
    ],
    ids=["profile", "text", "unicode"],
)
def test_large_compressed_metadata_is_not_unpacked(tmp_path: Path, chunk: tuple[bytes, bytes]) -> None:
    pixels = b"".join(b"\0" + bytes(30) for _ in range(10))
    whole = png(header(10, 10), chunk, (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(whole)
    tracemalloc.start()
    try:
        with suppress(BackgroundError):
            open_image(tmp_path / "a.png")
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()


def tiff_of_twelve_bits(path: Path, values: np.ndarray) -> Path:
    """Grey values packed as scanners and microscopes write them: two in three bytes."""
    height, width = values.shape
    bits = ((values[..., None] >> np.arange(11, -1, -1)) & 1).astype(np.uint8)
    data = np.packbits(bits.reshape(height, -1), axis=1).tobytes()
    # Width, height, bits, no compression, black is zero, where the data is, samples, rows, bytes.
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(head + data + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


def test_high_bit_depth_grey_keeps_its_brightness(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    Image.fromarray(ramp).save(tmp_path / "float.tif")
    Image.fromarray(ramp * 255).save(tmp_path / "bytes.tif")
    Image.fromarray(ramp).save(tmp_path / "float.pfm")
    Image.fromarray((ramp * 4095).astype(np.uint16)).save(tmp_path / "stored.tif")
    Image.fromarray((ramp * 65535).astype(np.uint16)).save(tmp_path / "sixteen.tif")
    Image.fromarray((ramp * 2**30).astype(np.int32)).save(tmp_path / "long.tif")
    tiff_of_twelve_bits(tmp_path / "packed.tif", np.rint(ramp * 4095).astype(np.uint16))
    (tmp_path / "a.pgm").write_bytes(b"P5\n64 48\n4095\n" + (ramp * 4095).astype(">u2").tobytes())
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 8
    for path in paths:
        assert np.abs(open_image(path)[..., 0] - ramp * 255).max() <= 1.5, path.name


def test_float_images_with_nan_are_accepted(tmp_path: Path) -> None:
    values = np.full((4, 4), 0.5, np.float32)
    values[0] = (np.nan, -3, 0.25, 1)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert open_image(tmp_path / "a.tif")[..., 0].tolist()[0] == [0, 0, 64, 255]


def test_a_dark_16_bit_picture_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").max() == 12


@pytest.mark.parametrize("least", [None, 1920])
def test_a_very_large_photograph_is_reduced_while_it_is_read(tmp_path: Path, least: int | None) -> None:
    """108 million pixels, as phones take them: whole they would take 324 MB, and as much again on the way."""
    Image.new("RGB", (12_000, 9_000), (200, 50, 90)).save(tmp_path / "a.jpg", quality=50)
    code = (
        "import json, pathlib, resource, sys\nfrom pipeline.compositing.images import open_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "picture = open_image(pathlib.Path(sys.argv[1]), min_side=json.loads(sys.argv[2]))\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(json.dumps([picture.shape, picture[9, 9].tolist(), grown]))"
    )
    run = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.jpg"), json.dumps(least)]
    told = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    shape, colour, kilobytes = told
    assert shape == ([2250, 3000, 3] if least else [4500, 6000, 3])
    assert np.abs(np.array(colour) - (200, 50, 90)).max() <= 3
    assert kilobytes < 250 * 1024
