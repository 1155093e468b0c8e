"""Clean plates as videos: each frame without its subject, and what is said of those that keep it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from tests import ffprobe
from tests.rendered import write_clip
from tests.shadowed import shadowed_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

FRAMES = 24


def write(folder: Path, frames: list[np.ndarray], alphas: list[np.ndarray]) -> tuple[str, ...]:
    """Write a clip and its mattes; return the arguments that make its plate, and keep the matte."""
    clip = write_clip(folder / "clip.mp4", frames)
    grey = write_clip(folder / "alpha.mkv", [np.repeat(alpha[..., None], 3, axis=2) for alpha in alphas])
    kept = ("--matte", str(folder / "kept.mkv"))
    return ("run", str(clip), str(folder / "plate.mp4"), "--format", "plate", "--matte-in", str(grey), *kept)


@pytest.mark.parametrize(("pan", "shake"), [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0)])
def test_each_frame_shows_what_stands_behind_the_subject(
    pan: float, shake: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = shadowed_clip(FRAMES, pan=pan, shake=shake)
    assert main([*write(tmp_path, made.frames, made.alphas)]) == 0
    assert "still seen" not in capsys.readouterr().out
    filmed, shown = (ffprobe.frames(tmp_path / name, "rgb24") for name in ("clip.mp4", "plate.mp4"))
    assert len(shown) == FRAMES
    truth = np.stack(made.grounds).astype(int)
    there, shade = np.stack(made.alphas) >= 8, np.stack(made.shades) > 0.1
    away = np.stack([np.abs(pictures - truth).mean(axis=3) for pictures in (filmed, shown)])
    assert away[1][there].mean() < away[0][there].mean() / 4, "no subject"
    assert away[1][shade & ~there].mean() < away[0][shade & ~there].mean() / 2, "no shadow"
    beside = ~there & (np.stack(made.shades) == 0)
    assert np.abs(shown.astype(int) - filmed)[beside].mean() < 4, "as it was filmed"


def test_a_kept_matte_gives_the_same_plate(tmp_path: Path) -> None:
    made = shadowed_clip(FRAMES, 240, 136, pan=1.0)
    assert main([*write(tmp_path, made.frames, made.alphas)]) == 0
    clip, matte, again = (str(tmp_path / name) for name in ("clip.mp4", "kept.mkv", "again.mp4"))
    assert main(["render", clip, matte, again, "--format", "plate"]) == 0
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "plate.mp4").read_bytes()


def test_a_note_tells_how_many_frames_keep_their_subject(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, few = shadowed_clip(FRAMES, 240, 136), 4
    alphas = made.alphas + made.alphas[:few]
    other = [np.where(alpha[..., None] > 127, [220, 30, 30], [10, 20, 60]) for alpha in alphas[FRAMES:]]
    frames = made.frames + [np.asarray(frame, np.uint8) for frame in other]
    assert main([*write(tmp_path, frames, alphas)]) == 0
    assert f"still seen in {few} of {FRAMES + few} frames" in capsys.readouterr().out
    shown, filmed = (ffprobe.frames(tmp_path / name, "rgb24") for name in ("plate.mp4", "clip.mp4"))
    away, there = np.abs(shown.astype(int) - filmed).mean(axis=3), np.stack(alphas) > 250
    assert away[:FRAMES][there[:FRAMES]].mean() > 30
    assert away[FRAMES:].mean() < 5, "the second scene is too short, and stays as it is"
