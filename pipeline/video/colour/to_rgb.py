"""Conversion of decoded frames to full-range BT.709 SDR RGB, by their colour tags."""

from __future__ import annotations

import os
import sys
import tempfile
from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from pipeline.arrays import Grey, Matte, Pixels
from pipeline.clip import Transfer
from pipeline.files import write_errors
from pipeline.video.colour import tonemap
from pipeline.video.colour.tonemap import ToneMap
from pipeline.video.reading.side_data import side_data

# Without the last two flags swscale repeats chroma samples instead of interpolating them, and rounds down:
# images get a level or two too dark.
ACCURATE_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

# AVColorSpace (ITU-T H.273 matrix coefficients) to swscale's name for it.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

# The transfer functions of BT.470, BT.601, BT.709, SMPTE 240M, BT.2020 and sRGB are meant for much the same
# displays, which show the signal unchanged: like players, nothing here converts between them. Only these two
# are meant for other displays.
_TRANSFERS: dict[int, Transfer] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}

# The primaries of BT.601 differ from BT.709's by less than two displays do; these are much wider, and skin
# would look pale without conversion. Untagged files are taken as BT.709.
_WIDE_PRIMARIES = (ColorPrimaries.BT2020, ColorPrimaries.SMPTE432)


# Matrices that swscale does not support: YCgCo variants, SMPTE 2085, ICtCp and Dolby's.
_UNSUPPORTED_MATRICES = frozenset({8, 11, 14, 15, 16, 17})


def get_transfer(frame: av.VideoFrame) -> Transfer:
    """Return the transfer function by the frame's tag; "sdr" unless it is PQ or HLG."""
    return _TRANSFERS.get(frame.color_trc, "sdr")


def is_foreign(frame: av.VideoFrame) -> bool:
    """Return True if the frame's colours are meant for other displays, and are mapped to BT.709 SDR."""
    return get_transfer(frame) != "sdr" or frame.color_primaries in _WIDE_PRIMARIES


def is_supported(frame: av.VideoFrame) -> bool:
    """Return True if the frame can be converted to RGB, unlike Dolby Vision without a compatible base."""
    dolby = side_data(frame, "DOVI_METADATA")
    return frame.colorspace not in _UNSUPPORTED_MATRICES and not (
        dolby is not None and is_dolby_profile_5(dolby)
    )


def is_dolby_profile_5(dolby: bytes) -> bool:
    """Return True if FFmpeg's AVDOVIMetadata is profile 5, which has no HDR10, HLG or SDR base layer."""
    start = int.from_bytes(dolby[:8], sys.byteorder)
    profile, full_range = dolby[start + 4], dolby[start + 10]
    return profile == 0 and full_range == 1


# Decoding uses other cores; with few of them, more threads cost more than they gain.
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 4))

_TICK = Fraction(1, 1000)  # of a filter graph in which timestamps do not matter


class RgbConverter:
    """Converter of one video's frames to grey, RGB and alpha arrays."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._peak: float | None = None
        self._lut: Graph | None = None
        self._lut_key: tuple[Any, ...] = ()

    def to_grey(self, frame: av.VideoFrame, width: int, height: int) -> Grey:
        """Return the luma as `[H, W]` uint8, full range, scaled to `width` × `height` pixels."""
        return cast(Grey, self._reformat(frame, width, height, "gray", None).to_ndarray())

    def to_alpha(self, frame: av.VideoFrame, width: int, height: int) -> Matte | None:
        """Return the frame's alpha as `[H, W]` uint8, 255 opaque; None if it is opaque everywhere."""
        form = frame.format
        if not (form.has_palette or any(component.is_alpha for component in form.components)):
            return None
        if form.is_planar and not form.is_big_endian:
            plane, bits = frame.planes[-1], form.components[-1].bits
            samples = np.frombuffer(memoryview(plane), np.uint8 if bits == 8 else np.uint16)
            alpha: Any = samples.reshape(frame.height, -1)[:, : frame.width]
            if bits > 8:  # opaque is all ones, or 255 shifted left if 8 bits were widened
                alpha = cv2.convertScaleAbs(alpha, alpha=1 / (1 << bits - 8))
            if alpha.shape != (height, width):
                alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            alpha = self._reformat(frame, width, height, "rgba", None).to_ndarray()[..., 3]
        return None if alpha.min() == 0xFF else np.array(alpha)  # copied: the frame's memory is reused

    def to_rgb(self, frame: av.VideoFrame, width: int, height: int, high_bit_depth: bool) -> Pixels:
        """Return `[H, W, 3]` RGB over the full range: uint8, or uint16 if `high_bit_depth`."""
        foreign = is_foreign(frame)
        bits = max(component.bits for component in frame.format.components)
        # Planar output, because swscale is several times faster with it.
        if not (high_bit_depth or bits > 8 or foreign):
            planes = self._reformat(frame, width, height, "gbrp", _MATRICES[choose_matrix(frame)])
            return cast(Pixels, cv2.merge(_rgb_planes(planes, np.uint8)))
        planes = self._reformat(frame, width, height, "gbrp16le", _MATRICES[choose_matrix(frame)])
        white = white_level(frame, bits)
        if foreign:
            planes, white = self._apply_tonemap(planes, self.choose_tonemap(frame, white)), 0xFFFF
        channels = _rgb_planes(planes, np.uint16)
        if high_bit_depth:
            return cast(Pixels, cv2.merge([cv2.addWeighted(c, 0xFFFF / white, c, 0, 0) for c in channels]))
        return cast(Pixels, cv2.merge([cv2.convertScaleAbs(c, alpha=0xFF / white) for c in channels]))

    def _reformat(
        self, frame: av.VideoFrame, width: int, height: int, pixel_format: str, matrix: Colorspace | None
    ) -> av.VideoFrame:
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=matrix,
            src_color_range=_choose_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=ACCURATE_SCALING,
            threads=_THREADS,
        )

    def choose_tonemap(self, frame: av.VideoFrame, white: int) -> ToneMap:
        """Return the tone map of a foreign frame whose signal is in 16 bits, with white at this value."""
        transfer, primaries = get_transfer(frame), frame.color_primaries
        if transfer != "sdr" and primaries not in tonemap.PRIMARIES:
            primaries = ColorPrimaries.BT2020
        if self._peak is None:  # read from one frame only: side data keeps its frame alive for a while
            self._peak = _peak_luminance(frame) if transfer == "pq" else tonemap.DEFAULT_PEAK
        return ToneMap(transfer, primaries, self._peak, 0xFFFF / white)

    def _apply_tonemap(self, planes: av.VideoFrame, tone_map: ToneMap) -> av.VideoFrame:
        """Convert `planes` to BT.709 SDR by a 3D lookup table."""
        key = (tone_map, planes.width, planes.height)
        if self._lut is None or self._lut_key != key:
            self._lut, self._lut_key = Graph(), key
            with write_errors("table of colours"), tempfile.NamedTemporaryFile(suffix=".cube") as file:
                file.write(tonemap.make_cube(tone_map))
                file.flush()
                source = self._lut.add_buffer(
                    width=planes.width, height=planes.height, format=planes.format, time_base=_TICK
                )
                table = self._lut.add("lut3d", file=file.name, interp="tetrahedral")
            self._lut.link_nodes(source, table, self._lut.add("buffersink")).configure()
        self._lut.push(planes)
        return cast(av.VideoFrame, self._lut.pull())


def _rgb_planes(frame: av.VideoFrame, kind: type[np.uint8 | np.uint16]) -> list[Any]:
    """Return red, green and blue of a planar GBR frame as views, each `[H, W]`."""
    green, blue, red = (
        np.frombuffer(memoryview(plane), kind).reshape(frame.height, -1)[:, : frame.width]
        for plane in frame.planes[:3]
    )
    return [red, green, blue]


def choose_matrix(frame: av.VideoFrame) -> int:
    """Return the number of the frame's matrix in ITU-T H.273, as tagged or, without a tag, by its size."""
    if frame.colorspace in _MATRICES:
        return frame.colorspace
    if get_transfer(frame) != "sdr":
        return 9
    return 1 if frame.width >= 1280 or frame.height > 576 else 5


def is_full_range(frame: av.VideoFrame) -> bool:
    """Return True if samples span their whole range, as tagged or, without a tag, by the pixel format."""
    return _choose_range(frame) == ColorRange.JPEG


def measure_chroma_siting(frame: av.VideoFrame) -> tuple[float, float]:
    """Return where the frame's chroma samples lie in the pixels that they stand for, across and down.

    0 is the centre of the first pixel, 0.5 the middle of two. PyAV does not tell; a small frame with the same
    properties and one coloured sample is converted, and the centre of what is coloured then is measured.
    """
    small = VideoReformatter().reformat(frame, width=_PROBE, height=_PROBE, format="yuv420p")
    small.color_trc = small.color_primaries = ColorPrimaries.BT709  # tone mapping would only take time
    for plane, value, coloured_sample in zip(small.planes, (126, 128, 128), (126, 200, 128), strict=True):
        samples = np.full((plane.height, plane.line_size), value, np.uint8)
        samples[plane.height // 2, plane.width // 2] = coloured_sample
        plane.update(samples.tobytes())
    blue = RgbConverter().to_rgb(small, _PROBE, _PROBE, high_bit_depth=False)[..., 2].astype(np.float64)
    coloured = np.maximum(blue - blue[0, 0], 0)
    places = np.arange(_PROBE) - _PROBE // 2
    across, down = (float((coloured.sum(axis) * places).sum() / coloured.sum()) for axis in (0, 1))
    return round(across * 2) / 2, round(down * 2) / 2


_PROBE = 32
"""Side of the frame that chroma siting is measured on, in pixels."""


def _choose_range(frame: av.VideoFrame) -> int:
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return frame.color_range
    full = _is_rgb_or_grey(frame) or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG


def _is_rgb_or_grey(frame: av.VideoFrame) -> bool:
    """Return True for RGB or grey samples, which swscale always takes as full range."""
    return frame.format.name.startswith(("rgb", "bgr", "gbr", "gray", "pal8", "argb", "abgr"))


def white_level(frame: av.VideoFrame, bits: int) -> int:
    """Return the value of white in swscale's 16-bit output, which pads samples with zero bits."""
    if _choose_range(frame) == ColorRange.MPEG and not _is_rgb_or_grey(frame):
        return 0xFF00
    return ((1 << bits) - 1) << (16 - bits) if bits < 16 else 0xFFFF


def _peak_luminance(frame: av.VideoFrame) -> float:
    """Return the peak luminance of a PQ video in cd/m2: the lower of MaxCLL and the mastering display's."""
    peaks = []
    level = side_data(frame, "CONTENT_LIGHT_LEVEL")
    if level is not None:  # AVContentLightMetadata: MaxCLL, MaxFALL
        peaks.append(float(np.frombuffer(level, np.uint32)[0]))
    screen = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if screen is not None:  # AVMasteringDisplayMetadata: ten fractions, the last the most light
        over, under = np.frombuffer(screen, np.int32)[18:20].tolist()
        peaks.append(over / under if under else 0)
    return min((peak for peak in peaks if peak >= tonemap.REFERENCE_WHITE), default=tonemap.DEFAULT_PEAK)
