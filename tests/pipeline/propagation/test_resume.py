"""Resume folders of runs that ended on the way: killed, out of disk, or with a segment gone bad."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import models, prompts
from pipeline import stream_state as module
from pipeline.errors import RunError
from pipeline.files import replacing
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.matte import MatteFile
from pipeline.models import Prediction
from pipeline.process import process, render
from pipeline.prompts import Box, Prompt
from pipeline.propagation import resume, spool
from pipeline.propagation.spool import Spool
from pipeline.video.reading.probe import probe_clip
from pipeline.video.writing.writer import Writer
from tests import children, ffprobe

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("stand_ins")

PROMPTS = tuple(Prompt(time, box=Box(1.0, 1.0, 60.0, 60.0), object=n) for n, time in ((1, 0.5), (2, 1.2)))
"""Two objects, each both ways from a frame that the model is given twice: 82 frames, 80 of them counted."""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment is closed with every fourth frame or so, however long it took."""
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 5)


@pytest.fixture
def job(counted_path: Path, tmp_path: Path) -> Job:
    output, matte = tmp_path / "out.zip", tmp_path / "m.mkv"
    return Job(counted_path, output, "remembering", PROMPTS, format="png", sound="none", matte=matte)


Made = tuple[bytes, bytes]


def made(job: Job) -> Made:
    """The pictures of the result and the matte of a run to its end; there is nothing beside them."""
    with closing(process(job)) as steps:
        for _ in steps:
            pass
    return read(job)


def read(job: Job) -> Made:
    assert job.matte is not None
    assert sorted(entry.name for entry in job.output.parent.iterdir()) == ["m.mkv", "out.zip"]
    return ffprobe.frames(job.matte, "gray").tobytes(), job.output.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(counted_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Job], Made]:
    """Return what an undisturbed run of a job makes."""
    known: dict[str, Made] = {}

    def find(job: Job) -> Made:
        folder = tmp_path_factory.mktemp("whole")
        if matte_key(job) not in known:
            known[matte_key(job)] = made(replace(job, output=folder / "out.zip", matte=folder / "m.mkv"))
        return known[matte_key(job)]

    return find


def stopped(job: Job, after: int = 60) -> Path:
    """The journal of a run that was closed after about so many frames."""
    with closing(process(job)) as steps:
        assert any(step.done >= after for step in steps)
    assert resume.can_resume(job, probe_clip(job.source))
    return job.output.parent / "m.mkv.parts"


def frames(job: Job) -> int:
    """Return the number of frames that the model has done since the last call."""
    model: Any = models.load(job.model, job.device)
    done, model.frames = model.frames, 0
    return int(done)


# Killed


def test_a_run_killed_ten_times_ends_with_the_same_files(
    job: Job, undisturbed: Callable[[Job], Made], tmp_path: Path
) -> None:
    expected = undisturbed(job)
    marks = tmp_path.with_name("marks.json")
    marks.write_text(json.dumps(prompts.to_json(PROMPTS)))
    program = [sys.executable, "-m", "tests.pipeline.stand_in", "run", job.source, job.output]
    program += ["--model", "dwelling", "--matte", job.matte, "--prompts", marks, "--sound", "none", "--json"]
    random = np.random.default_rng(5)
    done = []
    for _ in range(10):
        environment = {**os.environ, "SEGMENT_SECONDS": "0.1"}
        run = children.start(
            list(map(str, program)), stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True
        )
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(random.integers(1, 35))]
        time.sleep(random.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        lines += run.stdout.readlines()
        told = [json.loads(line) for line in lines if line.endswith("}\n")]
        assert run.wait() == -signal.SIGKILL
        run.stdout.close()
        done.append(max((step["done"] for step in told), default=0))
        assert not job.output.exists() and not (tmp_path / "m.mkv").exists()
        # The parts of one run, and no more for every further one.
        assert len(list(tmp_path.glob(".*"))) <= 2
    assert max(done) > 10  # and each run took up what those before had done
    job = replace(job, model="dwelling")
    assert resume.can_resume(job, probe_clip(job.source))
    assert made(job) == expected


# Out of disk


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("place", "call", "after"),
    [
        ((Path, "open"), 1, False),
        ((Writer, "_mux"), 30, True),
        ((module, "save"), 6, True),
        ((spool, "write_json"), 8, True),
        ((Path, "replace"), 12, True),
    ],
    ids=["a segment", "the matte", "a state", "a note", "put into place"],
)
def test_a_full_disk_raises_an_error_and_keeps_resume_data(
    job: Job,
    undisturbed: Callable[[Job], Made],
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    call: int,
    after: bool,
) -> None:
    expected = undisturbed(job)
    frames(job)
    number = count(1)
    owner, name = place
    original = getattr(owner, name)

    def full(*given: Any, **named: Any) -> Any:
        if (name != "open" or "wb" in given) and next(number) >= call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(
            RunError, match=r"\w\.(mkv|mattes|state|json): the disk is full\. Free some space"
        ):
            made(job)
    assert not job.output.exists() and not list(job.output.parent.glob(".*"))
    assert resume.can_resume(job, probe_clip(job.source)) == after
    first = frames(job)
    assert made(job) == expected
    assert frames(job) < 82 if after else first < 20


# Gone bad


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("harm", [flipped, cut, Path.unlink], ids=["flipped", "cut", "gone"])
@pytest.mark.parametrize("kind", ["mattes", "state", "json"])
@pytest.mark.parametrize("which", [-1, 0], ids=["last", "first"])
def test_a_damaged_segment_is_computed_again(
    job: Job, undisturbed: Callable[[Job], Made], kind: str, which: int, harm: Callable[[Path], None]
) -> None:
    job = replace(job, prompts=())
    expected = undisturbed(job)
    folder = stopped(job, 30)
    paths = sorted(folder.glob(f"*/segment-*.{kind}"))
    harm(paths[which])
    frames(job)
    assert made(job) == expected
    if which == -1 or kind == "state":
        assert frames(job) <= 40 - 30 + 3 * 5  # the segment that was open, the bad one, and no more


def test_the_last_two_segments_and_a_few_older_ones_keep_their_states(
    counted_path: Path, tmp_path: Path, often: None
) -> None:
    clip = probe_clip(counted_path)
    with Spool(tmp_path / "a", clip, lasting=True) as made:
        for number in range(41):
            matte = np.full((64, 64), number, np.uint8)
            made.add(
                100 - number, Prediction(matte, number / 64, number % 2 > 0, state=partial(dict, n=number))
            )
    segments = sorted(path.stem for path in tmp_path.glob("a/*.mattes"))
    states = sorted(path.stem for path in tmp_path.glob("a/*.state"))
    assert len(segments) > 5 and len(states) < len(segments)
    assert segments[0] in states and segments[-2:] == states[-2:]
    assert not list(tmp_path.glob("a/.*"))
    again = Spool(tmp_path / "a", clip, lasting=True)
    assert again.state == {"n": 100 - again.pts[-1]} and not again.ended
    assert again.pts == list(range(100, 100 - len(again.pts), -1))
    told = [
        (pts, int(prediction.matte[0, 0]), prediction.confidence, prediction.prompted)
        for pts, prediction in again.read_forward()
    ]
    assert told == [(100 - n, n, n / 64, n % 2 > 0) for n in range(len(again.pts))]
    assert [(pts, int(prediction.matte[9, 9])) for pts, prediction in again.read_backward()] == [
        (pts, number) for pts, number, *_ in reversed(told)
    ]
    again.remove()
    assert not list((tmp_path / "a").iterdir())


# Whose it is


def test_a_job_can_be_resumed_from_its_first_segment_to_its_end(
    job: Job, tmp_path: Path, often: None
) -> None:
    clip = probe_clip(job.source)
    assert not resume.can_resume(job, clip)
    with closing(process(job)) as steps:
        next(steps)
    stopped(job)
    for changed in (
        {"matte": None},
        {"prompts": PROMPTS[:1]},
        {"model": "threshold"},
        {"start": 0.5},
    ):
        assert not resume.can_resume(replace(job, **changed), clip)
    # How it is rendered is not the matte's business.
    assert resume.can_resume(replace(job, output=tmp_path / "o.mp4", format="mp4"), clip)
    made(job)
    assert not resume.can_resume(job, clip)


def test_another_matte_of_the_same_name_removes_resume_data(
    job: Job, undisturbed: Callable[[Job], Made], often: None
) -> None:
    stopped(job)
    other = replace(job, prompts=())
    expected = undisturbed(other)
    frames(other)
    assert made(other) == expected and frames(other) == 40


def test_without_a_matte_file_there_is_no_resume_data(job: Job, tmp_path: Path, often: None) -> None:
    with closing(process(replace(job, matte=None))) as steps:
        assert any(step.done >= 60 for step in steps)
        assert [entry.name[:9] for entry in tmp_path.iterdir()] == [".out.zip-"] * 2
    assert not list(tmp_path.iterdir())


def test_a_finished_matte_removes_resume_data(job: Job, tmp_path: Path, often: None) -> None:
    folder = stopped(job)
    aside = folder.rename(tmp_path.with_name("aside"))
    made(job)
    aside.rename(folder)  # as if the run had been killed just before it removed it
    assert {step.stage for step in process(job)} == {"render"}
    assert not folder.exists()


def test_two_runs_do_not_write_one_matte_at_once(job: Job, often: None) -> None:
    with closing(process(job)) as steps:
        begun = next(step for step in steps if step.done)
        with pytest.raises(RunError, match=r"m\.mkv: another run is making this matte"):
            made(job)
        assert [begun, *steps][-1].done == 80


def test_partial_files_of_killed_runs_are_deleted_and_of_live_ones_kept(job: Job, tmp_path: Path) -> None:
    other = tmp_path / ".out.mp4-x.part"  # of another result
    left = [tmp_path / f".{name}-x.part" for name in ("out.zip", "m.mkv")]
    for path in (other, *left):
        path.write_bytes(b"half")
    scratch = tmp_path / ".out.zip-folder.part"
    scratch.mkdir()
    (scratch / "0.mkv").write_bytes(b"half")
    with replacing(tmp_path / "m.mkv") as live:
        with closing(process(job)) as steps:
            for _ in steps:
                pass
        assert live.exists()
        live.write_bytes(b"")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [other.name, "m.mkv", "out.zip"]
    other.rename(left[0])
    (tmp_path / "m.mkv").unlink()
    made(job)
    left[0].write_bytes(b"half")
    list(render(job, MatteFile.open(tmp_path / "m.mkv")))
    read(job)


# A model at fault


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("fault", ["raises", "ends early", "returns another size"])
def test_a_failing_model_keeps_resume_data(
    job: Job, undisturbed: Callable[[Job], Made], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    expected = undisturbed(job)
    model: Any = models.load(job.model, job.device)
    predict = model.predict

    def faulty(*given: Any) -> Any:
        for prediction in predict(*given):
            if model.frames >= 50:
                if fault == "raises":
                    raise ZeroDivisionError("a fault in a model")
                if fault == "ends early":
                    return
                prediction = prediction._replace(matte=prediction.matte[::2])
            yield prediction

    frames(job)
    with monkeypatch.context() as patch:
        patch.setattr(model, "predict", faulty)
        with pytest.raises(ZeroDivisionError if fault == "raises" else RunError):
            made(job)
    assert resume.can_resume(job, probe_clip(job.source))
    frames(job)
    assert made(job) == expected
    assert frames(job) < 82 - 30
