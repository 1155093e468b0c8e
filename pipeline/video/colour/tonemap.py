"""Transfer functions of SDR and HDR signals, and tone mapping of HDR to SDR.

Signals are R'G'B' in [0, 1] and light is linear RGB in cd/m2 unless stated otherwise, both float64
`[..., 3]`. HDR curves are those of ITU-R BT.2100; the result is R'G'B' with the primaries of ITU-R BT.709.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Floats, as_floats
from pipeline.clip import Transfer

Array = NDArray[np.float64]

# HDR reference white in cd/m2 (ITU-R BT.2408); it maps to slightly below SDR white: room for highlights.
REFERENCE_WHITE = 203.0
# Peak luminance in cd/m2 if the video states none; HLG's nominal peak (ITU-R BT.2100, note 5f).
DEFAULT_PEAK = 1000.0

# x and y of red, green, blue (ITU-T H.273, table 2); the white of all of these is D65.
PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3-D65
}
WHITE_POINT = (0.3127, 0.3290)
_LUMA = {1: (0.2126, 0.7152, 0.0722), 9: (0.2627, 0.6780, 0.0593)}

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq_to_light(signal: Array) -> Array:
    """Return the light of a PQ signal: BT.2100, table 4, EOTF."""
    root = np.clip(signal, 0, 1) ** (1 / _M2)
    return np.asarray(10000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def light_to_pq(light: Array) -> Array:
    """Return the PQ signal of light: BT.2100, table 4, inverse EOTF."""
    power = np.clip(light / 10000, 0, 1) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def hlg_to_light(signal: Array) -> Array:
    """Return the light of an HLG signal on a 1000 cd/m2 display: BT.2100, table 5, inverse OETF and OOTF."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    signal = np.maximum(signal, 0)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array(_LUMA[9])
    return np.asarray(DEFAULT_PEAK * luminance[..., None] ** 0.2 * scene)


def srgb_to_light(signal: Array) -> Array:
    """Return the light of an SDR signal, relative to white = 1.

    The curve is sRGB (IEC 61966-2-1), which displays follow more closely than BT.1886.
    """
    signal = np.maximum(signal, 0)
    return np.asarray(np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4))


def light_to_srgb(light: Array) -> Array:
    """Return the SDR signal of light relative to white = 1: IEC 61966-2-1."""
    light = np.clip(light, 0, 1)
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def compress_highlights(light: Array, peak: float) -> Array:
    """Map light of up to `peak` cd/m2 below REFERENCE_WHITE by a soft knee: ITU-R BT.2390, 5.4.1 (EETF)."""
    if peak <= REFERENCE_WHITE:
        return np.minimum(light, REFERENCE_WHITE)
    top = light_to_pq(np.array(peak))
    most = light_to_pq(np.array(REFERENCE_WHITE)) / top
    signal = np.minimum(light_to_pq(light) / top, 1)
    knee = 1.5 * most - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    return pq_to_light(np.where(signal < knee, signal, spline) * top)


def to_bt709(signal: Array, transfer: Transfer, primaries: int, peak: float = DEFAULT_PEAK) -> Array:
    """Convert a signal to BT.709 SDR; `peak` is the video's peak luminance in cd/m2.

    Hues are kept: colours outside the BT.709 gamut are desaturated at constant luminance, and all three
    channels are scaled by one factor, computed from the brightest of them.
    """
    light = (
        srgb_to_light(signal) * REFERENCE_WHITE
        if transfer == "sdr"
        else pq_to_light(signal)
        if transfer == "pq"
        else hlg_to_light(signal)
    )
    light = light @ _primaries_to_bt709(primaries).T
    luminance = light @ np.array(_LUMA[1])[:, None]
    least = light.min(axis=-1, keepdims=True)
    pale = luminance / np.maximum(luminance - least, 1e-9)
    light = np.where(least < 0, luminance + (light - luminance) * pale, light)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-9)
    compressed = compress_highlights(brightest, REFERENCE_WHITE if transfer == "sdr" else peak)
    return light_to_srgb(light * (compressed / brightest) / REFERENCE_WHITE)


def _primaries_to_bt709(primaries: int) -> Array:
    """Return the 3 × 3 matrix from linear RGB of `primaries` to linear BT.709."""
    return np.asarray(
        np.linalg.solve(_primaries_to_xyz(PRIMARIES[1]), _primaries_to_xyz(PRIMARIES[primaries]))
    )


def _primaries_to_xyz(primaries: tuple[tuple[float, float], ...]) -> Array:
    """Return the 3 × 3 matrix from linear RGB to XYZ, scaled so that RGB (1, 1, 1) is D65 white."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    x, y = WHITE_POINT
    return np.asarray(columns * np.linalg.solve(columns, np.array((x / y, 1, (1 - x - y) / y))))


class ToneMap(NamedTuple):
    """Properties that decide how one video's colours are mapped to BT.709 SDR."""

    transfer: Transfer
    primaries: int
    """A key of `PRIMARIES`."""
    peak: float
    """The video's peak luminance, in cd/m2."""
    max_input: float
    """The largest signal of the table."""


@lru_cache(maxsize=4)
def make_table(tone_map: ToneMap) -> Floats:
    """Return `to_bt709` for signals from 0 to `max_input`, `[65, 65, 65, 3]` by blue, green and red."""
    size = 65  # moderately saturated colours are within 1/255 of the exact result
    axis = np.linspace(0, tone_map.max_input, size)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_bt709(np.stack([red, green, blue], axis=-1), *tone_map[:3])
    return as_floats(table.round(5))


def make_cube(tone_map: ToneMap) -> bytes:
    """Return `make_table` as the bytes of a .cube file, in which red runs fastest."""
    table = make_table(tone_map)
    rows = "%.5f %.5f %.5f\n" * (table.size // 3) % tuple(table.ravel().tolist())
    return f"LUT_3D_SIZE {len(table)}\n{rows}".encode()
