"""Surveys of clips: the same light however a result is made."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline import matte
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.light import Light
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.process import process
from pipeline.rendering import survey
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests.rendered import subject_over_background, write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

MATCHED = Light(match=0.8)


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    out, kept = tmp_path / "out.mp4", tmp_path / "matte.mkv"
    behind = Colour(210, 120, 60)
    return Job(clip_path, out, model="threshold", background=behind, end=1.0, matte=kept, light=MATCHED)


def run(job: Job) -> bytes:
    with closing(process(job)) as steps:
        *_, last = steps
    assert last.done == last.total and last.frames
    return job.output.read_bytes()


def test_a_run_that_is_continued_or_made_from_the_kept_matte_is_the_same(job: Job, tmp_path: Path) -> None:
    assert job.is_surveyed
    whole = run(job)
    assert run(job) == whole  # from the matte that is kept now
    again = replace(job, matte=tmp_path / "again.mkv")
    for stopped_after in (5, 30):
        with closing(process(again)) as steps:
            for _ in islice(steps, stopped_after):
                pass
    assert run(again) == whole
    assert run(replace(job, matte=None)) == whole
    assert run(replace(job, light=Light())) != whole


def test_each_scene_has_its_own_colours_that_do_not_change_within_it(tmp_path: Path, job: Job) -> None:
    frames, alphas = subject_over_background(24, 320, 180)
    other = [255 - np.roll(frame, 120, axis=1) for frame in frames]
    path = write_clip(tmp_path / "two.mp4", [*frames, *other], rate=24)
    job = replace(job, source=path, end=None)
    clip = probe_clip(path)
    mattes = dict(zip(sorted(f.pts for f in read_frames(path)), [*alphas, *alphas], strict=True))

    def read(wanted: list[int]) -> object:
        return ((frame, mattes[frame.pts]) for frame in read_frames(path, only=wanted))

    made = survey.complete(survey.make_survey(job, clip, read))  # type: ignore[arg-type]
    cut = sorted(mattes)[24]
    assert [scene.begin for scene in made.scenes] == [survey.sample_pts(job, clip)[0], cut]
    maps = [made.light_at(pts, 0.0).subject for pts in sorted(mattes)]
    assert all(found is not None and np.array_equal(found, maps[0]) for found in maps[:24])
    assert all(found is not None and np.array_equal(found, maps[24]) for found in maps[24:])
    assert maps[0] is not None and maps[24] is not None and np.abs(maps[0] - maps[24]).max() > 0.02


def test_a_moving_background_changes_the_light_slowly(tmp_path: Path, job: Job) -> None:
    plain = [np.full((90, 160, 3), 90 if n < 6 else 110, np.uint8) for n in range(48)]
    behind = write_clip(tmp_path / "behind.mp4", plain, rate=24)
    job = replace(job, background=Footage(behind), end=None)
    clip = probe_clip(job.source)
    frame = next(read_frames(job.source))
    alone = np.full(frame.image.shape[:2], 255, np.uint8)
    read = lambda wanted: ((f, alone) for f in read_frames(job.source, only=wanted))  # noqa: E731
    made = survey.complete(survey.make_survey(job, clip, read))
    times = np.arange(0, clip.duration, 1 / 24)
    maps = [made.light_at(0, float(seconds)).subject for seconds in times]
    levels = [float((found @ (0.5, 0.5, 0.5, 1)).mean()) for found in maps if found is not None]
    assert max(levels) - min(levels) > 0.001
    assert np.abs(np.diff(levels)).max() < 0.1 * (max(levels) - min(levels))


def test_the_samples_are_bounded_and_in_the_range(job: Job) -> None:
    clip = probe_clip(job.source)
    first, past = pts_range(job, clip)
    pts = survey.sample_pts(job, clip)
    assert pts == sorted(set(pts)) and len(pts) == survey._LEAST_SAMPLES
    assert first <= pts[0] and pts[-1] < past
    assert len(survey.sample_pts(replace(job, end=0.1), clip)) < 8


@pytest.mark.parametrize(
    ("change", "surveyed"),
    [
        ({}, True),
        ({"background": Picture(Path("a.png"))}, True),
        ({"background": Transparent()}, False),
        ({"background": Blur()}, False),
        ({"format": "matte"}, False),
        ({"light": Light(wrap=1)}, False),
    ],
)
def test_a_survey_is_made_where_there_is_light_to_match(job: Job, change: dict, surveyed: bool) -> None:
    assert replace(job, **change).is_surveyed == surveyed


def test_the_background_is_brought_into_the_subjects_light(job: Job) -> None:
    plain = run(replace(job, light=Light()))
    turned = replace(job, light=Light(match=1.0, match_to="subject"))
    assert run(turned) != plain
    corner = next(read_frames(turned.output)).image[:20, :20].mean(axis=(0, 1))
    assert np.abs(corner - (210, 120, 60)).max() > 8
    kept = matte.MatteFile.find(job.matte, matte_key(job))
    assert kept is not None
