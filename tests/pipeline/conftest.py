"""Fixtures of the pipeline's tests."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline import stand_in
from tests.rendered import subject_over_background, write_clip


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """24 frames `[24, 180, 320, 3]` and their alphas."""
    frames, alphas = subject_over_background(24, 320, 180)
    return np.stack(frames), np.stack(alphas)


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory, drawn: tuple[np.ndarray, np.ndarray]) -> Path:
    """One second of a subject before a background, with AAC sound. Not to be changed."""
    return write_clip(tmp_path_factory.mktemp("clips") / "subject.mp4", list(drawn[0]), sound=True)


@pytest.fixture(scope="session")
def counted_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames at 20 a second that carry their number; a keyframe at every tenth. Not to be changed."""
    options = {"preset": "veryfast", "crf": "12", "g": "10", "keyint_min": "10", "sc_threshold": "0"}
    return write_clip(
        tmp_path_factory.mktemp("clips") / "counted.mp4",
        stand_in.numbered(40),
        rate=Fraction(20),
        options=options,
    )


@pytest.fixture(scope="session")
def long_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 frames: long enough to be stopped on the way."""
    frames, _ = subject_over_background(8, 320, 180)
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames * 25, sound=True)
