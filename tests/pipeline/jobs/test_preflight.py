"""Needs of a run, known before it begins."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.clip import Clip
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.jobs import preflight
from pipeline.prompts import Box, Prompt
from pipeline.video.reading.probe import probe_clip


@pytest.fixture
def clip(clip_path: Path) -> Clip:
    return probe_clip(clip_path)


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    return Job(clip_path, tmp_path / "out.mp4")


def test_a_small_clip_is_accepted(job: Job, clip: Clip) -> None:
    preflight.check(job, clip, clip.frames)


def test_frames_larger_than_the_memory_are_refused(job: Job, clip: Clip) -> None:
    with pytest.raises(InputError, match=r"subject\.mp4: frames of 400000 × 300000 need .* scale the video"):
        preflight.check(job, replace(clip, width=400_000, height=300_000), 1)


def test_a_result_larger_than_the_disk_is_refused(job: Job, clip: Clip) -> None:
    with pytest.raises(InputError, match=r"out\.mp4: this may take .* on the disk, .* Free some space"):
        preflight.check(job, clip, 10**12)


def test_memory_grows_with_the_frame_and_disk_with_the_length(job: Job, clip: Clip) -> None:
    larger = replace(clip, width=clip.width * 2)
    assert preflight.memory_bytes(job, larger) > preflight.memory_bytes(job, clip)
    assert preflight.memory_bytes(job, replace(clip, frames=10**6)) == preflight.memory_bytes(job, clip)
    assert preflight.disk_bytes(job, clip, 200) == pytest.approx(
        2 * preflight.disk_bytes(job, clip, 100), rel=0.01
    )


@pytest.mark.parametrize(
    "changed",
    [{"matte": Path("m.mkv")}, {"prompts": (Prompt(0.5, box=Box(1, 1, 9, 9)),)}],
)
def test_disk_use_counts_the_matte_and_its_spools(job: Job, clip: Clip, changed: dict[str, Any]) -> None:
    more, less = (
        preflight.disk_bytes(replace(job, **changed), clip, 100),
        preflight.disk_bytes(job, clip, 100),
    )
    assert more > less


def test_resume_data_lowers_the_disk_space_needed(job: Job, clip: Clip, tmp_path: Path) -> None:
    kept = replace(job, matte=tmp_path / "m.mkv")
    whole = preflight.disk_bytes(kept, clip, 1000)
    (parts := tmp_path / "m.mkv.parts" / "0-0-forward").mkdir(parents=True)
    (parts / "matte-00000.mattes").write_bytes(b"x" * 5000)
    assert preflight.disk_bytes(kept, clip, 1000) == whole - 5000
    assert preflight.disk_bytes(kept, replace(clip, width=8), 1) == 0


@pytest.mark.parametrize(
    ("most", "free"), [("max", 8 * 2**30), (f"{2**30}", 2**30 - 600 * 2**20 + 100 * 2**20), ("", 8 * 2**30)]
)
def test_memory_limits_of_a_container_are_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, free: int
) -> None:
    class Machine:
        available = 8 * 2**30

    monkeypatch.setattr(preflight.psutil, "virtual_memory", Machine)
    monkeypatch.setattr(preflight, "_CGROUP", tmp_path)
    if most:
        (tmp_path / "memory.max").write_text(f"{most}\n")
        (tmp_path / "memory.current").write_text(f"{600 * 2**20}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {100 * 2**20}\nactive_file 7\n")
    assert preflight._free_memory() == free
