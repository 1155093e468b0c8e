"""The short form of backgrounds."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.background import FITS, Background, Blur, Colour, Footage, Picture, Transparent, parse, spec
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
        Footage(Path("/home/someone/session/sea.mp4"), held=True),
        Footage(Path("/home/someone/session/sea?fit,hold.mp4"), "stretch", held=True),
    ],
)
def test_round_trip(background: Background) -> None:
    folder = Path("/home/someone/session")
    for seen_from in (folder, Path("/nowhere"), Path()):
        assert parse(spec(background, seen_from), seen_from) == background


def test_paths_move_with_their_folder() -> None:
    kept = spec(Picture(Path("/a/in/beach.jpg")), Path("/a"))
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
def test_whatever_is_written_is_read(background: Background, folder: Path) -> None:
    if isinstance(background, Picture | Footage):
        background = replace(background, path=folder / background.path)
    assert parse(spec(background, folder), folder) == background


@pytest.mark.parametrize(
    ("text", "background"),
    [
        ("#00b140", Colour(0, 177, 64)),
        ("#FFF", Colour(255, 255, 255)),
        (" white ", Colour(255, 255, 255)),
        ("RebeccaPurple", Colour(102, 51, 153)),
        ("blur", Blur()),
        ("blur:7.5", Blur(7.5)),
        ("transparent", Transparent()),
        ("beach.jpg", Picture(Path("beach.jpg"))),
        ("beach.webp?fit", Picture(Path("beach.webp"), "fit")),
        ("in/sea.mkv?stretch", Footage(Path("in/sea.mkv"), "stretch")),
        ("sea.mov?hold", Footage(Path("sea.mov"), held=True)),
        ("sea.mov?fit,hold", Footage(Path("sea.mov"), "fit", held=True)),
        ("sea.mov?hold,fit", Footage(Path("sea.mov"), "fit", held=True)),
    ],
)
def test_parse(text: str, background: Background) -> None:
    assert parse(text) == background


@pytest.mark.parametrize(
    "text",
    ["", "reddish", "#12", "#12345g", "Transparent!", "beach.jpg?zoom", "beach.jpg?hold", "a.mp4?fit,"]
    + [f"blur:{radius}" for radius in ("", "much", "0", "-3", "501", "nan")],
)
def test_what_is_no_background_is_refused(text: str) -> None:
    with pytest.raises(BackgroundError):
        parse(text)
