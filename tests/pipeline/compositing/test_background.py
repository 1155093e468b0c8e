"""The short form of backgrounds."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from pipeline.compositing.background import (
    FITS,
    Background,
    Blur,
    Colour,
    Footage,
    Picture,
    Transparent,
    format_spec,
    parse,
    parse_argument,
)
from pipeline.errors import BackgroundError


@pytest.mark.parametrize(
    "background",
    [
        Colour(0, 177, 64),
        Colour(255, 255, 255),
        Transparent(),
        Blur(),
        Blur(0.5),
        Blur(12.3456789),
        Picture(Path("/home/someone/beach.JPG"), "fit"),
        Picture(Path("/home/someone/session/in/what? a picture.png"), "stretch"),
        Picture(Path("/home/someone/session/red.png")),
        Footage(Path("/home/someone/session/sea.mp4"), "fit"),
        Footage(Path("/home/someone/session/red")),
        Footage(Path("/elsewhere/blur")),
        Footage(Path("/home/someone/session/sea.mp4"), hold_last=True),
        Footage(Path("/home/someone/session/sea?fit,hold.mp4"), "stretch", hold_last=True),
    ],
)
def test_json_round_trip(background: Background) -> None:
    folder = Path("/home/someone/session")
    for seen_from in (folder, Path("/nowhere"), Path()):
        assert parse(format_spec(background, seen_from), seen_from) == background


def test_paths_are_relative_to_their_folder() -> None:
    kept = format_spec(Picture(Path("/a/in/beach.jpg")), Path("/a"))
    assert parse(kept, Path("/b")) == Picture(Path("/b/in/beach.jpg"))


fits = st.sampled_from(FITS)
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: Path(*parts)).filter(lambda path: path.name)
backgrounds = st.one_of(
    st.builds(Colour, *[st.integers(0, 255)] * 3),
    st.builds(Blur, st.floats(1e-3, 500)),
    st.builds(Picture, st.builds(lambda path: path.with_name(path.name + ".png"), paths), fits),
    st.builds(
        Footage, st.builds(lambda path: path.with_name(path.name + ".mp4"), paths), fits, st.booleans()
    ),
    st.just(Transparent()),
)


@given(backgrounds, st.sampled_from([Path(), Path("/home/someone")]))
def test_formatted_backgrounds_are_parsed_back(background: Background, folder: Path) -> None:
    if isinstance(background, Picture | Footage):
        background = replace(background, path=folder / background.path)
    assert parse(format_spec(background, folder), folder) == background


@pytest.mark.parametrize(
    ("text", "background"),
    [
        ("#00b140", Colour(0, 177, 64)),
        ("#FFF", Colour(255, 255, 255)),
        (" white ", Colour(255, 255, 255)),
        ("RebeccaPurple", Colour(102, 51, 153)),
        ("#0B4F", Colour(0, 187, 68)),
        ("#00b140ff", Colour(0, 177, 64)),
        ("rgb(0, 177, 64)", Colour(0, 177, 64)),
        ("rgba(0, 177, 64, 1)", Colour(0, 177, 64)),
        ("rgb(0% 69.4% 25.1% / 100%)", Colour(0, 177, 64)),
        ("rgb(12.5 300 -4)", Colour(13, 255, 0)),
        ("hsl(120, 100%, 25%)", Colour(0, 128, 0)),
        ("hsl(141.7, 100%, 34.7%)", Colour(0, 177, 64)),
        ("HSL(0.5turn 50% 50%)", Colour(64, 191, 191)),
        ("hsl(-240deg 100 50)", Colour(0, 255, 0)),
        ("hsl(none 0% 100%)", Colour(255, 255, 255)),
        ("hwb(141.7 0% 30.6%)", Colour(0, 177, 64)),
        ("hwb(45 40% 80%)", Colour(85, 85, 85)),
        ("LightGoldenrodYellow", Colour(250, 250, 210)),
        ("Transparent", Transparent()),
        ("blur", Blur()),
        ("blur:7.5", Blur(7.5)),
        ("transparent", Transparent()),
        ("beach.jpg", Picture(Path("beach.jpg"))),
        ("beach.webp?fit", Picture(Path("beach.webp"), "fit")),
        ("in/sea.mkv?stretch", Footage(Path("in/sea.mkv"), "stretch")),
        ("sea.mov?hold", Footage(Path("sea.mov"), hold_last=True)),
        ("sea.mov?fit,hold", Footage(Path("sea.mov"), "fit", hold_last=True)),
        ("sea.mov?hold,fit", Footage(Path("sea.mov"), "fit", hold_last=True)),
    ],
)
def test_specifications_are_parsed(text: str, background: Background) -> None:
    assert parse(text) == background


@pytest.mark.parametrize(
    "text",
    ["", "reddish", "#12", "#12345g", "Transparent!", "beach.jpg?zoom", "beach.jpg?hold", "a.mp4?fit,"]
    + ["#0b48", "#00b14080", "#00b14000", "rgba(0, 177, 64, .5)", "hsl(120 100% 50% / 99%)", "currentcolor"]
    + ["rgb(1, 2)", "rgb(1 2 3 4)", "rgb(a, b, c)", "hsl(10%, 1, 1)", "hsv(1, 1%, 1%)", "rgb(1 2 3", "rgb()"]
    + ["lab(50% 40 59.5)", "color(display-p3 1 0.5 0)", "oklch(40.1% 0.123 21.57)", "#"]
    + [f"blur:{radius}" for radius in ("", "much", "0", "-3", "501", "nan")],
)
def test_invalid_backgrounds_are_refused(text: str) -> None:
    with pytest.raises(BackgroundError):
        parse(text)


def test_colour_names_after_pillow_cached_them() -> None:
    assert ImageColor.getrgb("red") == (255, 0, 0)  # and Pillow's table holds this from now on
    assert parse("red") == Colour(255, 0, 0)


def test_a_semi_transparent_colour_is_refused() -> None:
    with pytest.raises(BackgroundError, match=r"^'#00b14080' is transparent in part"):
        parse("#00b14080")


def test_a_path_without_a_suffix_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("beach", "red"):
        (tmp_path / name).write_bytes(b"a picture")
    assert parse_argument("beach") == Footage(Path("beach"))
    assert parse_argument("beach?fit") == Footage(Path("beach"), "fit")
    assert parse_argument("red") == Colour(255, 0, 0)
    with pytest.raises(BackgroundError):
        parse_argument("no-such-file")
    with pytest.raises(BackgroundError):
        parse("beach")
