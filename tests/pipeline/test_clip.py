"""Clips as data."""

import json
from fractions import Fraction
from pathlib import Path

from pipeline.clip import Clip
from pipeline.video.reading.probe import probe_clip


def test_json_round_trip(clip_path: Path) -> None:
    clip = probe_clip(clip_path)
    data = json.loads(json.dumps(clip.to_json()))
    assert Clip.from_json(data, clip_path) == clip
    assert "path" not in data and str(clip_path.parent) not in json.dumps(data)


def test_fractions_stay_exact() -> None:
    rate = Fraction(30000, 1001)
    clip = Clip(Path("a"), "a", 4, 2, 9, 0.3, rate, True, 1 / rate, "h264", 8, ("aac", "opus"))
    assert Clip.from_json(json.loads(json.dumps(clip.to_json())), Path("a")) == clip
