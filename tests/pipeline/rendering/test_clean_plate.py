"""Clean plates as pictures: what they show, and what is said where there is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from tests.rendered import write_clip
from tests.shadowed import shadowed_clip

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a camera that stands, and one of a camera that pans, with their mattes."""
    folder = tmp_path_factory.mktemp("plates")
    for name, pan in (("still", 0.0), ("panned", 2.0)):
        clip = shadowed_clip(24, pan=pan)
        write_clip(folder / f"{name}.mp4", clip.frames)
        grey = [np.repeat(alpha[..., None], 3, axis=2) for alpha in clip.alphas]
        write_clip(folder / f"{name}-alpha.mkv", grey)
        Image.fromarray(clip.ground).save(folder / f"{name}.png")
    return folder


def run(folder: Path, name: str, *more: str) -> int:
    clip, alpha, matte = (str(folder / f"{name}{end}") for end in (".mp4", "-alpha.mkv", "-matte.mkv"))
    return main(["run", clip, str(folder / "out.mp4"), "--matte-in", alpha, "--matte", matte, *more])


def test_the_plate_is_the_background_without_subject_and_shadow(folder: Path) -> None:
    assert run(folder, "still", "--plate", str(folder / "plate.png")) == 0
    made, true = np.asarray(Image.open(folder / "plate.png")), np.asarray(Image.open(folder / "still.png"))
    known = made[..., 3] == 255
    assert known.mean() > 0.95 and not made[~known, 3].any()
    assert np.abs(made[known, :3].astype(int) - true[known]).mean() < 6  # the chroma of the gravel is halved
    again = ["render", str(folder / "still.mp4"), str(folder / "still-matte.mkv"), str(folder / "out.mp4")]
    assert main([*again, "--plate", str(folder / "again.png")]) == 0
    assert (folder / "again.png").read_bytes() == (folder / "plate.png").read_bytes()


def test_a_camera_that_pans_gives_the_plate_of_the_middle(folder: Path) -> None:
    assert run(folder, "panned", "--plate", str(folder / "moved.png")) == 0
    made = np.asarray(Image.open(folder / "moved.png"))
    middle = shadowed_clip(24, pan=2.0)
    n = min(
        range(24),
        key=lambda n: np.abs(
            middle.frames[n][made[..., 3] > 0].astype(int) - made[made[..., 3] > 0, :3]
        ).mean(),
    )
    assert 9 <= n <= 15 and (made[..., 3] > 0).mean() > 0.9


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--plate", "a.jpg"), "a.jpg"),
        (("--plate", "a.png", "--end", "0.05"), "No clean plate can be made of still.mp4"),
    ],
)
def test_a_sentence_says_why_there_is_no_plate(
    folder: Path,
    more: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    assert run(folder, "still", *more) == 2
    assert sentence in capsys.readouterr().err and not Path("a.png").exists()


def test_the_plate_needs_a_matte_that_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = str(folder / "still.mp4")
    assert main(["run", clip, str(folder / "o.mp4"), "--model", "threshold", "--plate", "p.png"]) == 2
    assert "--matte" in capsys.readouterr().err
