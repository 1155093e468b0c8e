"""Jobs that are cut into pieces: which, where, and a run that reads their predictions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import read_json
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt, Stroke
from pipeline.propagation import raw, resume
from pipeline.propagation.ahead import compute_ahead
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline import stand_in
from tests.rendered import subject_over_background, write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip whose 14th frame begins another scene."""
    frames, _ = subject_over_background(24, 160, 90)
    frames[13:] = [255 - np.roll(frame, 40, 1) for frame in frames[13:]]
    return write_clip(tmp_path_factory.mktemp("clips") / "scenes.mp4", frames)


@pytest.fixture
def job(two_scenes: Path, tmp_path: Path) -> Job:
    return Job(two_scenes, tmp_path / "out.mp4", model="each", matte=tmp_path / "matte.mkv")


def compute(pieces: list[Job]) -> list[Path]:
    """Compute pieces; return the folders of their predictions."""
    folders = []
    for piece in pieces:
        for _ in compute_ahead(piece, raw=True):
            pass
        assert piece.matte is not None
        folders.append(resume.resume_folder(piece.matte))
    return folders


def made(job: Job, pieces: list[Path]) -> tuple[bytes, bytes, tuple[float, ...]]:
    """Run a job; return its result, its mattes, and the times to review."""
    *_, last = process(job, pieces)
    assert job.matte is not None
    return job.output.read_bytes(), ffprobe.frames(job.matte, "gray").tobytes(), last.checks


def test_pieces_cover_the_range_and_are_cut_at_the_same_frames_whatever_it_is(
    job: Job, tmp_path: Path
) -> None:
    clip = probe_clip(job.source)
    times = load_index(clip.path).pts
    ranges = [pts_range(piece, clip) for piece in raw.cut(job, clip, 10, tmp_path)]
    assert [first for first, _ in ranges] == [times[0], times[10], times[20]]
    assert all(past == first for (_, past), (first, _) in pairwise(ranges))
    part = replace(job, start=4.2 / 24, end=15 / 24)
    assert [pts_range(piece, clip) for piece in raw.cut(part, clip, 10, tmp_path)] == [
        (times[5], times[10]),
        (times[10], times[15]),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"deflicker": False},
        {"start": 0.2, "end": 0.8},
        {"matte": "other.mkv", "crop": "9:16"},
        {"prompts": (Prompt(0.3, strokes=(Stroke(((40.0, 40.0), (80.0, 40.0)), 12, True),)),)},
    ],
    ids=["deflickered", "raw", "part", "cropped", "painted"],
)
def test_a_run_of_pieces_is_that_of_the_model_to_the_bit(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object]
) -> None:
    job = replace(job, **changed | {"matte": tmp_path / "m.mkv"})  # type: ignore[arg-type]
    whole = made(replace(job, output=tmp_path / "w.mp4", matte=tmp_path / "w.mkv"), [])
    (tmp_path / "pieces").mkdir()
    pieces = compute(raw.cut(job, probe_clip(job.source), 5, tmp_path / "pieces"))
    assert len(pieces) > 1
    asked: list[object] = []
    monkeypatch.setattr(stand_in.Each, "predict", lambda _, frames: asked.append(frames))
    assert made(job, pieces) == whole
    assert not asked


def test_what_a_piece_lacks_is_asked_of_the_model(job: Job, tmp_path: Path) -> None:
    whole = made(replace(job, output=tmp_path / "w.mp4", matte=tmp_path / "w.mkv"), [])
    (tmp_path / "pieces").mkdir()
    first, *others = compute(raw.cut(job, probe_clip(job.source), 8, tmp_path / "pieces"))
    (damaged,) = others[0].glob("*/segment-00000.mattes")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert made(job, [first, others[0]]) == whole


def test_only_what_looks_at_single_frames_is_cut(job: Job) -> None:
    assert raw.is_raw(job)
    stroke = Stroke(((1.0, 1.0), (9.0, 9.0)), 4, True)
    assert raw.is_raw(replace(job, prompts=(Prompt(0.0, strokes=(stroke,)),)))
    two = tuple(Prompt(0.0, strokes=(stroke,), object=number) for number in (1, 2))
    for other in (
        replace(job, model="remembering"),
        replace(job, prompts=(Prompt(0.0, (Point(9.0, 9.0),)),)),
        replace(job, prompts=(Prompt(0.0, box=Box(1, 1, 9, 9)),)),
        replace(job, prompts=two),
        replace(job, model="matte-in"),
    ):
        assert not raw.is_raw(other)


def test_pieces_outlive_other_marks_and_go_with_the_finished_matte(job: Job) -> None:
    assert job.matte is not None
    clip, folder = probe_clip(job.source), resume.pieces_folder(job.matte)
    folder.mkdir(parents=True)
    pieces = compute(raw.cut(job, clip, 12, folder))
    painted = replace(job, prompts=(Prompt(0.3, strokes=(Stroke(((4.0, 4.0), (8.0, 4.0)), 4, True),)),))
    with resume.open_folder(painted, job.matte, clip):
        pass
    assert read_json(pieces[0] / "journal.json") and resume.stored_bytes(job.matte)
    made(job, pieces)
    assert MatteFile.open(job.matte).key and not resume.resume_folder(job.matte).exists()


def test_an_interrupted_run_in_pieces_is_continued_by_any_machine(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(replace(job, output=tmp_path / "w.mp4", matte=tmp_path / "w.mkv"), [])
    assert job.matte is not None
    clip, folder = probe_clip(job.source), resume.pieces_folder(job.matte)
    folder.mkdir(parents=True)
    assert not resume.can_resume(job, clip)
    compute(raw.cut(job, clip, 16, folder)[:1])
    assert resume.can_resume(job, clip)
    assert not resume.can_resume(replace(job, model="gated"), clip)
    asked: list[object] = []
    predict = stand_in.Each.predict
    monkeypatch.setattr(stand_in.Each, "predict", lambda *given: (asked.append(given), predict(*given))[1])
    assert made(job, []) == whole
    assert len(asked) == 24 - 16 and not resume.resume_folder(job.matte).exists()
