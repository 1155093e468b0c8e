"""Job and Progress as data, and what a job is checked for."""

import json
import math
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent, Words
from pipeline.compositing.edges import Edges
from pipeline.compositing.light import Light, Shadow
from pipeline.errors import FormatError, InputError, PromptError
from pipeline.job import Job, Progress
from pipeline.jobs.events import MatteChecked
from pipeline.keys import matte_key, pts_range, result_key
from pipeline.prompts import Box, Object, Point, Prompt
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests.pipeline.stand_in import numbered
from tests.rendered import write_clip

FOLDER = Path("/home/someone/sessions/7")
JOBS = [
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4"),
    Job(
        FOLDER / "in.mov",
        Path("/elsewhere/out.webm"),
        model="grabcut",
        prompts=(Prompt(0, (Point(1, 2), Point(3, 4, False)), Box(0, 0, 9, 9)), Prompt(1.5, (Point(5, 6),))),
        background=Transparent(),
        format="webm",
        start=0.25,
        end=3.125,
        sound="none",
        device="cuda:1",
        objects=(Object(1, "Man"), Object(2, on=False)),
        weights=Path("/elsewhere/weights"),
        deflicker=False,
        matte=FOLDER / "matte.mkv",
    ),
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4", background=Picture(FOLDER / "beach.png", "fit")),
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4", background=Footage(Path("/other/sea.mp4"), "stretch")),
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4", background=Blur(12.5), rate=Fraction(30000, 1001)),
    Job(
        FOLDER / "in.mp4",
        FOLDER / "out.mp4",
        background=Footage(Path("/other/sea.mp4")),
        sound="behind",
        quality="best",
        edges=Edges(False, -1.5, 2.0, "green"),
        hardware=True,
        decoder="cpu",
        crop="4:5",
        light=Light(Shadow(45, 0.75, 0.5, 0.9), 0.3, 1.2, 0.6, "subject"),
        hair=True,
        classes=("dog", "person"),
    ),
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4", background=Colour(1, 2, 3)),
    Job(FOLDER / "in.mp4", FOLDER / "out.mp4", background=Words("a loft, who? me", 7, "tiny", "fit")),
    Job(
        FOLDER / "in.png",
        FOLDER / "out.png",
        background=Picture(FOLDER / "beach.png", enlarge=True),
        format="png-still",
        upscale=4,
    ),
    Job(FOLDER / "frames", FOLDER / "out.mp4", source_rate=Fraction(24000, 1001)),
]


@pytest.mark.parametrize("job", JOBS)
def test_json_round_trip(job: Job) -> None:
    data = json.loads(json.dumps(job.to_json(FOLDER)))
    assert Job.from_json(data, FOLDER) == job
    written = {"deflicker": "stable"}
    # What is not in the Job changes nothing.
    unwritten = {name for name in ("crop", "matte_in", "source_rate") if getattr(job, name) is None}
    unwritten |= {name for name in ("hair", "classes") if not getattr(job, name)}
    unwritten |= {"light"} if job.light == Light() else set()
    unwritten |= {"upscale"} if job.upscale == 1 else set()
    unwritten |= {"decoder"} if job.decoder == "auto" else set()
    assert data.keys() == {written.get(field.name, field.name) for field in fields(Job)} - unwritten


def test_a_job_without_objects_is_read() -> None:
    data = JOBS[0].to_json(FOLDER)
    for key in ("objects", "weights", "stable"):
        del data[key]
    assert Job.from_json(data, FOLDER) == JOBS[0]


def test_a_job_moves_with_its_folder() -> None:
    data = JOBS[1].to_json(FOLDER)
    moved = Job.from_json(data, Path("/new"))
    assert (moved.source, moved.matte) == (Path("/new/in.mov"), Path("/new/matte.mkv"))
    assert moved.output == Path("/elsewhere/out.webm")


def test_progress_is_plain_data() -> None:
    progress = Progress("matte", 3, 10, 2.5, None, 2, (1.5,))
    assert json.loads(json.dumps(progress.to_json())) == {
        "stage": "matte", "done": 3, "total": 10, "rate": 2.5, "left": None, "frames": 2,
        "checks": [1.5], "notes": [],
    }  # fmt: skip
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress


def test_progress_without_reviews_is_read() -> None:
    data = {"stage": "matte", "done": 3, "total": 10, "rate": 2.5, "left": None}
    assert Progress.from_json(data) == Progress("matte", 3, 10, 2.5, None)


def test_the_event_of_a_checked_matte_is_plain_data() -> None:
    event = MatteChecked("key", [0.5, 2.25])
    assert event.to_json() == {"matte": "key", "times": [0.5, 2.25]}
    assert MatteChecked.from_json(json.loads(json.dumps(event.to_json()))) == event


@pytest.mark.parametrize(
    "data", [{}, [], {"done": 1}, {"checks": 3}, {"magic": 1}, {"matte": "key", "times": 3}]
)
def test_unreadable_events_of_a_run_are_refused(data: Any) -> None:
    for read in (Progress.from_json, MatteChecked.from_json):
        with pytest.raises(InputError):
            read(data)


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(
    ("changed", "kind", "word"),
    [
        ({"model": "magic"}, InputError, "no model called 'magic'"),
        ({"format": "avi"}, FormatError, "no format called 'avi'"),
        ({"background": Transparent()}, FormatError, "cannot hold transparency"),
        ({"quality": "great"}, InputError, "no quality"),
        ({"sound": "loud"}, InputError, "no choice of sound"),
        ({"sound": "behind"}, InputError, "the background is no video"),
        ({"rate": Fraction(1, 2)}, InputError, "from 1 to 240"),
        ({"rate": Fraction(1000)}, InputError, "from 1 to 240"),
        ({"edges": Edges(grow=51)}, InputError, "at most 50"),
        ({"edges": Edges(grow=math.nan)}, InputError, "at most 50"),
        ({"edges": Edges(feather=-1)}, InputError, "0 to 50"),
        ({"start": 1.0}, InputError, "lies outside"),
        ({"start": -0.1}, InputError, "lies outside"),
        ({"start": math.nan}, InputError, "lies outside"),
        ({"end": 0.0}, InputError, "after the start"),
        ({"start": 0.5, "end": 0.4}, InputError, "after the start"),
        ({"end": math.nan}, InputError, "after the start"),
        ({"end": math.inf}, InputError, "after the start"),
        ({"prompts": (Prompt(0, (Point(321, 5),)),)}, PromptError, "outside the picture"),
        ({"prompts": (Prompt(1.5, (Point(1, 5),)),)}, PromptError, "1.00 s long"),
        ({"model": "shy"}, PromptError, "needs to be told"),
        ({"model": "blind", "prompts": (Prompt(0, (Point(1, 5),)),)}, PromptError, "takes no such marks"),
        (
            {"prompts": (Prompt(0, (Point(1, 5),)),), "objects": (Object(1, on=False),)},
            PromptError,
            "switched off",
        ),
        (
            {
                "model": "shy",
                "prompts": (Prompt(0, (Point(1, 5),)), Prompt(0, (Point(9, 5, False),), object=2)),
                "objects": (Object(1, on=False),),
            },
            PromptError,
            "needs to be told",
        ),
        ({"prompts": (Prompt(0, (Point(1, 5),), candidate=1),)}, PromptError, "takes no such marks"),
        (
            {"model": "blind", "prompts": (Prompt(0, box=Box(1, 1, 9, 9)),)},
            PromptError,
            "takes no such marks",
        ),
    ],
)
def test_invalid_jobs_are_refused(
    clip_path: Path, changed: dict[str, Any], kind: type[Exception], word: str
) -> None:
    job = Job(clip_path, Path("out.mp4"), model="threshold")
    clip = probe_clip(clip_path)
    job.check(clip)
    with pytest.raises(kind, match=word):
        replace(job, **changed).check(clip)


@pytest.mark.parametrize(
    ("start", "end", "first", "past"),
    [
        (0, None, 0, 24),
        (0.5, None, 12, 24),
        (0.5, 0.75, 12, 18),
        (0.4999, 0.7501, 12, 19),  # 0.7501 is after the frame at 0.75
        (0.04, 0.05, 1, 2),
        (0.99, None, 23, 24),
        (0.97, 99, 23, 24),
        (0.458333, 0.541667, 11, 13),  # rounded by whoever typed them
        (0.46, 0.47, 12, 13),  # between two frames: not nothing
    ],
)
def test_span(
    tmp_path: Path, clip_path: Path, start: float, end: float | None, first: int, past: int
) -> None:
    clip = probe_clip(clip_path)
    pts = [*load_index(clip_path).pts, load_index(clip_path).pts[-1] + 1]
    assert pts_range(Job(clip_path, Path("x"), start=start, end=end), clip) == (pts[first], pts[past])


@pytest.mark.usefixtures("stand_ins")
def test_the_matte_key_depends_on_the_matte_inputs_only(tmp_path: Path, clip_path: Path) -> None:
    job = Job(clip_path, tmp_path / "out.mp4", model="threshold", matte=tmp_path / "m.mkv")
    same = (
        {"output": tmp_path / "else.mp4"},
        {"background": Blur()},
        {"format": "webm"},
        {"sound": "none"},
        {"matte": None},
        {"start": 0.1},  # a matte serves every range that it reaches
        {"end": 0.9},
        {"source": tmp_path / "copy.mp4"},
        {"objects": (Object(1, "Man"),)},
        {"deflicker": False},  # this model does not flicker, and has no weights
        {"weights": clip_path},
        {"prompts": (Prompt(0, (Point(1, 1),), object=2),), "objects": (Object(2, on=False),)},
    )
    (tmp_path / "copy.mp4").write_bytes(clip_path.read_bytes())
    assert all(matte_key(replace(job, **changed)) == matte_key(job) for changed in same)
    other = write_clip(tmp_path / "other.mp4", [*numbered(1)], rate=Fraction(5))
    different = (
        {"source": other},
        {"model": "carrying"},
        {"prompts": (Prompt(0, (Point(1, 1),)),)},
        {"prompts": (Prompt(0, (Point(1, 1),), object=2),)},
        {"prompts": (Prompt(0, (Point(1, 1),), candidate=1),)},
    )
    keys = {matte_key(replace(job, **changed)) for changed in different}
    assert len(keys) == len(different) and matte_key(job) not in keys


@pytest.mark.usefixtures("stand_ins")
def test_the_result_key_depends_on_all_inputs_of_the_result(tmp_path: Path, clip_path: Path) -> None:
    job = Job(clip_path, tmp_path / "out.mp4", model="threshold", matte=tmp_path / "m.mkv")
    same = (
        {"output": tmp_path / "else.mp4"},
        {"matte": None},
        {"device": "cpu"},
        {"decoder": "cpu"},
        {"hardware": True},
    )
    assert all(result_key(replace(job, **changed), tmp_path) == result_key(job, tmp_path) for changed in same)
    different = (
        {"model": "carrying"},
        {"background": Blur()},
        {"format": "webm"},
        {"start": 0.1},
        {"end": 0.9},
        {"sound": "none"},
        {"quality": "small"},
        {"edges": Edges(grow=1)},
        {"rate": Fraction(25)},
    )
    keys = {result_key(replace(job, **changed), tmp_path) for changed in different}
    assert len(keys) == len(different) and result_key(job, tmp_path) not in keys


def test_a_job_of_an_earlier_version_is_read() -> None:
    data = JOBS[0].to_json(FOLDER) | {"sound": True}
    for key in ("quality", "edges", "rate", "hardware"):
        del data[key]
    assert Job.from_json(data, FOLDER) == replace(JOBS[0], sound="own")
    assert Job.from_json(data | {"sound": False}, FOLDER).sound == "none"
