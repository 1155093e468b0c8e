"""Backgrounds as plain values, and their text form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from pipeline.compositing import css_colours
from pipeline.errors import BackgroundError

Fit = Literal["fill", "fit", "stretch"]
"""Fitting of an image of another aspect ratio: covering the frame, inside it, or stretched to it."""

FITS: tuple[Fit, ...] = ("fill", "fit", "stretch")
BLUR_RADIUS = 24.0
"""Default blur radius in pixels of a frame 720 high; it scales with the frame."""

LONGEST_WORDS = 1000
"""Most letters of the words that a background is made of."""

HOLD = "hold"
"""Option that holds a video's last frame."""

ENLARGE = "enlarge"
"""Option that enlarges a picture by a network where it is smaller than the frame."""

# fmt: off
_PICTURES = frozenset({
    ".apng", ".avif", ".bmp", ".dds", ".dib", ".eps", ".gif", ".heic", ".heif", ".icns", ".ico", ".j2k",
    ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm",
    ".psd", ".qoi", ".sgi", ".svg", ".tga", ".tif", ".tiff", ".webp",
})
# fmt: on


_FUNCTION = re.compile(r"[a-z-]+\(.*\)", re.IGNORECASE | re.DOTALL)
"""A colour function such as `hsl(120.5 50% 50%)`, never taken as a path."""

_WORDS = re.compile(
    r"(?P<kind>words|around):(?P<text>.*?)(?:\?(?P<options>(?:seed=\d{1,18}|model=[\w.-]+|fill|fit|stretch|enlarge)"
    r"(?:,(?:seed=\d{1,18}|model=[\w.-]+|fill|fit|stretch|enlarge))*))?",
    re.DOTALL,
)
"""Words for a background; a question mark without options behind it is one of the words."""


@dataclass(frozen=True)
class Colour:
    """A solid colour, each component 0 to 255."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True)
class Picture:
    """A still image, or an animated one, which is played like `Footage`."""

    path: Path
    fit: Fit = "fill"
    enlarge: bool = False
    """Enlarge it by a network where it is smaller than the frame; a still one."""


@dataclass(frozen=True)
class Words:
    """A picture that a network makes of words; `pipeline.generation` turns it into a `Picture`."""

    text: str
    seed: int = 0
    """Another one gives another picture; the same one the same."""
    model: str = ""
    """Key of the network, of `generation.cards`; empty: the default one."""
    fit: Fit = "fill"
    enlarge: bool = False
    """As of `Picture`."""
    around: bool = False
    """Fill it in around the subject of a picture that is not cropped; it is then as large as that."""


@dataclass(frozen=True)
class Footage:
    """A video; if shorter than the clip it repeats, or its last frame is held."""

    path: Path
    fit: Fit = "fill"
    hold_last: bool = False


@dataclass(frozen=True)
class Blur:
    """The clip's own background, blurred; `radius` in pixels of a frame 720 high."""

    radius: float = BLUR_RADIUS
    depth: bool = False
    """Blur it by its depth, as a lens does: not at the subject's feet, and most at the horizon."""


@dataclass(frozen=True)
class Transparent:
    """No background: the result has alpha."""


Background = Colour | Picture | Words | Footage | Blur | Transparent


def parse(spec: str, folder: Path = Path()) -> Background:
    """Parse a CSS colour, `blur[:RADIUS]`, `depth-blur[:RADIUS]`, `transparent`, words, or a file's path.

    Words are written `words:TEXT` and may end in `?seed=N`, `?model=KEY`, a fit and `?enlarge`, joined by
    commas; so are those of a background around the subject, `around:TEXT`, but for the fit.

    A path is relative to `folder` and may end in `?fill`, `?fit` or `?stretch`; a video's also in `?hold`, a
    picture's in `?enlarge`, or both, as in `?fit,hold`. Raises BackgroundError; the file's content
    is checked when it is opened.
    """
    spec = spec.strip()
    if spec.lower() == "transparent":
        return Transparent()
    if blur := re.fullmatch(r"(depth-)?blur(?::(.+))?", spec):
        return Blur(_parse_radius(blur[2]) if blur[2] else BLUR_RADIUS, depth=blur[1] is not None)
    if spoken := _WORDS.fullmatch(spec):
        return _parse_words(spoken["text"].strip(), spoken["options"] or "", spoken["kind"] == "around")
    if _FUNCTION.fullmatch(spec) or not any(mark in spec for mark in "./\\"):
        return _parse_colour(spec)
    # A name may hold a question mark itself.
    name, words = cast(re.Match[str], re.fullmatch(r"(.+?)(?:\?([\w,]+))?", spec, re.DOTALL)).groups("")
    path = folder / name
    is_picture = path.suffix.lower() in _PICTURES
    fit: Fit = "fill"
    hold_last = enlarge = False
    for word in words.split(",") if words else ():
        if word in FITS:
            fit = word
        elif word == HOLD and not is_picture:
            hold_last = True
        elif word == ENLARGE and is_picture:
            enlarge = True
        else:
            raise BackgroundError(
                "background.unknown_word",
                name=path.name,
                word=word,
                fits=", ".join(FITS),
                hold=HOLD,
                enlarge=ENLARGE,
            )
    return Picture(path, fit, enlarge) if is_picture else Footage(path, fit, hold_last)


def parse_argument(text: str) -> Background:
    """Parse a command-line argument: like `parse`, but a name that is no colour may be an existing file."""
    try:
        return parse(text)
    except BackgroundError:
        if any(mark in text for mark in "./\\") or not Path(text.partition("?")[0].strip()).is_file():
            raise
        return parse(f"./{text.strip()}")


def format_spec(background: Background, folder: Path = Path()) -> str:
    """Return the text form that `parse` reads, with paths relative to `folder` if they are inside it."""
    match background:
        case Colour(red, green, blue):
            return f"#{red:02x}{green:02x}{blue:02x}"
        case Picture(path, fit, enlarge):
            return f"{_format_path(path, folder)}?{fit}" + (f",{ENLARGE}" if enlarge else "")
        case Words(text, seed, model, fit, enlarge, around):
            options = [
                f"seed={seed}",
                *([f"model={model}"] if model else []),
                *([fit] if fit != FITS[0] else []),
                *([ENLARGE] if enlarge else []),
            ]
            return f"{'around' if around else 'words'}:{text}?{','.join(options)}"
        case Footage(path, fit, hold_last):
            return f"{_format_path(path, folder)}?{fit}" + (f",{HOLD}" if hold_last else "")
        case Blur(radius, depth):
            return f"{'depth-' if depth else ''}blur:{radius}".removesuffix(".0")
        case Transparent():
            return "transparent"


def _format_path(path: Path, folder: Path) -> str:
    """Return a path relative to `folder` if it is inside it, written so that `parse` takes it as a path."""
    text = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    plain = (
        text == text.strip()
        and not text.startswith(("blur:", "depth-blur:", "words:", "around:"))
        and any(mark in text for mark in "./\\")
    )
    return text if plain else f"./{text}"


def check_words(text: str) -> None:
    """Raise BackgroundError for no words or too many."""
    if not text:
        raise BackgroundError("background.no_words")
    if len(text) > LONGEST_WORDS:
        raise BackgroundError("background.words_too_long", most=LONGEST_WORDS)


def _parse_words(text: str, options: str, around: bool) -> Words:
    check_words(text)
    words = Words(text, around=around)
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name == "seed":
            words = replace(words, seed=int(value))
        elif name == "model":
            words = replace(words, model=value)
        elif name == ENLARGE:
            words = replace(words, enlarge=True)
        elif around:
            raise BackgroundError("background.around_fit", fit=name)
        else:
            words = replace(words, fit=cast(Fit, name))
    return words


def _parse_radius(text: str) -> float:
    try:
        radius = float(text)
    except ValueError:
        radius = -1.0
    if not 0 < radius <= 500:
        raise BackgroundError("background.blur_radius", text=text)
    return radius


def _parse_colour(text: str) -> Colour:
    try:
        red, green, blue, alpha = css_colours.parse_colour(text)
    except ValueError:
        raise BackgroundError("background.unknown", text=text) from None
    if alpha < 1:
        raise BackgroundError("background.not_opaque", colour=text)
    return Colour(red, green, blue)
