"""Jobs that are cut into streams: which, where, and a run that takes these over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import models
from pipeline.cluster import cutting
from pipeline.cluster.cutting import Cut, cut_job, needs_plan
from pipeline.compositing.background import Picture
from pipeline.errors import RunError
from pipeline.generators import complete
from pipeline.job import Job
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt, normalise
from pipeline.propagation import resume, spool
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.plan import PlanInputs
from pipeline.propagation.scenes import find_plan_inputs, known_plan_inputs
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.cluster.test_executor import expected, made
from tests.rendered import subject_over_background, write_clip

pytestmark = pytest.mark.usefixtures("stand_ins", "short_pieces", "often")

BOX = Box(10.0, 10.0, 60.0, 60.0)
TWICE_BOTH_WAYS = (
    Prompt(12 / 24, box=BOX),
    Prompt(12 / 24, box=Box(70.0, 10.0, 120.0, 60.0), object=2),
    Prompt(20 / 24, (Point(90.0, 30.0),), object=2),
)


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PIECE_FRAMES", 5)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close a segment with every fourth frame or so, however long it took."""
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 5)


@pytest.fixture(scope="module")
def three_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of three scenes of twelve frames each."""
    first, _ = subject_over_background(12, 160, 90)
    second = [np.ascontiguousarray(255 - frame[::-1]) for frame in first]
    third = [np.ascontiguousarray(np.roll(frame, 60, 1)[..., ::-1]) for frame in first]
    return write_clip(tmp_path_factory.mktemp("clips") / "scenes.mp4", first + second + third)


@pytest.fixture
def job(three_scenes: Path, tmp_path: Path) -> Job:
    """A job of two objects, each with streams in both directions."""
    return Job(
        three_scenes,
        tmp_path / "result.mp4",
        "remembering",
        TWICE_BOTH_WAYS,
        matte=tmp_path / "matte.mkv",
        background=Picture(tmp_path / "not-there.png"),
    )


@pytest.fixture
def plain(job: Job) -> Job:
    return replace(job, background=Job.background)


@pytest.fixture
def remembers(stand_ins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the model run through scene cuts, so that it is given each frame of its streams."""
    card = models.cards()["remembering"]
    monkeypatch.setitem(models.cards(), "remembering", replace(card, has_memory=True))


def find_inputs(job: Job) -> PlanInputs:
    return complete(find_plan_inputs(job, probe_clip(job.source)))


def folder(job: Job) -> Path:
    assert job.matte is not None
    return resume.resume_folder(job.matte)


def compute(cut: Cut, frames: int | None = None) -> Path:
    """Compute a piece, by about so many frames or to its end; return the folder of its resume data."""
    with closing(compute_ahead(cut.job, streams=cut.streams)) as steps:
        for step in steps:
            if frames is not None and step.done >= frames:
                break
    return folder(cut.job)


def asked_frames(call: Callable[[], Any]) -> int:
    """Return the number of frames that the model is given meanwhile."""
    model: Any = models.load("remembering", "auto")
    model.frames = 0
    call()
    return int(model.frames)


def run(job: Job, pieces: list[Path]) -> None:
    for _ in process(job, pieces):
        pass


MARKED = {
    "two objects both ways": TWICE_BOTH_WAYS,
    "a box in each scene": (
        Prompt(4 / 24, box=BOX),
        Prompt(18 / 24, box=BOX),
        Prompt(30 / 24, (Point(30.0, 30.0),)),
        Prompt(16 / 24, box=BOX, object=2),
        Prompt(33 / 24, (Point(90.0, 30.0),), object=2),
    ),
    "one object at two frames": (Prompt(8 / 24, box=BOX), Prompt(20 / 24, box=BOX)),
    "outside the range": (Prompt(2 / 24, box=BOX), Prompt(35 / 24, box=BOX, object=2)),
}


@pytest.mark.parametrize("prompts", MARKED.values(), ids=MARKED)
@pytest.mark.parametrize("span", [(0.0, None), (6 / 24, 30 / 24)], ids=["whole", "part"])
def test_a_run_that_takes_over_its_pieces_is_that_of_one_machine_to_the_bit(
    plain: Job, tmp_path: Path, prompts: tuple[Prompt, ...], span: tuple[float, float | None]
) -> None:
    job = replace(plain, prompts=normalise(prompts), start=span[0], end=span[1])
    whole, clip = expected(job, tmp_path / "here"), probe_clip(job.source)
    inputs = find_inputs(job)
    with cut_job(job, 3, inputs) as (same, cuts):
        assert same == job and len(cuts) > 1
        for cut in cuts:  # planned as the whole is, without another search
            assert known_plan_inputs(cut.job, clip) == inputs
        names = [name for cut in cuts for name in cut.streams]
        assert len(set(names)) == len(names) and all((folder(job) / name).is_dir() for name in names)
        assert all(a.frames >= b.frames for a, b in pairwise(cuts))
        assert asked_frames(lambda: [compute(cut) for cut in cuts])
        pieces = [folder(cut.job) for cut in cuts]
        assert not asked_frames(lambda: run(job, pieces))
    assert made(job) == whole
    assert not folder(job).exists()


def test_pieces_read_nothing_that_only_the_result_shows(job: Job) -> None:
    with cut_job(job, 2, find_inputs(job)) as (_, cuts):
        assert cuts and all(not isinstance(cut.job.background, Picture) for cut in cuts)
    assert not folder(job).exists()


def test_objects_share_a_piece_where_what_a_slow_encoder_makes_of_a_frame_serves_both(
    plain: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = models.cards()["remembering"]
    monkeypatch.setitem(models.cards(), "remembering", replace(card, slow_encoder=True))
    with cut_job(plain, 2, find_inputs(plain)) as (_, cuts):
        ways = [{name.split("-", 1)[1] for name in cut.streams} for cut in cuts]
        assert [len(cut.streams) for cut in cuts] == [2, 2] and all(len(way) == 1 for way in ways)


def test_jobs_run_whole_where_a_cut_spares_little(plain: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    assert needs_plan(plain, 2) and not needs_plan(plain, 1)
    assert not needs_plan(replace(plain, model="each", prompts=()), 2)  # of single frames
    assert not needs_plan(replace(plain, end=2 / 24), 2)
    one = replace(plain, prompts=(Prompt(2 / 24, box=BOX),))  # two frames lie before it
    for kept in (one, replace(one, matte=None)):
        with cut_job(kept, 2, find_inputs(one)) as cut:
            assert cut == (kept, [])
    run(plain, [])
    assert not needs_plan(plain, 2)  # its matte is there
    assert not folder(plain).exists()


def test_a_job_without_a_matte_has_one_for_its_run(plain: Job, tmp_path: Path) -> None:
    job = replace(plain, matte=None)
    whole = expected(plain, tmp_path / "here")
    with cut_job(job, 2, find_inputs(job)) as (other, cuts):
        assert other.matte is not None and replace(other, matte=None) == job
        run(other, [compute(cut) for cut in cuts])
    assert job.output.read_bytes() == whole[0]
    assert {path.name for path in tmp_path.iterdir()} == {"here", "result.mp4"}


def interrupt(job: Job, frames: int) -> None:
    """Have a run in pieces end with an error once each has about so many frames."""
    with pytest.raises(RunError), cut_job(job, 2, find_inputs(job)) as (_, cuts):
        for cut in cuts:
            compute(cut, frames)
        raise RunError("devices.foreign_matte")


@pytest.mark.usefixtures("remembers")
def test_streams_go_on_through_scenes_in_pieces_as_well(plain: Job, tmp_path: Path) -> None:
    whole = expected(plain, tmp_path / "here")
    with cut_job(plain, 2, find_inputs(plain)) as (_, cuts):
        given = asked_frames(lambda: [compute(cut) for cut in cuts])
        assert given == sum(cut.frames for cut in cuts) + 2  # an initial frame is given both ways
        pieces = [folder(cut.job) for cut in cuts]
        assert not asked_frames(lambda: run(plain, pieces))
    assert made(plain) == whole


@pytest.mark.usefixtures("remembers")
def test_an_interrupted_job_is_continued_from_its_pieces_by_any_machine(plain: Job, tmp_path: Path) -> None:
    whole, clip = expected(plain, tmp_path / "here"), probe_clip(plain.source)
    total = asked_frames(lambda: expected(plain, tmp_path / "again"))
    interrupt(plain, 8)
    assert resume.can_resume(plain, clip) and len(resume.find_pieces(plain, clip)) == 4
    other = replace(plain, prompts=TWICE_BOTH_WAYS[:1])
    assert not resume.can_resume(other, clip)
    assert asked_frames(lambda: run(plain, [])) <= total - 4 * 8
    assert made(plain) == whole and not folder(plain).exists()


def test_a_job_that_is_cut_again_goes_on_with_what_is_there(plain: Job, tmp_path: Path) -> None:
    whole = expected(plain, tmp_path / "here")
    interrupt(plain, 8)
    with cut_job(plain, 2, find_inputs(plain)) as (_, cuts):
        stored = [resume.stored_frames(folder(cut.job) / cut.streams[0])[0] for cut in cuts]
        assert len(cuts) == 4 and all(frames >= 8 for frames in stored)
        compute(cuts[0])
        # The whole has what it had, while its pieces go on.
        assert all(resume.stored_frames(folder(plain) / cut.streams[0])[0] >= 8 for cut in cuts)
        pieces = [compute(cut) for cut in cuts]
        run(plain, pieces)
    assert made(plain) == whole


def test_finished_streams_are_not_cut_again(plain: Job) -> None:
    with pytest.raises(RunError), cut_job(plain, 2, find_inputs(plain)) as (_, cuts):
        first = cuts[0].streams
        compute(cuts[0])
        raise RunError("devices.foreign_matte")
    with cut_job(plain, 2, find_inputs(plain)) as (_, cuts):
        assert len(cuts) == 3 and all(cut.streams != first for cut in cuts)


@pytest.mark.usefixtures("remembers")
def test_what_is_there_is_not_replaced_by_less(plain: Job, tmp_path: Path) -> None:
    whole, clip, inputs = expected(plain, tmp_path / "here"), probe_clip(plain.source), find_inputs(plain)
    assert plain.matte is not None
    with cut_job(plain, 2, inputs) as (_, cuts):
        short = [compute(cut, 8) for cut in cuts]
        for _ in compute_ahead(replace(plain, matte=tmp_path / "long.mkv")):
            pass
        long = resume.resume_folder(tmp_path / "long.mkv")
        for name in (name for cut in cuts for name in cut.streams):
            (folder(plain) / name).rename(tmp_path / "empty")
            (long / name).rename(folder(plain) / name)
            (tmp_path / "empty").rename(long / name)
        with resume.open_folder(plain, plain.matte, clip, inputs, short) as there:
            for cut in cuts:
                (name,) = cut.streams
                assert resume.stored_frames(there / name)[0] >= cut.frames
        assert not asked_frames(lambda: run(plain, short))
    assert made(plain) == whole


@pytest.mark.usefixtures("remembers")
def test_other_marks_take_over_what_does_not_depend_on_them(plain: Job, tmp_path: Path) -> None:
    interrupt(plain, 10)
    changed = replace(plain, prompts=(TWICE_BOTH_WAYS[0], replace(TWICE_BOTH_WAYS[1], box=BOX)))
    whole = expected(changed, tmp_path / "here")
    total = asked_frames(lambda: expected(changed, tmp_path / "again"))
    given = asked_frames(lambda: run(changed, []))
    assert total - 40 < given <= total - 20  # object 1's, and none of object 2's
    assert made(changed) == whole and not folder(plain).exists()


@pytest.mark.usefixtures("remembers")
def test_a_later_mark_takes_over_what_lies_before_it(plain: Job, tmp_path: Path) -> None:
    interrupt(plain, 16)
    changed = replace(plain, prompts=(*TWICE_BOTH_WAYS[:2], Prompt(26 / 24, (Point(9.0, 9.0),), object=2)))
    whole = expected(changed, tmp_path / "here")
    total = asked_frames(lambda: expected(changed, tmp_path / "again"))
    assert asked_frames(lambda: run(changed, [])) < total - 36  # also of object 2, up to its former mark
    assert made(changed) == whole


def test_a_piece_that_is_being_written_is_not_taken(plain: Job) -> None:
    interrupt(plain, 8)
    clip = probe_clip(plain.source)
    piece = resume.find_pieces(plain, clip)[0]
    with resume._locked(piece, "m.mkv"), pytest.raises(RunError, match=r"matte\.mkv: another run"):
        run(plain, [])
    assert resume.can_resume(plain, clip)
