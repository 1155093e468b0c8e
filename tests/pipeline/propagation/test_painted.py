"""Brush strokes in a run: to the pixel on their own frame, and in the plan of the streams."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import models, preview
from pipeline.errors import PromptError
from pipeline.imaging import strokes
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import Prediction, PromptedFrame
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt, Stroke
from pipeline.propagation import spool
from pipeline.propagation.ahead import compute_ahead
from pipeline.propagation.partial import PartialMatte, find_mattes
from pipeline.propagation.plan import Segment, plan_segments
from pipeline.propagation.stream import run_model
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe

pytestmark = pytest.mark.usefixtures("stand_ins")

BOX = Box(1.0, 1.0, 60.0, 60.0)
KEPT = Stroke(((5.0, 8.25), (40.0, 12.0)), 7.5)
REMOVED = Stroke(((20.5, 2.0), (20.5, 60.0)), 5.0, keep=False)
NUMBER = 24
AT = NUMBER / 20  # of the counted clip
PAINTED = Prompt(AT, strokes=(KEPT, REMOVED))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close a segment with every fourth frame or so, however long it took."""
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 5)


@pytest.fixture
def job(counted_path: Path, tmp_path: Path) -> Job:
    prompts = (Prompt(0.5, box=BOX),)
    out, matte = tmp_path / "out.zip", tmp_path / "m.mkv"
    return Job(counted_path, out, "remembering", prompts, format="png", sound="none", matte=matte)


def run(job: Job, folder: Path) -> np.ndarray:
    """The mattes of an undisturbed run."""
    folder.mkdir()
    job = replace(job, output=folder / "out.zip", matte=folder / "m.mkv")
    for _ in process(job):
        pass
    assert job.matte is not None
    return ffprobe.frames(job.matte, "gray")


def compute(job: Job) -> int:
    """Compute the cut ahead of its run; returns the number of frames the model did."""
    model: Any = models.load(job.model, job.device)
    model.frames = 0
    with closing(compute_ahead(job)) as steps:
        for _ in steps:
            pass
    return int(model.frames)


@pytest.mark.parametrize(("model", "prompts"), [("threshold", (Prompt(0.5, box=BOX),)), ("blind", ())])
def test_strokes_hold_to_the_pixel_on_their_frame_and_change_no_other(
    job: Job, tmp_path: Path, model: str, prompts: tuple[Prompt, ...]
) -> None:
    job = replace(job, model=model, prompts=prompts)
    plain = run(job, tmp_path / "plain")
    painted = run(replace(job, prompts=(*prompts, PAINTED)), tmp_path / "painted")
    expected = plain.copy()
    expected[NUMBER] = strokes.paint(np.ascontiguousarray(plain[NUMBER]), PAINTED.strokes)
    assert np.array_equal(painted, expected)
    inside = painted[NUMBER]
    assert inside[8, 8] == inside[11, 34] == 255 and not inside[20:60, 19:22].any()
    assert len(np.unique(inside)) > len(np.unique(plain[NUMBER])) + 4  # its edge is soft


def test_what_is_computed_ahead_and_what_is_previewed_is_what_the_run_makes(job: Job, tmp_path: Path) -> None:
    job = replace(job, prompts=(*job.prompts, PAINTED))
    expected, clip = run(job, tmp_path / "run"), probe_clip(job.source)
    compute(job)
    for number, pts in enumerate(load_index(job.source).pts):
        stored = find_mattes(job, clip, pts)
        assert stored is not None and np.array_equal(stored[1], expected[number])
    found = PartialMatte.find(job, clip)
    assert found is not None
    assert all(np.array_equal(matte, expected[n]) for n, (_, matte) in enumerate(found.unions()))
    pts = load_index(job.source).pts[NUMBER]
    job = replace(job, matte=None)
    *_, corrected = preview.predict_corrected(job, pts, preview.StateCache())
    assert corrected is not None and np.array_equal(corrected[1].matte, expected[NUMBER])
    ((_, quick),) = preview.predict_frames(job, [AT], steps=3)
    assert np.array_equal(quick.matte, strokes.paint(quick.matte, PAINTED.strokes))


def test_a_stroke_makes_stale_only_what_it_can_change(job: Job, tmp_path: Path) -> None:
    painted = replace(job, prompts=(*job.prompts, PAINTED))
    plain, expected = run(job, tmp_path / "plain"), run(painted, tmp_path / "painted")
    assert np.array_equal(plain[:NUMBER], expected[:NUMBER])
    every = compute(job)
    again = compute(painted)  # from its segment of the forward stream on
    assert 0 < again <= 40 - NUMBER + 6 < every
    other = replace(PAINTED, strokes=(KEPT,))
    assert compute(replace(painted, prompts=(*job.prompts, other))) <= 40 - NUMBER + 6
    assert compute(job) <= 40 - NUMBER + 6  # undone
    second = replace(painted, prompts=(*painted.prompts, Prompt(1.0, box=BOX, object=2)))
    compute(second)
    erased = replace(second, prompts=(*second.prompts, replace(PAINTED, time=0.2, object=2)))
    assert compute(erased) <= 4 + 6  # the second object's, back from there
    for _ in process(painted):
        pass
    assert painted.matte is not None
    assert np.array_equal(ffprobe.frames(painted.matte, "gray"), expected)


def test_strokes_are_part_of_the_key_and_the_keys_of_other_jobs_stay(job: Job) -> None:
    painted = replace(job, prompts=(*job.prompts, PAINTED))
    other = replace(job, prompts=(*job.prompts, replace(PAINTED, strokes=(REMOVED, KEPT))))
    assert len({matte_key(job), matte_key(painted), matte_key(other)}) == 3
    assert Job.from_json(painted.to_json(job.source.parent), job.source.parent) == painted


def test_strokes_are_not_deflickered_into_other_frames(counted_path: Path) -> None:
    class Flickering:
        def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
            for still in stills:
                yield Prediction(np.zeros(still.image.shape[:2], np.uint8))

    pts = load_index(counted_path).pts
    frames = read_frames(counted_path, 0, pts[6])
    made = [found.matte for _, found in run_model(Flickering(), frames, {pts[3]: PAINTED}, deflickered=True)]
    assert [bool(matte.any()) for matte in made] == [False, False, False, True, False, False]


# The plan


def plan(
    job: Job, *prompts: Prompt, cuts: tuple[int, ...] = (), automatic: bool = False
) -> list[list[Segment]]:
    clip = probe_clip(job.source)
    return plan_segments(prompts, clip, 0, load_index(job.source).pts[-1] + 1, cuts, automatic=automatic)


def initial(planned: list[list[Segment]], job: Job) -> list[list[int]]:
    pts = load_index(job.source).pts
    return [[pts.index(segment.initial_pts) for segment in segments] for segments in planned]


def test_strokes_correct_an_object_that_something_else_initialises(job: Job) -> None:
    click = Prompt(1.5, (Point(5, 5),))
    assert initial(plan(job, PAINTED, click), job) == [[30]]
    assert initial(plan(job, PAINTED, Prompt(1.5, box=BOX)), job) == [[30]]
    assert plan(job, PAINTED, click)[0][0].prompts[load_index(job.source).pts[NUMBER]] == PAINTED


def test_strokes_initialise_an_object_that_nothing_else_does(job: Job) -> None:
    ((segment,),) = plan(job, PAINTED, Prompt(1.5, strokes=(KEPT,)))
    assert initial([[segment]], job) == [[NUMBER]]
    prompt = segment.prompts[segment.initial_pts]
    assert prompt.initialises and prompt.strokes == PAINTED.strokes
    assert all(
        strokes.paint(np.zeros((64, 64), np.uint8), PAINTED.strokes)[int(p.y), int(p.x)] == 255 * p.keep
        for p in prompt.points
    )
    # One of two objects, or one scene of two.
    assert initial(plan(job, Prompt(0.5, box=BOX), replace(PAINTED, object=2)), job) == [[10], [NUMBER]]
    cut = load_index(job.source).pts[20]
    assert initial(plan(job, Prompt(0.5, (Point(5, 5),)), PAINTED, cuts=(cut,)), job) == [[10, NUMBER]]
    # Strokes that only remove do not.
    assert initial(plan(job, replace(PAINTED, strokes=(REMOVED,))), job) == [[0]]


def test_strokes_correct_what_a_model_finds_by_itself(job: Job) -> None:
    ((segment,),) = plan(job, PAINTED, automatic=True)
    assert initial([[segment]], job) == [[0]]
    assert segment.prompts == {load_index(job.source).pts[NUMBER]: PAINTED}
    assert initial(plan(job, PAINTED, Prompt(0.5, box=BOX, object=2), automatic=True), job) == [
        [NUMBER],
        [10],
    ]


def test_a_model_that_has_to_be_told_is_told_by_a_stroke(job: Job) -> None:
    clip = probe_clip(job.source)
    replace(job, model="shy", prompts=(PAINTED,)).check(clip)
    with pytest.raises(PromptError, match="needs to be told"):
        replace(job, model="shy", prompts=(replace(PAINTED, strokes=(REMOVED,)),)).check(clip)
    wide = replace(PAINTED, strokes=(replace(KEPT, width=65.0),))
    with pytest.raises(PromptError, match="from 1 to 64 pixels wide"):
        replace(job, prompts=(*job.prompts, wide)).check(clip)
