"""A look at single frames."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import models, preview
from pipeline.errors import InputError
from pipeline.job import Job
from pipeline.keys import matte_key, spaced_times
from pipeline.matte import MatteFile
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.stand_in import Carrying, Threshold, number, threshold

pytestmark = pytest.mark.usefixtures("stand_ins")
BOX = Box(1, 1, 60, 60)


def carrying() -> Carrying:
    model = models.load("carrying", "auto")
    assert isinstance(model, Carrying)
    return model


@pytest.fixture
def job(counted_path: Path, tmp_path: Path) -> Job:
    return Job(counted_path, tmp_path / "out.mp4", model="carrying")


def test_previews_are_of_the_displayed_frames_in_order(job: Job) -> None:
    predictions = list(preview.predict_frames(job, [1.0, 0.0, 1.02, 0.26, 99, -1]))
    assert [number(frame.image) for frame, _ in predictions] == [0, 5, 20, 39]


def test_the_model_is_given_few_frames_and_every_prompt(job: Job) -> None:
    job = replace(job, prompts=(Prompt(0.5, box=BOX), Prompt(1.5, (Point(5, 5),))))
    predictions = list(preview.predict_frames(job, [0.1, 1.9], steps=4))
    assert [number(frame.image) for frame, _ in predictions] == [2, 38]
    back, forth = carrying().streams
    assert back.numbers[0] == forth.numbers[0] == 10
    assert back.numbers[-1] == 2 and forth.numbers[-1] == 38
    assert list(back.marks) == [10] and list(forth.marks) == [10, 30]
    assert len(back.numbers) <= 5 and len(forth.numbers) <= 9


def test_prompts_after_the_requested_frames_are_not_used(job: Job) -> None:
    job = replace(job, prompts=(Prompt(0, box=BOX), Prompt(1.9, box=BOX)))
    assert len(list(preview.predict_frames(job, [0.2]))) == 1
    assert [stream.numbers[0] for stream in carrying().streams] == [0]


@pytest.mark.parametrize("marks", [[10], [10, 11], [0, 39], [5, 20, 35]])
@pytest.mark.parametrize("points", [False, True])
def test_every_frame_can_be_requested(job: Job, marks: list[int], points: bool) -> None:
    prompts = [Prompt(n / 20, (Point(5, 5),), None if points and k else BOX) for k, n in enumerate(marks)]
    job = replace(job, prompts=tuple(prompts))
    for n in range(0, 40, 3):
        predictions = list(preview.predict_frames(job, [n / 20], steps=3))
        assert [number(frame.image) for frame, _ in predictions] == [n]


def test_a_matte_file_is_used_where_it_covers_the_frames(
    counted_path: Path, clip_path: Path, tmp_path: Path
) -> None:
    job = Job(
        clip_path, tmp_path / "o.mp4", model="threshold", start=0.25, end=0.75, matte=tmp_path / "m.mkv"
    )
    list(process(job))
    model = models.load("threshold", "auto")
    assert isinstance(model, Threshold)
    before = model.streams
    ((frame, predictions),) = preview.predict_frames(job, [0.5])
    assert model.streams == before
    assert np.array_equal(predictions.matte, threshold(frame.image))
    assert len(list(preview.predict_frames(job, [0.5, 0.9]))) == 2  # beyond the range: made for the occasion
    assert model.streams > before


def test_preview_times_are_spread_over_the_kept_range(job: Job) -> None:
    clip = probe_clip(job.source)
    assert spaced_times(clip, replace(job, start=0.5, end=1.5), 4) == pytest.approx(
        [0.625, 0.875, 1.125, 1.375]
    )


def test_a_time_that_is_not_finite_is_refused(job: Job) -> None:
    with pytest.raises(InputError):
        list(preview.predict_frames(job, [math.nan]))


def test_closing_early_leaves_no_files(job: Job, tmp_path: Path) -> None:
    steps = preview.predict_frames(replace(job, prompts=(Prompt(1, box=BOX),)), [0.0, 0.5, 1.5])
    next(iter(steps))
    del steps
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [35, 4], ids=["forward", "backward"])
def test_a_correction_is_propagated_as_in_a_run(job: Job, tmp_path: Path, at: int) -> None:
    def corrected(x: float) -> Job:
        prompts = (Prompt(1.0, box=BOX), Prompt(at / 20, (Point(x, 5),)))
        return replace(job, model="remembering", prompts=prompts, matte=tmp_path / f"{x:g}.mkv")

    clip, trail = probe_clip(job.source), preview.StateCache()
    pts = load_index(job.source).pts[at]
    model: Any = models.load("remembering", "auto")
    given = []
    for asked in (corrected(5), corrected(9)):
        model.frames = 0
        *way, pair = preview.predict_corrected(replace(asked, matte=None), pts, trail)
        given.append(model.frames)
        assert pair is not None and pair[0].pts == pts and not any(way)
        for _ in process(asked):
            pass
        kept = MatteFile.find(asked.matte, matte_key(asked))
        assert kept is not None
        ((_, matte),) = kept.read_at(clip, [pts])
        assert np.array_equal(pair[1].matte, matte)
    # The second click on a frame goes on from the frame before it.
    assert given == [16 if at > 20 else 17, 1]


def test_only_a_correction_is_propagated(job: Job) -> None:
    clip, pts = probe_clip(job.source), load_index(job.source).pts
    job = replace(job, prompts=(Prompt(0.5, box=BOX), Prompt(1.0, (Point(5, 5),)), Prompt(1.5, box=BOX)))
    assert [n for n in range(40) if preview.find_corrected_segment(clip, job, pts[n])] == [20]
    assert not list(preview.predict_corrected(job, pts[10], preview.StateCache()))
