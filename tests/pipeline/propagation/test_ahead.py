"""Mattes computed ahead of a run: read frame by frame, kept as far as changed prompts leave them valid."""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import models
from pipeline.errors import InputError, RunError
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.process import process
from pipeline.prompts import Box, Object, Point, Prompt
from pipeline.propagation import partial, resume, scenes, spool
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import PartialMatte, find_kept_mattes, find_mattes, ready_ranges
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe

pytestmark = pytest.mark.usefixtures("stand_ins")

BOX = Box(1.0, 1.0, 60.0, 60.0)

Undisturbed = Callable[[Job], tuple[np.ndarray, bytes]]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close a segment with every fourth frame or so, however long it took."""
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 5)


@pytest.fixture
def job(counted_path: Path, tmp_path: Path) -> Job:
    output, matte = tmp_path / "out.zip", tmp_path / "m.mkv"
    prompts = (Prompt(0.5, box=BOX),)
    return Job(counted_path, output, "remembering", prompts, format="png", sound="none", matte=matte)


def compute(job: Job, near: int = 0, frames: int | None = None) -> int:
    """Compute ahead, by about `frames` frames or to the end; returns the number of frames the model did."""
    model: Any = models.load(job.model, job.device)
    model.frames = 0
    with closing(compute_ahead(job, near)) as steps:
        for _ in steps:
            if frames is not None and model.frames >= frames:
                break
    return int(model.frames)


def ready(job: Job) -> list[tuple[int, int]]:
    clip = probe_clip(job.source)
    stored = PartialMatte.find(job, clip)
    return [] if stored is None else ready_ranges(job, clip, stored.ready())


def check_stored(job: Job, undisturbed: Undisturbed) -> list[tuple[int, int]]:
    """Check that what can be shown of a job now is what its run makes; returns its ranges."""
    clip, pts = probe_clip(job.source), load_index(job.source).pts
    stored = PartialMatte.find(job, clip) or PartialMatte.find_kept(job, clip)
    ranges = [] if stored is None else ready_ranges(job, clip, stored.ready())
    mattes = undisturbed(job)[0] if ranges else []
    first = min((p for p in pts if p * float(clip.time_base) >= job.start - 1e-3), default=0)
    for number in (number for first, past in ranges for number in range(first, past)):
        read = find_mattes(job, clip, pts[number]) or find_kept_mattes(job, clip, pts[number])
        assert read is not None
        union = np.maximum.reduce(list(read.values()))
        assert np.array_equal(union, mattes[number - pts.index(first)])
    return ranges


def run(job: Job) -> tuple[np.ndarray, bytes]:
    """Return the mattes and the pictures of a run to its end, which leaves no resume data."""
    for _ in process(job):
        pass
    assert job.matte is not None
    assert sorted(entry.name for entry in job.output.parent.iterdir()) == ["m.mkv", "out.zip"]
    return ffprobe.frames(job.matte, "gray"), job.output.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Return what a run makes that nothing was computed ahead of."""
    known: dict[str, tuple[np.ndarray, bytes]] = {}

    def find(job: Job) -> tuple[np.ndarray, bytes]:
        key = f"{matte_key(job)} {job.start} {job.end}"
        if key not in known:
            folder = tmp_path_factory.mktemp("whole")
            known[key] = run(replace(job, output=folder / "out.zip", matte=folder / "m.mkv"))
        return known[key]

    return find


def check_run(job: Job, undisturbed: Undisturbed) -> None:
    """Check that a run makes what an undisturbed one makes."""
    expected, made = undisturbed(job), run(job)
    assert np.array_equal(made[0], expected[0]) and made[1] == expected[1]


@pytest.mark.usefixtures("often")
def test_a_run_only_reads_what_was_computed_ahead_of_it(job: Job, undisturbed: Undisturbed) -> None:
    compute(job)
    assert ready(job) == [(0, len(load_index(job.source).pts))]
    model: Any = models.load(job.model, job.device)
    model.frames = 0
    check_run(job, undisturbed)
    assert model.frames in (0, len(load_index(job.source).pts) + 1)  # those of the undisturbed run alone


def test_each_stored_matte_is_that_of_the_run(job: Job, undisturbed: Undisturbed) -> None:
    compute(job, frames=25)  # no segment is finished yet: read from the open one
    clip, mattes = probe_clip(job.source), undisturbed(job)[0]
    for first, past in ready(job):
        for number in range(first, past):
            stored = find_mattes(job, clip, load_index(job.source).pts[number])
            assert stored is not None and np.array_equal(stored[1], mattes[number])
    assert find_mattes(replace(job, prompts=()), clip, 0) is None


def test_mattes_can_be_read_while_they_are_computed(job: Job) -> None:
    counts = []
    with closing(compute_ahead(job)) as steps:
        for _ in steps:
            counts.append(sum(past - first for first, past in ready(job)))
    assert counts == sorted(counts) and len(set(counts)) > 30


def test_frames_on_the_side_of_the_one_that_is_looked_at_come_first(job: Job) -> None:
    pts = load_index(job.source).pts
    initial = load_index(job.source).frame_at(round(0.5 / probe_clip(job.source).time_base))
    compute(job, near=pts[-1], frames=6)
    assert min(first for first, _ in ready(job)) == pts.index(initial)
    assert resume.can_resume(job, probe_clip(job.source)) or ready(job)
    compute(replace(job, matte=job.matte and job.matte.with_name("other.mkv")), near=0, frames=6)
    assert max(past for _, past in ready(replace(job, matte=job.output.parent / "other.mkv"))) <= pts.index(
        initial
    )


@pytest.mark.usefixtures("often")
def test_a_correction_keeps_what_lies_before_it(job: Job, undisturbed: Undisturbed) -> None:
    every = compute(job)
    corrected = replace(job, prompts=(*job.prompts, Prompt(1.2, (Point(9, 9, False),))))
    assert ready(corrected) == []  # no picture of other prompts is shown
    again = compute(corrected)
    assert 0 < again < every * 0.6
    assert ready(corrected) == [(0, len(load_index(job.source).pts))]
    check_run(corrected, undisturbed)


@pytest.mark.usefixtures("often")
def test_what_a_correction_cannot_change_can_be_shown_at_once(job: Job, undisturbed: Undisturbed) -> None:
    compute(job)
    pts, clip = load_index(job.source).pts, probe_clip(job.source)
    changed = pts.index(load_index(job.source).frame_at(round(1.2 / clip.time_base)))
    corrected = replace(job, prompts=(*job.prompts, Prompt(1.2, (Point(9, 9, False),))))
    assert check_stored(corrected, undisturbed) == [(0, changed)]
    assert ready(job) == [(0, len(pts))], "nothing was changed by reading"
    compute(corrected, frames=1)
    assert check_stored(corrected, undisturbed)[0][1] >= changed, "also what is to be computed again"
    earlier = replace(job, prompts=(*job.prompts, Prompt(0.9, (Point(9, 9, False),))))
    changed = pts.index(load_index(job.source).frame_at(round(0.9 / clip.time_base)))
    assert check_stored(earlier, undisturbed) == [(0, changed)]
    compute(earlier, frames=1)
    assert check_stored(earlier, undisturbed)[0] >= (0, changed)
    compute(earlier)
    assert job.matte is not None
    assert not list(resume.resume_folder(job.matte).rglob("before-*")), "all of it has been computed again"
    check_run(earlier, undisturbed)


def test_a_new_start_keeps_nothing(job: Job, undisturbed: Undisturbed) -> None:
    compute(job)
    assert check_stored(replace(job, prompts=(Prompt(1.0, box=BOX),)), undisturbed) == []
    assert check_stored(replace(job, prompts=()), undisturbed) == []


def test_a_search_is_not_made_again(
    job: Job, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(job, prompts=(*job.prompts, Prompt(1.5, box=BOX)))
    compute(job)

    def refuse(*_: Any) -> None:
        raise AssertionError("the clip is searched once more")

    monkeypatch.setattr(scenes.scene_cuts, "scan", refuse)
    corrected = replace(job, prompts=(*job.prompts, Prompt(0.8, (Point(9, 9, False),))))
    compute(corrected)
    other = replace(job, prompts=(job.prompts[0], Prompt(1.2, box=BOX)))
    assert PartialMatte.find_kept(other, probe_clip(job.source)) is None
    with pytest.raises(AssertionError, match="once more"):
        compute(other)
    monkeypatch.undo()
    check_run(corrected, undisturbed)


@pytest.mark.usefixtures("often")
def test_a_second_object_keeps_the_first_one(job: Job, undisturbed: Undisturbed) -> None:
    every = compute(job)
    both = replace(job, prompts=(*job.prompts, Prompt(1.0, box=BOX, object=2)))
    assert compute(both) == every
    without = replace(both, objects=(Object(1, on=False), Object(2)))
    assert compute(without) == 0  # it is the other one's place that has changed
    check_run(without, undisturbed)


@pytest.mark.usefixtures("often")
def test_another_range_keeps_the_frames_of_both(job: Job, undisturbed: Undisturbed) -> None:
    compute(replace(job, end=1.0))
    longer = replace(job, end=1.5)
    assert compute(longer) < 0.6 * 1.5 * probe_clip(job.source).rate
    shorter = replace(job, start=0.2, end=0.8)
    assert compute(shorter) == 0
    check_run(shorter, undisturbed)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("seed", range(6))
def test_any_changes_on_the_way_leave_the_run_as_it_is(job: Job, undisturbed: Undisturbed, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(8):
        time, number = float(random.integers(0, 38) / 20), int(random.integers(1, 4))
        match random.integers(6):
            case 0 | 1:
                added = Prompt(
                    time, (Point(*random.uniform(1, 60, 2), bool(random.integers(2))),), object=number
                )
                job = replace(job, prompts=(*job.prompts, added))
            case 2:
                job = replace(job, prompts=(*job.prompts, Prompt(time, box=BOX, object=number)))
            case 3 if len(job.prompts) > 1:
                gone = int(random.integers(1, len(job.prompts)))
                job = replace(job, prompts=job.prompts[:gone] + job.prompts[gone + 1 :])
            case 4:
                job = replace(job, start=float(random.uniform(0, 0.6)), end=float(random.uniform(0.9, 2)))
            case _:
                pass
        check_stored(job, undisturbed)
        compute(job, near=int(random.choice(load_index(job.source).pts)), frames=int(random.integers(1, 60)))
        check_stored(job, undisturbed)
    check_run(job, undisturbed)


@pytest.mark.usefixtures("often")
def test_data_of_a_crash_between_two_sets_of_prompts_is_not_taken_for_either(
    job: Job, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected = replace(job, prompts=(*job.prompts, Prompt(1.2, (Point(9, 9, False),))))
    for step in range(1, 12):
        compute(job)
        calls = count(1)

        def fail(*given: Any, real: Any = resume.write_json, calls: Any = calls, step: int = step) -> None:
            if next(calls) == step:
                raise RunError("devices.no_memory")
            real(*given)

        with monkeypatch.context() as patch:
            patch.setattr(resume, "write_json", fail)
            with suppress(RunError):
                compute(corrected)
        if step % 3 == 0:
            compute(corrected, frames=5)
    check_run(corrected, undisturbed)


def test_the_data_of_another_folder_may_vanish_while_it_is_read(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute(job)
    clip = probe_clip(job.source)
    stored = PartialMatte.find(job, clip)
    compute(replace(job, prompts=(Prompt(1.0, box=BOX),)))
    assert stored is not None
    with pytest.raises(FileNotFoundError):
        stored.objects[1][load_index(job.source).pts[-1]].read(clip)
    assert find_mattes(job, clip, 0) is None
    monkeypatch.setattr(partial.resume, "is_of", lambda *_: False)
    assert PartialMatte.find(job, clip) is None


def test_it_needs_a_matte_file_and_the_folder_to_itself(job: Job) -> None:
    with pytest.raises(InputError, match="file to be kept in"):
        compute(replace(job, matte=None))
    with closing(compute_ahead(job)) as steps:
        next(steps)
        with pytest.raises(RunError, match="another run is making this matte"):
            next(compute_ahead(job))
    run(job)
    assert compute(job) == 0 and ready(job) == []
