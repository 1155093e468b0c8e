"""Surveys of clips: the same light however a result is made."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import matte
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.light import Light
from pipeline.job import Job
from pipeline.keys import matte_key, pts_range
from pipeline.models.matte_in import BorrowedMatte
from pipeline.process import process
from pipeline.rendering import survey
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests.rendered import subject_over_background, write_clip
from tests.shadowed import shadowed_clip

pytestmark = pytest.mark.usefixtures("stand_ins")

MATCHED = Light(match=0.8)


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    out, kept = tmp_path / "out.mp4", tmp_path / "matte.mkv"
    behind = Colour(210, 120, 60)
    return Job(clip_path, out, model="threshold", background=behind, end=1.0, matte=kept, light=MATCHED)


@pytest.fixture
def shadowed(job: Job, tmp_path: Path) -> Job:
    """A job whose mattes are the true ones of a figure with a shadow."""
    clip = shadowed_clip(24)
    path = write_clip(tmp_path / "shadowed.mp4", clip.frames)
    grey = [np.repeat(alpha[..., None], 3, axis=2) for alpha in clip.alphas]
    given = BorrowedMatte(write_clip(tmp_path / "alphas.mkv", grey))
    return replace(job, source=path, model="matte-in", matte_in=given)


def run(job: Job) -> bytes:
    with closing(process(job)) as steps:
        *_, last = steps
    assert not last.notes
    assert last.done == last.total and last.frames
    return job.output.read_bytes()


@pytest.mark.parametrize(
    "change",
    [{}, {"light": Light(keep=1.0)}, {"light": Light(keep=0.8, match=0.5), "crop": "1:1"}],
    ids=["match", "keep", "cropped"],
)
def test_a_run_that_is_continued_or_made_from_the_kept_matte_is_the_same(
    shadowed: Job, tmp_path: Path, change: dict[str, Any]
) -> None:
    job = replace(shadowed, **change)
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
    maps = [made.light_at(frame, mattes[frame.pts]).subject for frame in read_frames(path)]
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
    maps = [made.light_at(f, alone).subject for f in read_frames(job.source)]
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
        ({"light": Light(keep=1), "background": Transparent()}, True),
        ({"light": Light(keep=1), "background": Blur()}, False),
    ],
)
def test_a_survey_is_made_where_there_is_light_to_match(
    job: Job, change: dict[str, Any], surveyed: bool
) -> None:
    assert replace(job, **change).is_surveyed == surveyed


def test_the_background_is_brought_into_the_subjects_light(job: Job) -> None:
    plain = run(replace(job, light=Light()))
    turned = replace(job, light=Light(match=1.0, match_to="subject"))
    assert run(turned) != plain
    corner = next(read_frames(turned.output)).image[:20, :20].mean(axis=(0, 1))
    assert np.abs(corner - (210, 120, 60)).max() > 8
    kept = matte.MatteFile.find(job.matte, matte_key(job))
    assert kept is not None


def test_the_kept_shadow_falls_on_the_new_background(shadowed: Job) -> None:
    run(replace(shadowed, light=Light(), output=shadowed.output.with_name("plain.mp4")))
    run(replace(shadowed, light=Light(keep=1.0)))
    clip = shadowed_clip(24)
    pairs = zip(
        read_frames(shadowed.output.with_name("plain.mp4")), read_frames(shadowed.output), strict=True
    )
    error = {"without": 0.0, "with": 0.0}
    for n, (plain, lit) in enumerate(pairs):
        true = plain.image * np.where(clip.alphas[n] > 0, 1, 1 - clip.shades[n])[..., None]
        beside = clip.alphas[n] == 0
        error["without"] += float(np.abs(plain.image - true)[beside].mean())
        error["with"] += float(np.abs(lit.image - true)[beside].mean())
    assert error["with"] < error["without"] / 2


def test_a_note_says_where_the_shadow_cannot_be_kept(job: Job) -> None:
    job = replace(job, light=Light(keep=1.0), end=0.1)  # too short for a clean plate
    with closing(process(job)) as steps:
        *_, last = steps
    assert [note.key for note in last.notes] == ["notes.shadow_not_kept"]
