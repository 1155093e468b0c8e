"""Light between a subject and the background that it is laid over: a drawn shadow, and light around edges."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import cv2
import numpy as np

from pipeline.arrays import Floats, Matte, Pixels
from pipeline.errors import InputError

_SIDE = 360
"""Most rows of the grid on which shadows and light are blurred; both are smooth."""

_MOST_PARTS = 8
_LEAST_PART = 0.002
"""Share of the frame below which a part of the subject throws no shadow."""

_FLATTEST = 0.08
"""Least height of a shadow, as a share of what throws it, so that one to the side has a body."""

_ROWS = 32
"""Rows computed at a time, so that intermediate arrays stay in the processor's cache."""


@dataclass(frozen=True)
class Shadow:
    """Shadow that the subject throws on a level ground."""

    angle: float = 60.0
    """Direction in which it falls, degrees: 0 to the right, 90 away from the viewer, 180 to the left."""
    length: float = 0.5
    """Share of the subject's height."""
    softness: float = 0.4
    """0: sharp, 1: very soft; more so farther from the ground."""
    strength: float = 0.5
    """0: none, 1: black."""

    def check(self) -> None:
        """Raise InputError for what is out of range."""
        shares = self.softness, self.strength
        if not (abs(self.angle) <= 360 and 0 <= self.length <= 4 and all(0 <= s <= 1 for s in shares)):
            raise InputError("choices.shadow")


MatchTo = Literal["background", "subject"]
"""Part of a picture whose light the other one is brought into."""


@dataclass(frozen=True)
class Light:
    """Shadow and light that connect the subject with its background."""

    shadow: Shadow | None = None
    """None: no shadow is drawn."""
    wrap: float = 0.0
    """Share of the background's light that falls on the subject's edges, 0 to 1."""
    keep: float = 0.0
    """Strength of the shadow that was filmed: 0 leaves it out, 1 keeps it as it is, 2 is the most."""
    match: float = 0.0
    """Strength of the match of colours: 0 leaves them, 1 goes as far as the bounds of `compositing.match`."""
    match_to: MatchTo = "background"

    def check(self) -> None:
        """Raise InputError for what is out of range."""
        if self.shadow is not None:
            self.shadow.check()
        if not 0 <= self.wrap <= 1:
            raise InputError("choices.wrap")
        if not 0 <= self.keep <= 2:
            raise InputError("choices.keep")
        if not 0 <= self.match <= 1 or self.match_to not in get_args(MatchTo):
            raise InputError("choices.match", known=", ".join(get_args(MatchTo)))

    def __str__(self) -> str:
        """Return the values with hyphens between, as in an address."""
        shadow = () if self.shadow is None else asdict(self.shadow).values()
        added = self._added()
        return "-".join(map(str, (self.wrap, *shadow, *(f"{key}={value}" for key, value in added.items()))))

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        shadow = None if self.shadow is None else asdict(self.shadow)
        return {"shadow": shadow, "wrap": self.wrap, **self._added()}

    def _added(self) -> dict[str, Any]:
        """Return the options that older jobs do not have, where they are not the usual ones."""
        added = {"keep": self.keep, "match": self.match, "match_to": self.match_to}
        return {key: value for key, value in added.items() if value != getattr(NONE, key)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises TypeError for anything else."""
        shadow = data.get("shadow")
        values = [*(shadow or {}).values(), *(data.get(key, 0.0) for key in ("wrap", "keep", "match"))]
        words = [data.get("match_to", "")]
        if not all(isinstance(v, float | int) for v in values) or not all(isinstance(w, str) for w in words):
            raise TypeError("light")
        return cls(**data | {"shadow": None if shadow is None else Shadow(**shadow)})


NONE = Light()
"""Neither shadow nor light."""


class FrameLight(NamedTuple):
    """Light of a frame that is known from a survey of its clip."""

    subject: Floats | None = None
    behind: Floats | None = None
    """Maps of the colours of the subject and of the background, as `match.fit_match` returns them; None: they
    stay."""
    shade: Matte | None = None
    """Shadow that was filmed, `[H, W]`, 255 is black; None: there is none to keep."""

    def crop(self, rows: slice, columns: slice) -> FrameLight:
        """Return the light of a part of the frame."""
        if self.shade is None:
            return self
        return self._replace(shade=np.ascontiguousarray(self.shade[rows, columns]))


UNSURVEYED = FrameLight()
"""Light of a frame whose clip was not surveyed: colours stay."""


def cast_shadow(alpha: Matte, shadow: Shadow) -> Matte:
    """Return how much a subject's shadow darkens each pixel: `[H, W]` uint8, 255 is black; as `alpha` is.

    Each connected part stands on its own lowest row, and its shadow is the part itself, sheared and squeezed
    from there, as a light far away throws it on a level ground. It is blurred more where it fell farther.
    """
    height, width = alpha.shape
    size = grid_size(alpha.shape)
    small = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    dark = np.zeros_like(small)
    for part, top, bottom in _parts(small):
        np.maximum(dark, _throw(part, top, bottom, shadow), out=dark)
    shade = cv2.resize(dark * shadow.strength, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(np.clip(shade, 0, 255)), np.uint8)


def join_shades(drawn: Matte | None, kept: Matte | None) -> Matte | None:
    """Return the darker of two shadows in each pixel; None if there is neither."""
    if drawn is None or kept is None:
        return kept if drawn is None else drawn
    return np.maximum(drawn, kept)


def grid_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height of the grid on which a frame's shadow and light are blurred.

    `shape` is the frame's height and width.
    """
    height, width = shape
    scale = min(1.0, _SIDE / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _parts(small: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """Return the largest connected parts of a matte with their first row and the row after their last."""
    solid = np.asarray(small > 127, np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    found = [n for n in range(1, count) if areas[n] >= _LEAST_PART * small.size]
    parts = []
    for number in sorted(found, key=lambda n: -areas[n])[:_MOST_PARTS]:
        # With the soft edge around it.
        near = cv2.dilate(np.asarray(labels == number, np.uint8), np.ones((5, 5), np.uint8))
        top = int(facts[number, cv2.CC_STAT_TOP])
        parts.append((small * near, top, top + int(facts[number, cv2.CC_STAT_HEIGHT])))
    return parts


def _throw(part: np.ndarray, top: int, bottom: int, shadow: Shadow) -> np.ndarray:
    """Return the shadow of one part that stands on row `bottom`, `[H, W]` float32, 0 to 255."""
    height, width = part.shape
    across = shadow.length * math.cos(math.radians(shadow.angle))
    away = shadow.length * math.sin(math.radians(shadow.angle))
    away = math.copysign(max(abs(away), _FLATTEST), away)
    # A point lies (bottom - y) above the ground, and its shadow so much farther along the ground.
    matrix = np.array([[1, -across, across * bottom], [0, away, bottom * (1 - away)]], np.float32)
    above = np.clip((bottom - np.arange(height, dtype=np.float32)) / max(1, bottom - top), 0, 1)[:, None]
    dark = np.zeros_like(part)
    for weight, spread in ((1 - above, 0.01), (above, 0.06)):
        thrown = cv2.warpAffine(part * weight, matrix, (width, height), flags=cv2.INTER_LINEAR)
        dark += cv2.GaussianBlur(thrown, (0, 0), 0.5 + shadow.softness * spread * height)
    return dark


def darken(image: Pixels, shade: Matte) -> Pixels:
    """Darken a picture (`[H, W, 3]`, uint8 or uint16) by a shadow; returns a new one of its dtype."""
    depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U
    result = np.empty_like(image)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        light = cv2.merge((cv2.bitwise_not(shade[rows]),) * 3)
        result[rows] = cv2.multiply(image[rows], light, scale=1 / 255, dtype=depth)
    return result


def lay_over_shade(rgba: Pixels, shade: Matte) -> Pixels:
    """Lay a cut-out (`[H, W, 4]` straight RGBA, uint8 or uint16) over its shadow, black of alpha `shade`."""
    most = np.iinfo(rgba.dtype).max
    result = np.empty_like(rgba)
    for top in range(0, len(rgba), _ROWS):
        rows = slice(top, top + _ROWS)
        own = rgba[rows, :, 3].astype(np.float32) / most
        both = own + shade[rows].astype(np.float32) / 255 * (1 - own)
        share = np.divide(own, both, out=np.zeros_like(own), where=both > 0)
        result[rows, :, :3] = np.rint(rgba[rows, :, :3] * share[..., None])
        result[rows, :, 3] = np.rint(both * most)
    return result


def wrap_light(image: Pixels, alpha: Matte, behind: Pixels, strength: float) -> Pixels:
    """Let the background's light fall on the subject's edges, where it is brighter than they are.

    `image` and `behind` are `[H, W, 3]`, both uint8 or both uint16, as is the result; `alpha` is `[H, W]`
    uint8.
    """
    height, width = alpha.shape
    size = grid_size(alpha.shape)
    open_sky = 255 - cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    open_sky = cv2.GaussianBlur(open_sky, (0, 0), 0.5 + 0.015 * size[1])
    glow = cv2.resize(behind, size, interpolation=cv2.INTER_AREA)
    glow = cv2.GaussianBlur(glow, (0, 0), 0.5 + 0.03 * size[1])
    near = cv2.resize(open_sky, (width, height), interpolation=cv2.INTER_LINEAR)
    light = cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
    depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U
    result = np.empty_like(image)
    for top in range(0, len(image), _ROWS):
        rows = slice(top, top + _ROWS)
        brighter = cv2.subtract(light[rows], image[rows])  # saturates at 0
        share = cv2.multiply(near[rows], alpha[rows], scale=strength / 255**2, dtype=cv2.CV_32F)
        added = cv2.multiply(brighter, cv2.merge((share,) * 3), dtype=cv2.CV_32F)
        result[rows] = cv2.add(image[rows], added, dtype=depth)
    return result
