"""What stands behind the subject: plain values, and the short form they are written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from PIL import ImageColor

from pipeline.errors import BackgroundError

Fit = Literal["fill", "fit", "stretch"]
"""How a picture of another shape is laid: covering the frame, inside it, or distorted to it."""

FITS: tuple[Fit, ...] = ("fill", "fit", "stretch")
BLUR_RADIUS = 24.0
"""Default blur, in pixels of a frame 720 high; it grows with the frame."""

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"})


@dataclass(frozen=True)
class Colour:
    red: int
    green: int
    blue: int


@dataclass(frozen=True)
class Picture:
    path: Path
    fit: Fit = "fill"


@dataclass(frozen=True)
class Footage:
    """A video: shorter than the clip it is repeated, or its last frame is held."""

    path: Path
    fit: Fit = "fill"
    held: bool = False


@dataclass(frozen=True)
class Blur:
    """The clip's own background out of focus; `radius` in pixels of a frame 720 high."""

    radius: float = BLUR_RADIUS


@dataclass(frozen=True)
class Transparent:
    pass


Background = Colour | Picture | Footage | Blur | Transparent


def parse(spec: str, folder: Path = Path()) -> Background:
    """Read `#rrggbb`, a CSS colour name, `blur`, `blur:RADIUS`, `transparent`, or a file's path.

    A path is seen from `folder` and may end in `?fit`, `?fill` or `?stretch`. Raises BackgroundError; what
    the file holds is found out when it is opened.
    """
    spec = spec.strip()
    if spec == "transparent":
        return Transparent()
    if blur := re.fullmatch(r"blur(?::(.+))?", spec):
        return Blur(_radius(blur[1]) if blur[1] else BLUR_RADIUS)
    if not any(mark in spec for mark in "./\\"):
        return _colour(spec)
    # A name may hold a question mark itself.
    name, fit = cast(re.Match[str], re.fullmatch(r"(.+?)(?:\?(\w+))?", spec, re.DOTALL)).groups("")
    path = folder / name
    if fit not in ("", *FITS):
        raise BackgroundError(f"{path.name}: a picture can be laid {', '.join(FITS)}, not {fit!r}.")
    kind = Picture if path.suffix.lower() in _PICTURES else Footage
    return kind(path, cast(Fit, fit or "fill"))


def spec(background: Background, folder: Path = Path()) -> str:
    """The short form that `parse` reads, with paths as seen from `folder` where they lie in it."""
    match background:
        case Colour(red, green, blue):
            return f"#{red:02x}{green:02x}{blue:02x}"
        case Picture(path, fit) | Footage(path, fit):
            seen = path.relative_to(folder) if path.is_relative_to(folder) else path
            # A bare name must not read as a colour.
            return f"{seen}?{fit}" if len(seen.parts) > 1 or seen.suffix else f"./{seen}?{fit}"
        case Blur(radius):
            return f"blur:{radius}".removesuffix(".0")
        case Transparent():
            return "transparent"


def _radius(text: str) -> float:
    try:
        radius = float(text)
    except ValueError:
        radius = -1.0
    if not 0 < radius <= 500:
        raise BackgroundError(f"blur:{text}: the radius is a number of pixels from 1 to 500.")
    return radius


def _colour(text: str) -> Colour:
    try:
        return Colour(*ImageColor.getrgb(text)[:3])
    except ValueError:
        raise BackgroundError(
            f"{text!r} is no background. Give a colour such as #00b140 or white, a picture's path, "
            "blur, or transparent."
        ) from None
