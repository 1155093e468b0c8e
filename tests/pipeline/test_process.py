"""The whole run: what comes out, what is kept, and what is left when it does not end well."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import models
from pipeline.compositing.background import Blur, Colour, Footage, Picture, Transparent
from pipeline.compositing.edges import Edges
from pipeline.errors import InputError, RecorteError, RunError, VideoError
from pipeline.job import Job, Progress
from pipeline.jobs import speeds
from pipeline.matte import MatteFile
from pipeline.process import process, render
from pipeline.prompts import Box, Object, Point, Prompt
from pipeline.propagation import resume
from pipeline.propagation import run as propagation_run
from pipeline.video.reading.frames import Frame, read_frames
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.writer import Writer
from tests import ffprobe
from tests.pipeline.stand_in import Carrying, Threshold, numbered, stopped_within, threshold
from tests.rendered import write_clip

pytestmark = pytest.mark.usefixtures("stand_ins")


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def run(job: Job) -> list[Progress]:
    with closing(process(job)) as steps:
        return list(steps)


Composed = dict[str, list[tuple[int, str]]]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Composed:
    """Frames given to the encoders, by the name of the file: with threads, x264 itself is not exact."""
    given: Composed = {}
    write = Writer.write

    def writing(writer: Writer, image: np.ndarray, pts: int) -> None:
        given.setdefault(writer.path.name, []).append((pts, hashlib.md5(image.tobytes()).hexdigest()))
        write(writer, image, pts)

    monkeypatch.setattr(Writer, "write", writing)
    return given


def model(job: Job) -> Any:
    return models.load(job.model, job.device)


@pytest.fixture
def job(clip_path: Path, tmp_path: Path) -> Job:
    return Job(clip_path, tmp_path / "out.mp4", model="threshold")


def test_the_result_is_the_known_frames_over_the_background(job: Job, clip_path: Path) -> None:
    run(job)
    source = ffprobe.frames(clip_path)
    alpha = np.stack([threshold(frame) for frame in source])[..., None] / 255.0
    truth = alpha * source + (1 - alpha) * (0, 177, 64)
    result = ffprobe.frames(job.output)
    assert result.shape == source.shape
    assert error(result, truth) < 3  # what H.264 at this quality loses
    assert ffprobe.frame_times(job.output) == ffprobe.frame_times(clip_path)
    assert ffprobe.stream(job.output, "audio")["codec_name"] == "aac"


@pytest.mark.parametrize("kind", ["picture", "footage", "blur"])
def test_the_other_backgrounds(job: Job, clip_path: Path, tmp_path: Path, kind: str) -> None:
    picture = np.tile(np.arange(320, dtype=np.uint8)[None, :, None] // 2 + 60, (180, 1, 3))
    Image.fromarray(picture).save(tmp_path / "behind.png")
    write_clip(tmp_path / "behind.mp4", [picture, 255 - picture], rate=24)
    background = {
        "picture": Picture(tmp_path / "behind.png"),
        "footage": Footage(tmp_path / "behind.mp4"),
        "blur": Blur(),
    }[kind]
    run(replace(job, background=background))
    source = ffprobe.frames(clip_path)
    result = ffprobe.frames(job.output)
    outside = np.stack([threshold(frame) for frame in source]) == 0
    for n in range(0, 24, 5):
        if kind == "blur":
            assert result[n][outside[n]].std() < source[n][outside[n]].std()
            continue
        behind = 255 - picture if kind == "footage" and n % 2 else picture
        assert error(result[n][outside[n]], behind[outside[n]]) < 3


def test_a_transparent_result_holds_the_models_alpha(job: Job, clip_path: Path, tmp_path: Path) -> None:
    job = replace(job, output=tmp_path / "out.webm", format="webm", background=Transparent())
    run(job)
    source = ffprobe.frames(clip_path)
    alpha = np.stack([threshold(frame) for frame in source])
    read = ffprobe.frames(job.output, "rgba")
    assert error(read[..., 3], alpha) < 3
    assert error(read[..., :3][alpha > 250], source[alpha > 250]) < 7
    assert ffprobe.stream(job.output, "audio")["codec_name"] == "opus"


def test_the_matte_is_lossless_and_has_the_times_of_the_source(
    job: Job, clip_path: Path, tmp_path: Path
) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    run(job)
    assert job.matte is not None
    seen = [frame.image for frame in read_frames(clip_path)]
    assert np.array_equal(ffprobe.frames(job.matte, "gray"), np.stack([threshold(image) for image in seen]))
    truth = ffprobe.frame_times(clip_path)
    pairs = zip(ffprobe.frame_times(job.matte), truth, strict=True)
    assert all(abs(a - b) <= Fraction(1, 2000) for a, b in pairs)


def test_a_variable_rate_goes_through(tmp_path: Path) -> None:
    pts = [0, 40, 50, 170, 230, 1000]
    clip = write_clip(tmp_path / "clip.mp4", numbered(6), pts=pts, time_base=Fraction(1, 1000))
    run(Job(clip, tmp_path / "out.mp4", model="threshold"))
    assert ffprobe.frame_times(tmp_path / "out.mp4") == [Fraction(p, 1000) for p in pts]


def test_progress_counts_up_to_the_end(job: Job) -> None:
    steps = run(job)
    assert all(0 <= step.done <= step.total for step in steps)
    assert [step.frames for step in steps] == sorted(step.frames for step in steps)
    assert (steps[-1].stage, steps[-1].done, steps[-1].total, steps[-1].frames) == ("matte", 24, 24, 24)
    assert steps[-1].left == 0 and steps[-1].rate > 0


# A matte is made once


def test_another_rendering_does_not_run_the_model_again(job: Job, tmp_path: Path, composed: Composed) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    run(job)
    stand_in: Threshold = model(job)
    assert (stand_in.streams, stand_in.frames) == (1, 24)
    for n, changed in enumerate(
        ({"background": Colour(9, 9, 200)}, {"background": Blur()}, {"sound": "none"})
    ):
        again = replace(job, output=tmp_path / f"again{n}.mp4", **changed)
        assert {step.stage for step in run(again)} == {"render"}
        assert stand_in.streams == 1
        at_once = replace(again, output=tmp_path / f"once{n}.mp4", matte=None)
        run(at_once)
        assert len(composed[again.output.name]) == 24
        assert composed[again.output.name] == composed[at_once.output.name]
        assert error(ffprobe.frames(again.output), ffprobe.frames(at_once.output)) < 1
        assert ffprobe.frame_times(again.output) == ffprobe.frame_times(at_once.output)
        stand_in.streams = 1
    webm = replace(job, output=tmp_path / "again.webm", format="webm", background=Transparent())
    run(webm)
    assert stand_in.streams == 1
    assert ffprobe.stream(webm.output)["codec_name"] == "vp9"


def test_another_matte_key_runs_the_model_again(job: Job, tmp_path: Path) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    run(job)
    for changed in (
        {"start": 0.25, "end": 0.5, "prompts": (Prompt(0, (Point(1, 1),)),)},
        {"start": 0.2},  # earlier and longer than what there is a matte for
        {"end": None},
    ):
        before = model(job).streams
        job = replace(job, **changed)
        assert {step.stage for step in run(job)} == {"matte"}
        assert model(job).streams > before
    other = replace(job, model="carrying")
    assert {step.stage for step in run(other)} == {"matte"}


def test_a_part_of_a_stored_matte_needs_no_model(job: Job, tmp_path: Path, composed: Composed) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    run(job)
    whole = composed.pop("out.mp4")
    part = replace(job, output=tmp_path / "part.mp4", start=0.25, end=0.5)
    assert {step.stage for step in run(part)} == {"render"}
    assert [picture for _, picture in composed["part.mp4"]] == [picture for _, picture in whole[6:12]]
    assert ffprobe.frame_times(part.output) == [Fraction(n, 24) for n in range(6)]
    assert ffprobe.sound_duration(part.output) == pytest.approx(0.25, abs=0.05)


# What is asked of the result


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(25), Fraction(60)])
def test_a_constant_rate(tmp_path: Path, rate: Fraction) -> None:
    pts = [0, 30, 75, 76, 200, 480, 500, 1000]  # milliseconds
    path = write_clip(tmp_path / "in.mp4", numbered(8), pts=pts, time_base=Fraction(1, 1000))
    job = Job(path, tmp_path / "out.mp4", model="carrying", rate=rate, background=Colour(0, 0, 0))
    last = run(replace(job, start=0.05))[-1]
    times = ffprobe.frame_times(job.output)
    assert times == [n / rate for n in range(len(times))] and last.frames == len(times)
    # From the frame at 75 ms to the end of the last one, which lasts as long as the usual gap.
    assert len(times) == -(-(probe_clip(path).length - Fraction(75, 1000)) * rate // 1)


def test_the_subject_alone_and_its_matte(job: Job, clip_path: Path, tmp_path: Path) -> None:
    run(replace(job, output=tmp_path / "m.mkv", format="matte-lossless", background=Colour(9, 9, 9)))
    truth = np.stack([threshold(frame.image) for frame in read_frames(clip_path)])
    assert np.array_equal(ffprobe.frames(tmp_path / "m.mkv", "gray"), truth)
    wider = replace(job, output=tmp_path / "w.mkv", format="matte-lossless", edges=Edges(grow=8))
    run(wider)
    assert ffprobe.frames(wider.output, "gray").mean() > truth.mean() + 1


def test_the_sound_of_the_background(job: Job, tmp_path: Path) -> None:
    frames = numbered(10)
    silent = write_clip(tmp_path / "silent.mp4", frames, rate=10)
    behind = write_clip(tmp_path / "behind.mp4", frames[:5], rate=10, sound=True)
    own = replace(job, source=silent, model="carrying")
    run(own)
    assert [stream["codec_type"] for stream in ffprobe.probe(own.output)["streams"]] == ["video"]
    for held, seconds in ((False, 1.0), (True, 0.5)):
        run(replace(own, background=Footage(behind, hold_last=held), sound="behind"))
        assert ffprobe.sound_duration(own.output) == pytest.approx(seconds, abs=0.05)


def test_deviations_are_reported_as_notes(job: Job) -> None:
    last = run(replace(job, hardware=True))[-1]
    told = " ".join(map(str, last.notes))
    assert ("h264_nvenc" in ffprobe.stream(job.output).get("tags", {}).get("encoder", "")) or told


def test_a_damaged_matte_is_computed_again(job: Job, tmp_path: Path) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    (tmp_path / "matte.mkv").write_bytes(b"not a matte")
    assert {step.stage for step in run(job)} == {"matte"}
    assert {step.stage for step in run(job)} == {"render"}


def test_rendering_a_trimmed_matte_equals_its_run(job: Job, tmp_path: Path, composed: Composed) -> None:
    job = replace(job, start=0.26, end=0.75, matte=tmp_path / "matte.mkv")
    assert job.matte is not None

    def seen(path: Path) -> tuple[object, ...]:
        return composed.pop(path.name), ffprobe.frame_times(path), ffprobe.sound_duration(path)

    run(job)
    first = seen(job.output)
    assert first[1] == [Fraction(n, 24) for n in range(11)]
    assert ffprobe.sound_duration(job.output) == pytest.approx(11 / 24, abs=0.05)
    assert {step.stage for step in run(job)} == {"render"}
    assert seen(job.output) == first
    # The cheap half alone is told nothing of the range; the matte itself says it.
    list(render(Job(job.source, tmp_path / "alone.mp4", model="threshold"), MatteFile.open(job.matte)))
    assert seen(tmp_path / "alone.mp4") == first


def test_render_refuses_the_matte_of_another_clip(job: Job, counted_path: Path, tmp_path: Path) -> None:
    job = replace(job, matte=tmp_path / "matte.mkv")
    run(job)
    assert job.matte is not None
    kept = MatteFile.open(job.matte)
    with pytest.raises(InputError, match=r"320 × 180 pixels and counted\.mp4 has 64 × 64"):
        list(render(Job(counted_path, tmp_path / "else.mp4", model="threshold"), kept))
    short = write_clip(tmp_path / "short.mp4", list(ffprobe.frames(job.source))[:10])
    with pytest.raises(InputError, match="24 pictures, more than"):
        list(render(Job(short, tmp_path / "else.mp4", model="threshold"), kept))
    assert not (tmp_path / "else.mp4").exists()


def test_a_run_in_both_directions_writes_frames_in_order(counted_path: Path, tmp_path: Path) -> None:
    prompts = (Prompt(0.5, box=Box(1, 1, 60, 60)), Prompt(1.5, box=Box(1, 1, 60, 60)))
    job = Job(counted_path, tmp_path / "out.mp4", model="carrying", prompts=prompts, matte=tmp_path / "m.mkv")
    steps = run(job)
    assert job.matte is not None
    assert [int(matte[0, 0]) for matte in ffprobe.frames(job.matte, "gray")] == [1] * 10 + [2] * 11 + [
        3
    ] * 9 + [4] * 10
    carrying: Carrying = model(job)
    assert len(carrying.streams) == 4
    assert sum(len(stream.numbers) for stream in carrying.streams) == 42
    assert steps[-1].done == steps[-1].total == 40  # a box's own frame is in two streams, and counts once
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.mkv", "out.mp4"]


# What is left when it does not end well


@pytest.fixture(params=["nothing", "a file"])
def untouched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Afterwards the folder must be as it was, and no thread may be left."""
    before = {} if request.param == "nothing" else {"out.mp4": b"the result of before", "m.mkv": b"its matte"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)

    def check() -> None:
        assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before
        assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]

    yield check
    check()


def test_closing_early_ends_all_threads_and_leaves_no_files(
    long_path: Path, tmp_path: Path, untouched: Callable[[], None]
) -> None:
    job = Job(long_path, tmp_path / "out.mp4", model="slow", matte=tmp_path / "m.mkv")
    steps = process(job)
    for _ in range(3):
        next(steps)
    with stopped_within(seconds=2):
        steps.close()
    untouched()


def test_closing_while_a_backward_stream_is_read_forward(
    counted_path: Path, tmp_path: Path, untouched: Callable[[], None]
) -> None:
    prompts = (Prompt(1.0, (Point(5, 5),)),)
    for taken in (5, 25):
        job = Job(counted_path, tmp_path / "out.mp4", model="threshold", prompts=prompts)
        steps = process(job)
        for _ in range(taken):
            next(steps)
        steps.close()
        untouched()


@pytest.mark.parametrize("name", ["failing", "short", "greedy", "small"])
def test_an_error_in_the_model(
    clip_path: Path, tmp_path: Path, name: str, untouched: Callable[[], None]
) -> None:
    with pytest.raises(ZeroDivisionError if name == "failing" else RunError):
        run(Job(clip_path, tmp_path / "out.mp4", model=name, matte=tmp_path / "m.mkv"))
    untouched()


def test_an_error_in_the_reader(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untouched: Callable[[], None]
) -> None:
    read = read_frames

    def breaking(*arguments: Any, **named: Any) -> Iterator[Frame]:
        for n, frame in enumerate(read(*arguments, **named)):
            if n == 5:
                raise VideoError("video.not_found", name="subject.mp4")
            yield frame

    monkeypatch.setattr(propagation_run, "read_frames", breaking)
    with pytest.raises(VideoError, match="there is no such file"):
        run(replace(job, matte=tmp_path / "m.mkv"))
    untouched()


@pytest.mark.parametrize("place", ["write", "_encode"])
def test_an_error_in_the_encoder(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, untouched: Callable[[], None]
) -> None:
    def breaking(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, place, breaking)
    with pytest.raises((OSError, RunError)):
        run(replace(job, matte=tmp_path / "m.mkv"))
    # What the model had found is not lost with it.
    assert resume.can_resume(replace(job, matte=tmp_path / "m.mkv"), probe_clip(job.source))
    shutil.rmtree(tmp_path / "m.mkv.parts")
    untouched()


def test_an_error_when_the_model_is_loaded(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untouched: Callable[[], None]
) -> None:
    def breaking(*_: Any) -> None:
        raise RunError("devices.no_memory")

    monkeypatch.setattr(models, "load", breaking)
    with pytest.raises(RunError, match="too little free memory"):
        run(replace(job, matte=tmp_path / "m.mkv"))
    untouched()


def test_a_run_without_any_frame_raises_video_error(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untouched: Callable[[], None]
) -> None:
    monkeypatch.setattr(propagation_run, "run_plan", lambda *_a, **_n: iter(()))
    with pytest.raises(VideoError, match="not one picture"):
        run(replace(job, matte=tmp_path / "m.mkv"))
    untouched()


@pytest.mark.parametrize(
    "changed",
    [
        {"start": 3.0},
        {"background": Picture(Path("missing.png"))},
        {"background": Footage(Path("missing.mp4"))},
        {"prompts": (Prompt(0, (Point(999, 1),)),)},
    ],
)
def test_a_refused_job_writes_nothing(
    job: Job, changed: dict[str, Any], untouched: Callable[[], None]
) -> None:
    with pytest.raises(InputError):
        run(replace(job, **changed))
    untouched()


def test_inputs_are_not_overwritten(job: Job, clip_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip_path.read_bytes())
    os.link(copy, tmp_path / "link.mp4")
    job = replace(job, source=copy)
    for changed in (
        {"output": copy},
        {"output": tmp_path / "link.mp4"},
        {"matte": copy},
        {"matte": job.output},
        {"source": clip_path, "background": Footage(copy), "output": copy},
    ):
        with pytest.raises(InputError, match=r"overwrite|same file"):
            run(replace(job, **changed))
    kept = replace(job, matte=tmp_path / "m.webm")
    run(kept)
    with pytest.raises(InputError, match="overwrite"):
        list(
            render(
                replace(job, output=tmp_path / "m.webm", format="webm"), MatteFile.open(tmp_path / "m.webm")
            )
        )
    assert copy.read_bytes() == clip_path.read_bytes()


@pytest.mark.parametrize("place", ["folder.mp4", "missing/out.mp4", "file/out.mp4"])
def test_an_impossible_output_is_refused(job: Job, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    for changed in ({"output": tmp_path / place}, {"matte": tmp_path / place}):
        with pytest.raises(RecorteError, match=r"folder") as caught:
            run(replace(job, **changed))
        assert isinstance(caught.value, InputError)
        assert str(tmp_path) not in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.mp4"]


def test_the_speed_of_a_model_is_recorded(
    counted_path: Path, clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # other tests have run the same models
    run(Job(counted_path, tmp_path / "o.mp4", model="shy", prompts=(Prompt(0, (Point(5, 5),)),)))
    told = speeds.measured_speeds("shy")
    assert told is not None and told[-1][:3] == ("cpu", 64, 64) and told[-1].rate > 1
    # A few frames say little, and the cheap half nothing.
    kept = tmp_path / "m.mkv"
    run(Job(clip_path, tmp_path / "o.mp4", model="blind", start=0.5, matte=kept))
    assert speeds.measured_speeds("blind") is None


def test_the_result_is_the_union_of_the_objects(counted_path: Path, tmp_path: Path) -> None:
    marks = tuple(Prompt(0, (Point(x, 32),), object=n) for n, x in ((1, 12), (2, 50)))
    job = Job(counted_path, tmp_path / "o.mp4", model="pointing", prompts=marks, matte=tmp_path / "m.mkv")
    run(job)
    both = next(MatteFile.open(tmp_path / "m.mkv").read(probe_clip(counted_path)))[1]
    assert (both[32, 12], both[32, 31], both[32, 50]) == (255, 0, 255)
    run(replace(job, objects=(Object(2, on=False),)))
    one = next(MatteFile.open(tmp_path / "m.mkv").read(probe_clip(counted_path)))[1]
    assert (one[32, 12], one[32, 50]) == (255, 0)
