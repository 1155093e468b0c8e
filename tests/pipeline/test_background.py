"""The short form of backgrounds."""

from pathlib import Path

import pytest

from pipeline.background import Background, Blur, Colour, Footage, Picture, Transparent, parse, spec
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
    ],
)
def test_round_trip(background: Background) -> None:
    folder = Path("/home/someone/session")
    for seen_from in (folder, Path("/nowhere"), Path()):
        assert parse(spec(background, seen_from), seen_from) == background


def test_paths_move_with_their_folder() -> None:
    kept = spec(Picture(Path("/a/in/beach.jpg")), Path("/a"))
    assert parse(kept, Path("/b")) == Picture(Path("/b/in/beach.jpg"))


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
    ],
)
def test_parse(text: str, background: Background) -> None:
    assert parse(text) == background


@pytest.mark.parametrize(
    "text",
    ["", "reddish", "#12", "#12345g", "Transparent!", "beach.jpg?zoom"]
    + [f"blur:{radius}" for radius in ("", "much", "0", "-3", "501", "nan")],
)
def test_what_is_no_background_is_refused(text: str) -> None:
    with pytest.raises(BackgroundError):
        parse(text)
