"""Measured speeds are told, and nothing else."""

from pathlib import Path

import pytest

from pipeline.jobs import speeds
from pipeline.jobs.speeds import Speed


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "recorte" / "speeds.json"


def test_the_latest_speed_of_each_device_and_size_is_kept() -> None:
    assert speeds.measured_speeds("grabcut") is None
    speeds.record("grabcut", "cpu", (1280, 720), 2)
    speeds.record("grabcut", "cuda:0", (1280, 720), 50)
    speeds.record("grabcut", "cpu", (1280, 720), 3.14159)
    speeds.record("other", "cpu", (8, 8), 1)
    assert speeds.measured_speeds("grabcut") == [
        Speed("cuda:0", 1280, 720, 50),
        Speed("cpu", 1280, 720, 3.142),
    ]
    assert speeds.label(Speed("cpu", 1280, 720, 3.142)) == "3.1 frames a second at 1280 × 720 (cpu)"


def test_the_number_of_speeds_is_bounded() -> None:
    for width in range(1, 30):
        speeds.record("grabcut", "cpu", (width, 1), 1)
    kept = speeds.measured_speeds("grabcut")
    assert kept is not None and [speed.width for speed in kept] == list(range(22, 30))


@pytest.mark.parametrize(
    "damaged", ["{", "[]", "", '{"grabcut": 3}', '{"grabcut": [["cpu", 1, 2], 7, null]}']
)
def test_a_damaged_file_counts_as_missing(path: Path, damaged: str) -> None:
    path.parent.mkdir()
    path.write_text(damaged)
    assert speeds.measured_speeds("grabcut") is None
    speeds.record("grabcut", "cpu", (4, 2), 1)
    assert speeds.measured_speeds("grabcut") == [Speed("cpu", 4, 2, 1)]


def test_an_unwritable_cache_only_logs_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_bytes(b"")
    speeds.record("grabcut", "cpu", (4, 2), 1)
    assert speeds.measured_speeds("grabcut") is None and "cannot be written" in caplog.text


def test_expected_seconds_use_the_nearest_size() -> None:
    assert speeds.expected_seconds("grabcut", (640, 360), 100) is None
    speeds.record("grabcut", "cuda:0", (1280, 720), 20)
    speeds.record("grabcut", "cpu", (160, 90), 40)
    assert speeds.expected_seconds("grabcut", (640, 360), 100) == pytest.approx(100 / 20 / 4)
    assert speeds.expected_seconds("grabcut", (80, 45), 100) == pytest.approx(100 / 40 / 4)
    speeds.record("grabcut", "cpu", (1280, 720), 2)
    assert speeds.expected_seconds("grabcut", (1280, 720), 100) == pytest.approx(50)  # the latest
