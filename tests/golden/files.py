"""Files as users have them on their disks: how each was made. Only `make.py` calls this."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tests import rendered
from tests.golden.internals import stand_in
from tests.golden.jobs import DATA

FRAMES, RATE = 40, 20
SIDE = 32


def clip() -> None:
    """Two seconds of pictures that carry their number, in lossless RGB, with a keyframe at every tenth."""
    rendered.write_clip(
        DATA / "clip.mkv",
        stand_in.numbered(FRAMES, SIDE, SIDE),
        rate=Fraction(RATE),
        codec="libx264rgb",
        pix_fmt="rgb24",
        options={"crf": "0", "g": "10", "sc_threshold": "0"},
    )


def weights() -> None:
    """Weights of a user's own; for a job's keys they are bytes."""
    (DATA / "weights.pt").write_bytes(bytes(range(256)))


MADE: dict[str, Callable[[], None]] = {"clip.mkv": clip, "weights.pt": weights}
