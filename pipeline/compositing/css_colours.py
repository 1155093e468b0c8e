"""Colours as CSS Color 4 writes them: hexadecimal, by name, `rgb()`, `hsl()` and `hwb()`."""

from __future__ import annotations

import math
import re

from PIL import ImageColor

_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_CALL = re.compile(r"(rgb|hsl|hwb)a?\((.*)\)", re.DOTALL)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%|deg|grad|rad|turn)?")
_DEGREES = {"deg": 1.0, "grad": 0.9, "rad": 180 / math.pi, "turn": 360.0}

RGBA = tuple[int, int, int, float]


def parse_colour(text: str) -> RGBA:
    """Parse a colour: red, green, blue from 0 to 255, alpha from 0 to 1; raises ValueError for other text."""
    text = text.strip().lower()
    if text == "transparent":
        return 0, 0, 0, 0.0
    if text in ImageColor.colormap:
        red, green, blue, *_ = ImageColor.getrgb(text)
        return red, green, blue, 1.0
    if _HEX.fullmatch(text):
        digits = text[1:] if len(text) > 5 else "".join(2 * digit for digit in text[1:])
        red, green, blue, *rest = bytes.fromhex(digits)
        return red, green, blue, rest[0] / 255 if rest else 1.0
    call = _CALL.fullmatch(text)
    if call is None:
        raise ValueError(f"{text!r} is no colour")
    words, alpha = _arguments(call[2])
    match call[1]:
        case "rgb":
            shares = [_number(word, 255) / 255 for word in words]
        case "hsl":
            shares = _from_hsl(_hue(words[0]), *(_share(word) for word in words[1:]))
        case _:
            shares = _from_hwb(_hue(words[0]), *(_share(word) for word in words[1:]))
    red, green, blue = (math.floor(255 * min(1.0, max(0.0, share)) + 0.5) for share in shares)
    return red, green, blue, alpha


def _arguments(text: str) -> tuple[list[str], float]:
    """Return the three arguments and alpha, separated by commas, or by blanks and a slash."""
    if "," in text:
        words = [word.strip() for word in text.split(",")]
        words, rest = words[:3], words[3:]
    else:
        before, stroke, after = text.partition("/")
        words, rest = before.split(), [after.strip()] if stroke else []
    if len(words) != 3 or len(rest) > 1:
        raise ValueError(f"{text!r} are no three values")
    return words, min(1.0, max(0.0, _number(rest[0], 1))) if rest else 1.0


def _number(text: str, full: float) -> float:
    """Parse a number, or a percentage of `full`."""
    if text == "none":
        return 0.0
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in (None, "%"):
        raise ValueError(f"{text!r} is no number")
    return float(match[1]) * (full / 100 if match[2] else 1)


def _share(text: str) -> float:
    """Parse a percentage as 0 to 1; the percent sign may be omitted."""
    return min(1.0, max(0.0, _number(text, 100) / 100))


def _hue(text: str) -> float:
    """Parse an angle, as degrees; a bare number is in degrees."""
    if text == "none":
        return 0.0
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] == "%":
        raise ValueError(f"{text!r} is no angle")
    return float(match[1]) * _DEGREES[match[2] or "deg"] % 360


def _from_hsl(hue: float, saturation: float, lightness: float) -> list[float]:
    """Convert HSL to RGB: CSS Color 4, 7.1."""
    reach = saturation * min(lightness, 1 - lightness)
    steps = ((n + hue / 30) % 12 for n in (0, 8, 4))
    return [lightness - reach * max(-1.0, min(k - 3, 9 - k, 1.0)) for k in steps]


def _from_hwb(hue: float, white: float, black: float) -> list[float]:
    """Convert HWB to RGB: CSS Color 4, 8.1."""
    if white + black >= 1:
        return [white / (white + black)] * 3
    return [share * (1 - white - black) + white for share in _from_hsl(hue, 1.0, 0.5)]
