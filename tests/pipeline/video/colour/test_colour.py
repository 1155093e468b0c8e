"""Colours that are read: what the tags of a file say, against the equations of the standards themselves."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from pipeline.errors import VideoError
from pipeline.video.colour import to_rgb, tonemap
from pipeline.video.reading.frames import read_frames, read_frames_backward
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.video.test_video import ffmpeg

GREY, RED, SKIN, DARK, WHITE = (128, 128, 128), (220, 30, 30), (224, 172, 140), (20, 24, 18), (255, 255, 255)
PATCHES = np.array((GREY, RED, SKIN, DARK, WHITE), float)
EDGE = 16  # pixels of a patch
LOSSLESS = "lossless=1:log-level=none"

# Kr and Kb of ITU-R BT.709, BT.601 (both lines of it), BT.2020, SMPTE 240M and 47 CFR 73.682 (FCC).
MATRICES = {
    "bt709": (1, 0.2126, 0.0722),
    "bt470bg": (5, 0.299, 0.114),
    "smpte170m": (6, 0.299, 0.114),
    "bt2020nc": (9, 0.2627, 0.0593),
    "smpte240m": (7, 0.212, 0.087),
    "fcc": (4, 0.30, 0.11),
}
# ITU-R BT.2087: linear light of BT.709 in the primaries of BT.2020.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
# Linear light of BT.709 in the primaries of P3-D65 (SMPTE EG 432-1).
TO_P3 = np.array([[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9108]])


def coded(signal: np.ndarray, matrix: str, full: bool, bits: int) -> np.ndarray:
    """Y, Cb, Cr samples `[N, 3]` of R'G'B' `[N, 3]` in [0, 1]."""
    _, kr, kb = MATRICES[matrix]
    red, green, blue = signal.T
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    most, step = 2**bits - 1, 2 ** (bits - 8)
    if full:
        planes = [most * luma, most * cb + 128 * step, most * cr + 128 * step]
    else:
        planes = [(16 + 219 * luma) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step]
    rounded: np.ndarray = np.clip(np.rint(np.stack(planes, axis=1)), 0, most).astype(int)
    return rounded


def write(path: Path, samples: Sequence[np.ndarray], pix_fmt: str, **tags: int) -> Path:
    """A lossless clip of one frame, whose planes are `samples`, tagged as asked."""
    height, width = samples[0].shape
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        frame = av.VideoFrame(width, height, pix_fmt)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        for plane, values in zip(frame.planes, samples, strict=True):
            kind = np.uint16 if "le" in pix_fmt else np.uint8
            lines = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
            lines[:, : plane.width] = values
            plane.update(lines.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patches(path: Path, signal: np.ndarray, pix_fmt: str, matrix: str, full: bool, **tags: int) -> Path:
    """A clip of patches beside each other, R'G'B' `[N, 3]` in [0, 1], made without anybody's conversion."""
    bits = int(pix_fmt[7:9]) if "le" in pix_fmt else 8
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pix_fmt[3:6]]
    planes = []
    for plane, row in enumerate(coded(signal, matrix, full, bits).T):
        x, y = (across, down) if plane else (1, 1)
        planes.append(np.tile(np.repeat(row, EDGE // x), (EDGE // y, 1)))
    tags = {"colorspace": MATRICES[matrix][0], "color_range": 2 if full else 1} | tags
    return write(path, planes, pix_fmt, **tags)


def seen(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The middle of each patch `[N, 3]` as it is read, and as it is read in 16 bits; both in [0, 255]."""
    (plain,) = read_frames(path)
    (frame,) = read_frames(path, high_bit_depth=True)
    assert (
        frame.image16 is not None
        and frame.image16.dtype == np.uint16
        and frame.image16.shape == plain.image.shape
    )
    assert np.array_equal(frame.image, np.rint(frame.image16 / 257))
    assert np.abs(frame.image.astype(int) - plain.image).max() <= 1
    middle = slice(EDGE // 2, None, EDGE)
    return plain.image[EDGE // 2, middle].astype(float), frame.image16[EDGE // 2, middle] / 257


# SDR


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv422p12le"],
)
def test_colour_patches_are_reproduced_on_every_path(
    tmp_path: Path, matrix: str, full: bool, pix_fmt: str
) -> None:
    path = patches(tmp_path / "patches.mkv", PATCHES / 255, pix_fmt, matrix, full)
    for read in seen(path):
        assert np.abs(read - PATCHES).max() <= 2


def test_a_tagged_file_written_by_ffmpeg(tmp_path: Path) -> None:
    source = patches(tmp_path / "patches.mkv", PATCHES / 255, "yuv420p10le", "bt2020nc", False)
    tags = (
        "-colorspace",
        "bt2020nc",
        "-color_range",
        "tv",
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
    )
    path = tmp_path / "tagged.mp4"
    ffmpeg("-i", source, "-c:v", "libx265", "-x265-params", LOSSLESS, *tags, path)
    assert ffprobe.stream(path)["color_space"] == "bt2020nc"
    assert np.abs(seen(path)[0] - PATCHES).max() <= 2


@pytest.mark.parametrize("pix_fmt", ["gbrp10le", "gbrp16le", "gray", "gray10le"])
def test_rgb_and_grey_pixel_formats(tmp_path: Path, pix_fmt: str) -> None:
    most = 2 ** (int(pix_fmt[4:-2]) if "le" in pix_fmt else 8) - 1
    shown = PATCHES if "gbr" in pix_fmt else np.repeat(PATCHES[:, :1], 3, axis=1)
    rows = np.rint(shown / 255 * most).astype(int)[:, (1, 2, 0) if "gbr" in pix_fmt else (0,)].T
    path = write(tmp_path / "plain.mkv", [np.tile(np.repeat(r, EDGE), (EDGE, 1)) for r in rows], pix_fmt)
    for read in seen(path):
        assert np.abs(read - shown).max() <= 0.51


def decoded_curve(signal: np.ndarray) -> np.ndarray:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def encoded_curve(linear: np.ndarray) -> np.ndarray:
    linear = np.maximum(linear, 0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("primaries", "matrix"), [(ColorPrimaries.BT2020, TO_2020), (ColorPrimaries.SMPTE432, TO_P3)]
)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_wide_gamut_is_converted_to_bt709(
    tmp_path: Path, primaries: int, matrix: np.ndarray, pix_fmt: str
) -> None:
    wide = encoded_curve(decoded_curve(PATCHES / 255) @ matrix.T)
    assert np.abs(wide * 255 - PATCHES)[1:3].max() > 8  # else nothing is tested
    path = patches(
        tmp_path / "wide.mkv", wide, pix_fmt, "bt2020nc", False, color_primaries=primaries, color_trc=1
    )
    assert probe_clip(path).transfer == "sdr"
    grace = 2 if "10" in pix_fmt else 4  # eight bits of a wide space are coarse at the edge of a narrow one
    for read in seen(path):
        assert np.abs(read - PATCHES).max() <= grace


def test_out_of_gamut_colours_are_desaturated_at_their_luminance(tmp_path: Path) -> None:
    wide = np.array([[0.0, 1.0, 0.0], [0.2, 0.9, 0.1], [0.8, 0.1, 0.1]])
    path = patches(
        tmp_path / "wide.mkv", wide, "yuv444p10le", "bt2020nc", False, color_primaries=9, color_trc=1
    )
    _, read = seen(path)
    assert (read.argmax(axis=1) == wide.argmax(axis=1)).all()
    assert read[0].min() < 3
    shown = decoded_curve(read / 255) @ [0.2126, 0.7152, 0.0722]
    assert np.abs(shown - decoded_curve(wide) @ [0.2627, 0.6780, 0.0593]).max() < 0.01


# HDR


def pq_coded(nits: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, table 4: the inverse of the EOTF."""
    y = (np.maximum(nits, 0) / 10000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def pq_light(signal: np.ndarray) -> np.ndarray:
    root = signal ** (1 / 78.84375)
    linear = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(10000 * linear ** (1 / 0.1593017578125))


def hlg_coded(nits: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, table 5, on a screen of 1000 cd/m2: the inverse OOTF, then the OETF."""
    shown = nits / 1000
    luminance = shown @ [0.2627, 0.6780, 0.0593]
    scene = shown * np.maximum(luminance, 1e-9)[:, None] ** (-0.2 / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def knee(nits: np.ndarray, peak: float) -> np.ndarray:
    """ITU-R BT.2390, 5.4.1, from a screen of `peak` to one of 203 cd/m2."""
    most = pq_coded(np.array(203.0)) / pq_coded(np.array(peak))
    signal = np.minimum(pq_coded(nits) / pq_coded(np.array(peak)), 1)
    start = 1.5 * most - 0.5
    t = (signal - start) / (1 - start)
    bent = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * (1 - start)
    bent += (-2 * t**3 + 3 * t**2) * most
    return pq_light(np.where(signal < start, signal, bent) * pq_coded(np.array(peak)))


HDR = {"pq": (ColorTrc.SMPTE2084, pq_coded), "hlg": (ColorTrc.ARIB_STD_B67, hlg_coded)}


def hdr(path: Path, nits: np.ndarray, transfer: str, full: bool = False, **tags: int) -> Path:
    """A clip of patches of light, cd/m2 in the primaries of BT.709."""
    curve, signal = HDR[transfer]
    wide = signal(nits @ TO_2020.T)
    tags = {"color_primaries": ColorPrimaries.BT2020, "color_trc": curve} | tags
    return patches(path, wide, "yuv420p10le", "bt2020nc", full, **tags)


@pytest.mark.parametrize("transfer", HDR)
@pytest.mark.parametrize("full", [False, True])
def test_hdr_is_tone_mapped_by_bt2100_and_bt2390(tmp_path: Path, transfer: str, full: bool) -> None:
    patches_of_light = decoded_curve(PATCHES / 255) * 203
    path = hdr(tmp_path / "hdr.mkv", patches_of_light, transfer, full)
    brightest = patches_of_light.max(axis=1, keepdims=True)
    truth = 255 * encoded_curve(patches_of_light * knee(brightest, 1000) / brightest / 203)
    for read in seen(path):
        assert np.abs(read - truth).max() <= 2
    assert np.abs(truth - PATCHES)[[0, 3]].max() < 1  # what is no highlight looks as it would have in SDR
    assert 225 < truth[4].min() < 240  # diffuse white is near white
    clip = probe_clip(path)
    assert clip.transfer == transfer and clip.remarks == ("hdr",) and clip.depth == 10


@pytest.mark.parametrize("transfer", HDR)
def test_tone_mapping_keeps_grey_and_is_monotonic(tmp_path: Path, transfer: str) -> None:
    nits = np.repeat(np.geomspace(0.5, 1000, 60)[:, None], 3, axis=1)
    _, read = seen(hdr(tmp_path / "ramp.mkv", nits, transfer))
    assert np.ptp(read, axis=1).max() < 1.5
    assert (np.diff(read.mean(axis=1)) > 0).all()
    assert read[0].max() < 9 and read[-1].min() > 253


def test_untagged_hdr_is_assumed_to_be_bt2020(tmp_path: Path) -> None:
    nits = decoded_curve(PATCHES / 255) * 203
    _, told = seen(hdr(tmp_path / "told.mkv", nits, "pq"))
    path = hdr(tmp_path / "untold.mkv", nits, "pq", color_primaries=2, colorspace=2)
    assert "color_space" not in ffprobe.stream(path)
    assert np.array_equal(seen(path)[1], told)


def test_peak_luminance_is_read_from_side_data(tmp_path: Path) -> None:
    nits = np.full((5, 3), 1.0) * np.array([[10], [100], [203], [1000], [4000]])
    source = hdr(tmp_path / "hdr.mkv", nits, "pq")
    path = tmp_path / "graded.mp4"
    graded = (
        "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,50):max-cll=4000,400"
    )
    tags = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084")
    ffmpeg("-i", source, "-c:v", "libx265", "-x265-params", graded, *tags, path)
    truth = 255 * encoded_curve(knee(nits, 4000) / 203)
    assert truth[3].max() < 250 < truth[4].min()
    assert np.abs(seen(path)[1] - truth).max() <= 2
    assert np.abs(seen(source)[1] - 255 * encoded_curve(knee(nits, 1000) / 203)).max() <= 2


def sdr_coded(nits: np.ndarray) -> np.ndarray:
    return encoded_curve(nits / 1000)


@pytest.mark.parametrize(
    ("transfer", "primaries", "curve"),
    [("pq", 9, pq_coded), ("hlg", 9, hlg_coded), ("sdr", 9, sdr_coded), ("sdr", 12, sdr_coded)],
)
def test_the_lookup_table_approximates_the_formulas(transfer: Any, primaries: int, curve: Any) -> None:
    random = np.random.default_rng(5).random((6, 8, 3), np.float32)
    image = cv2.resize(random, (320, 240), interpolation=cv2.INTER_CUBIC).clip(0.02, 0.98)
    image = image.mean(axis=2, keepdims=True) * 0.5 + image * 0.5  # as colourful as a street
    nits = decoded_curve(image) * np.geomspace(20, 1000, 320)[:, None]  # from night to day
    wide = nits.reshape(-1, 3) @ (TO_2020 if primaries == 9 else TO_P3).T
    signal = np.rint(curve(wide).reshape(image.shape) * 65535).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(signal, format="gbrp16le")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    frame.color_primaries = primaries
    frame.color_trc = {"pq": 16, "hlg": 18, "sdr": 1}[transfer]
    shown = to_rgb.RgbConverter().to_rgb(frame, 320, 240, high_bit_depth=True) / 257
    error = np.abs(shown - 255 * tonemap.to_bt709(signal / 65535, transfer, primaries))
    assert error.mean() < 0.1 and np.percentile(error, 99.9) < 3


# Depth


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [10, 12])
def test_all_levels_of_a_10_bit_source_are_kept(tmp_path: Path, bits: int, full: bool) -> None:
    low, high = (0, 2**bits - 1) if full else (16 << (bits - 8), 235 << (bits - 8))
    ramp = np.arange(low, high + 1)
    planes = [np.tile(ramp, (4, 1)), *(np.full((4, len(ramp)), 1 << (bits - 1)) for _ in "bb")]
    tags = {"colorspace": Colorspace.ITU709, "color_range": ColorRange.JPEG if full else ColorRange.MPEG}
    path = write(tmp_path / "ramp.mkv", planes, f"yuv444p{bits}le", **tags)
    (frame,) = read_frames(path, high_bit_depth=True)
    assert frame.image16 is not None
    truth = (ramp - low) / (high - low) * 65535
    assert np.abs(frame.image16[0] - truth[:, None]).max() < 65535 / (high - low) / 2
    assert len(np.unique(frame.image16[0, :, 1])) == len(ramp)
    assert frame.image16[0, 0].max() == 0 and frame.image16[0, -1].min() >= 65535 - 2
    assert probe_clip(path).depth == bits


def test_backward_reading_supports_16_bits(tmp_path: Path) -> None:
    path = patches(tmp_path / "patches.mkv", PATCHES / 255, "yuv420p10le", "bt709", False)
    (forward,), (backward,) = (
        read_frames(path, high_bit_depth=True),
        read_frames_backward(path, 0, 1, high_bit_depth=True),
    )
    assert forward.image16 is not None and backward.image16 is not None
    assert np.array_equal(forward.image16, backward.image16)


# What cannot be shown


def test_an_unsupported_colour_matrix_is_refused(tmp_path: Path) -> None:
    path = patches(tmp_path / "odd.mkv", PATCHES / 255, "yuv444p", "bt709", True, colorspace=8)
    with pytest.raises(VideoError, match=r"^odd\.mkv: its colours are coded in a way"):
        probe_clip(path)


def test_dolby_vision_without_a_compatible_base_layer_is_refused() -> None:
    start = (48).to_bytes(8, "little")
    # rpu_type, rpu_format (16 bits, aligned), profile, level, four more, bl_video_full_range_flag
    alone = bytes((2, 0, 18, 0, 0, 0, 0, 0, 23, 1, 1))
    over_hlg = bytes((2, 0, 18, 0, 1, 0, 0, 0, 23, 1, 0))
    assert to_rgb.is_dolby_profile_5(start.ljust(48, b"\0") + alone)
    assert not to_rgb.is_dolby_profile_5(start.ljust(48, b"\0") + over_hlg)
