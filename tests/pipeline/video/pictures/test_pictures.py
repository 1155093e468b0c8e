"""Pictures as clips of one frame, with Pillow as the witness of what they show."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from pipeline.errors import VideoError
from pipeline.formats import FORMATS
from pipeline.video.pictures import still
from pipeline.video.pictures.still import needs_heif
from pipeline.video.priority import drop_realtime_priority
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.probe import probe_clip

SIZE = 61, 43
"""Odd, so that subsampled colours and padded rows would show."""


def drawn() -> Image.Image:
    """A picture whose corners differ, so that each way to turn it shows."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return Image.fromarray(np.dstack((4 * x, 5 * y, 255 - 3 * x)).astype(np.uint8))


def transparent() -> Image.Image:
    image = drawn().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def only_frame(path: Path, high_bit_depth: bool = False) -> Frame:
    (frame,) = read_frames(path, high_bit_depth=high_bit_depth)
    return frame


KINDS = {
    "a.png": {},
    "a.bmp": {},
    "a.tif": {},
    "packed.tif": {"compression": "tiff_lzw"},
    "a.jpg": {"quality": 95},
    "a.webp": {"lossless": True},
    "a.avif": {"quality": 95},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_a_clip_of_one_frame(name: str, tmp_path: Path) -> None:
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = saved(tmp_path / name, drawn(), **KINDS[name])
    clip = probe_clip(path)
    assert (clip.width, clip.height, clip.frames, clip.depth) == (*SIZE, 1, 8)
    assert clip.is_picture and not clip.alpha and not clip.sound and not clip.remarks
    frame = only_frame(path)
    witness = np.asarray(Image.open(path).convert("RGB"))
    assert frame.pts == 0 and frame.alpha is None
    assert np.array_equal(frame.image, witness)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_kept_with_straight_colours(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix}", transparent(), **({"lossless": True} if suffix == ".webp" else {}))
    frame, witness = only_frame(path), np.asarray(Image.open(path).convert("RGBA"))
    assert probe_clip(path).alpha
    assert frame.alpha is not None and np.array_equal(frame.alpha, witness[..., 3])
    seen = witness[..., 3] > 0
    assert np.array_equal(frame.image[seen], witness[..., :3][seen])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_the_orientation_is_applied(orientation: int, deep: bool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = saved(tmp_path / "plain.png", drawn(), exif=exif)
    witness = np.asarray(_upright(plain))
    path = plain
    if deep:  # the same pixels in 16 bits, with Pillow's EXIF chunk
        path = tmp_path / "deep.png"
        _, encoded = cv2.imencode(".png", np.asarray(drawn())[..., ::-1].astype(np.uint16) * 257)
        data, at = encoded.tobytes(), 8 + 25
        path.write_bytes(data[:at] + _chunk(b"eXIf", exif.tobytes()[6:]) + data[at:])
    clip = probe_clip(path)
    assert (clip.height, clip.width) == witness.shape[:2] and clip.depth == (16 if deep else 8)
    assert np.array_equal(only_frame(path).image, witness)


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_the_orientation_of_a_tiff_is_applied_once(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.tif", drawn(), exif=exif)
    witness = np.asarray(_upright(path))
    clip = probe_clip(path)
    assert (clip.height, clip.width) == witness.shape[:2]
    assert np.array_equal(only_frame(path).image, witness)


def _upright(path: Path) -> Image.Image:
    from PIL import ImageOps

    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def wide_profile() -> bytes:
    """A profile of another space than sRGB, which a conversion shows: linear light with swapped primaries."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = (int.from_bytes(profile[tags[tag] + 4 : tags[tag] + 8], "big") for tag in (b"rXYZ", b"gXYZ"))
    first = bytes(profile[red + 8 : red + 20])
    profile[red + 8 : red + 20] = profile[green + 8 : green + 20]
    profile[green + 8 : green + 20] = first
    return bytes(profile)


def test_a_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", drawn(), icc_profile=wide_profile())
    own = ImageCms.ImageCmsProfile(io.BytesIO(wide_profile()))
    witness = ImageCms.profileToProfile(drawn(), own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert witness is not None
    image = only_frame(path).image
    assert np.array_equal(image, np.asarray(witness))
    assert np.abs(image.astype(int) - np.asarray(drawn())).max() > 100  # the profile matters


def test_a_profile_is_converted_in_16_bits(tmp_path: Path) -> None:
    """As in 8 bits, but for what those lose."""
    path = tmp_path / "a.png"
    _, encoded = cv2.imencode(".png", np.asarray(drawn())[..., ::-1].astype(np.uint16) * 257)
    data, at = encoded.tobytes(), 8 + 25
    packed = zlib.compress(wide_profile())
    path.write_bytes(data[:at] + _chunk(b"iCCP", b"own\0\0" + packed) + data[at:])
    eight = only_frame(saved(tmp_path / "b.png", drawn(), icc_profile=wide_profile())).image
    image16 = only_frame(path, high_bit_depth=True).image16
    assert image16 is not None and np.abs(image16 / 257 - eight).max() < 2


def test_a_profile_of_srgb_leaves_16_bits_as_they_are(tmp_path: Path) -> None:
    path, pixels = deep(tmp_path)
    data, at = path.read_bytes(), 8 + 25
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path.write_bytes(data[:at] + _chunk(b"iCCP", b"own\0\0" + zlib.compress(own)) + data[at:])
    image16 = only_frame(path, high_bit_depth=True).image16
    assert image16 is not None and np.array_equal(image16, pixels)


def deep(folder: Path, suffix: str = ".png") -> tuple[Path, np.ndarray]:
    """A picture in 16 bits, whose values no 8 bits hold, and its RGB."""
    pixels = np.random.default_rng(3).integers(0, 65536, (*SIZE[::-1], 3)).astype(np.uint16)
    path = folder / f"deep{suffix}"
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path, pixels


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_kept(suffix: str, tmp_path: Path) -> None:
    path, pixels = deep(tmp_path, suffix)
    frame = only_frame(path, high_bit_depth=True)
    assert probe_clip(path).depth == 16
    assert frame.image16 is not None and np.array_equal(frame.image16, pixels)


def write_avif(path: Path, luma: np.ndarray) -> Path:
    """Write a grey AVIF in 10 bits, by FFmpeg's own encoder; `luma` is in the limited range."""
    height, width = luma.shape
    with drop_realtime_priority(), av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        frame = av.VideoFrame(width, height, "yuv420p10le")
        for number, plane in enumerate(frame.planes):
            samples = np.full((plane.height, plane.line_size // 2), 512, np.uint16)
            if number == 0:
                samples[:, :width] = luma
            plane.update(samples.tobytes())
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_10_bits_of_an_avif_are_kept(tmp_path: Path) -> None:
    """A ramp whose steps are smaller than those of 8 bits."""
    luma = np.broadcast_to(np.linspace(400, 528, 256).astype(np.uint16), (64, 256))
    path = write_avif(tmp_path / "a.avif", luma)
    frame = only_frame(path, high_bit_depth=True)
    assert probe_clip(path).depth == 16 and frame.image16 is not None
    exact = (luma[32].astype(float) - 64) / 876 * 65535
    middle = frame.image16[32].astype(float)
    assert np.abs(middle - exact[:, None]).max() < 200  # 1/256 would be 257
    assert len(np.unique(middle[:, 1])) > 100 > len(np.unique(frame.image[32, :, 1]))
    with Image.open(path) as witness:
        assert np.abs(frame.image.astype(int) - np.asarray(witness.convert("RGB"))).max() <= 2


def test_16_bits_of_grey_are_kept(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint16)
    path = saved(tmp_path / "a.png", Image.fromarray(grey))
    frame = only_frame(path, high_bit_depth=True)
    assert probe_clip(path).depth == 16
    assert frame.image16 is not None and np.abs(frame.image16[..., 1].astype(int) - grey).max() <= 1


def test_alpha_beside_16_bits_is_kept(tmp_path: Path) -> None:
    _, pixels = deep(tmp_path)
    alpha = np.zeros(SIZE[::-1], np.uint16)
    alpha[:, 20:] = 65535
    assert cv2.imwrite(str(tmp_path / "a.png"), np.dstack((pixels[..., ::-1], alpha)))
    frame = only_frame(tmp_path / "a.png", high_bit_depth=True)
    assert frame.alpha is not None and np.array_equal(frame.alpha, alpha // 257)
    assert frame.image16 is not None and np.array_equal(frame.image16, pixels)


def palette() -> Image.Image:
    image = drawn().quantize(32)
    image.info["transparency"] = 3
    return image


ODD_ONES: dict[str, Callable[[], Image.Image]] = {
    "palette.png": palette,
    "grey-alpha.png": lambda: Image.merge("LA", (drawn().convert("L"), transparent().getchannel("A"))),
    "grey.jpg": lambda: drawn().convert("L"),
    "cmyk.jpg": lambda: drawn().convert("CMYK"),
    "bits.tif": lambda: drawn().convert("1"),
    "one.png": lambda: Image.new("RGB", (1, 1), (200, 30, 4)),
    "thin.jpg": lambda: drawn().crop((5, 0, 6, 43)),
}


@pytest.mark.parametrize("name", ODD_ONES)
def test_odd_pictures_show_what_pillow_shows(name: str, tmp_path: Path) -> None:
    image = ODD_ONES[name]()
    options = {"transparency": 3} if name.startswith("palette") else {}
    path = saved(tmp_path / name, image, **options)
    with Image.open(path) as opened:
        witness = np.asarray(opened.convert("RGBA" if opened.has_transparency_data else "RGB"))
    frame = only_frame(path)
    assert np.array_equal(frame.image, witness[..., :3])
    if witness.shape[2] == 4:
        assert frame.alpha is not None and np.array_equal(frame.alpha, witness[..., 3])


def test_the_first_page_of_several_is_read(tmp_path: Path) -> None:
    pages = [drawn(), drawn().rotate(180)]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    assert probe_clip(path).frames == 1
    assert np.array_equal(only_frame(path).image, np.asarray(drawn()))


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_animations_are_videos(suffix: str, tmp_path: Path) -> None:
    frames = [drawn().rotate(10 * n) for n in range(4)]
    path = saved(tmp_path / f"a{suffix}", frames[0], save_all=True, append_images=frames[1:], duration=100)
    clip = probe_clip(path)
    assert clip.frames == 4 and not clip.is_picture
    assert clip.duration == pytest.approx(0.4)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size, and holds next to nothing."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(side, side))
    with pytest.raises(VideoError, match=r"^a\.png: this picture has more pixels than can be handled \(134"):
        probe_clip(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".avif"])
def test_a_truncated_picture_is_refused(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix}", Image.effect_noise((200, 150), 80))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=rf"^a\{suffix}: this picture (cannot be read|is damaged)"):
        probe_clip(path)


def test_a_jpeg_of_many_scans_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.jpg", drawn(), progressive=True)
    monkeypatch.setattr(still.jpeg, "MAX_SCANS", 3)
    with pytest.raises(VideoError, match="takes far too long"):
        probe_clip(path)


def test_heic_names_the_package_that_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "formats", lambda: ("PNG",))
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(500))
    with path.open("rb") as file:
        assert needs_heif(file)
    with pytest.raises(VideoError, match=r"^a\.heic: HEIC pictures .*pillow-heif"):
        probe_clip(path)


def test_heic_is_read_where_the_package_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.heic", drawn(), quality=95, exif=exif)
    clip = probe_clip(path)
    assert (clip.frames, clip.codec) == (1, "heif")
    assert (clip.width, clip.height) == _upright(path).size
    assert np.array_equal(only_frame(path).image, np.asarray(_upright(path).convert("RGB")))


def test_only_still_formats_are_of_one_picture() -> None:
    assert {key for key, form in FORMATS.items() if form.still} == {"png-still", "webp-still", "jpeg"}
