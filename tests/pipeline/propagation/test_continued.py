"""A run that was stopped, and gone on with, makes what a run makes that was not: for every kind of model.

Both are compared to the bit: the mattes, and the result as single pictures, which are coded without loss.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import devices, models, stream_state
from pipeline.compositing.background import Blur
from pipeline.job import Job
from pipeline.models import Card, Model, Prediction
from pipeline.models.isnet import Isnet
from pipeline.models.sam import Sam
from pipeline.models.sam2 import Sam2
from pipeline.networks import sam2
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation import resume, spool
from pipeline.propagation.plan import prompts_by_frame
from pipeline.propagation.stream import create_stream
from pipeline.stream_state import State
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline import stand_in
from tests.pipeline.models.test_sam2 import SEEN, module
from tests.pipeline.models.test_sam_tracking import Hues
from tests.rendered import subject_over_background, write_clip

pytestmark = pytest.mark.usefixtures("stand_ins", "often", "exactly")

WIDTH, HEIGHT, RATE = 160, 90, 24


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of one scene and six of another."""
    here, _ = subject_over_background(10, WIDTH, HEIGHT)
    there = [np.ascontiguousarray(255 - frame[::-1]) for frame in here[:6]]
    return write_clip(tmp_path_factory.mktemp("clips") / "cut.mp4", here + there, rate=RATE)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment is closed with every second frame, however long it took."""
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=count().__next__))
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 2)


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In one thread: small networks are slow in several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Peaks(torch.nn.Module):
    """In place of IS-Net's network: logits that hang on the picture, and flicker."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return (
            20 * (pictures[:, :1] - pictures[:, 2:])
            + 3 * torch.sin(500 * pictures.mean((1, 2, 3)))[:, None, None, None]
        )


def batched(size: int) -> Callable[[], Model]:
    def load() -> Model:
        model = Isnet(Peaks(), torch.device("cpu"))
        original = model.predict

        def predict(*given: Any) -> Iterator[Prediction]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(devices, "batch_size", lambda *_: size)
                yield from original(*given)

        model.predict = predict  # type: ignore[method-assign]
        return model

    return load


def card(key: str, load: Callable[[], Model], **said: Any) -> Card:
    return stand_in.card(key, load, **said)


CARDS = (
    card("isnet", batched(1), per_frame=True),
    card("batches", batched(3), per_frame=True),
    card("sam", lambda: Sam(Hues()), automatic=False),
    card("sam2", lambda: Sam2(sam2.Network(module(SEEN), torch.device("cpu"))), has_memory=True),
)


def box(at: int, **named: Any) -> Prompt:
    return Prompt(at / RATE, box=Box(50, 20, 110, 85), **named)


def points(at: int, keep: bool = True, **named: Any) -> Prompt:
    return Prompt(at / RATE, (Point(80, 60, keep),), **named)


BOTH_WAYS = (box(5), points(8, keep=False))
"""A box that is carried both ways, and a correction."""

TWO = (box(0), points(4, keep=False), box(7, object=2))
"""Two objects, of which one begins later and is carried backward, too."""

KINDS: dict[str, tuple[str, tuple[Prompt, ...]]] = {
    "grabcut by itself": ("grabcut", ()),
    "grabcut": ("grabcut", BOTH_WAYS),
    "grabcut, two objects": ("grabcut", TWO),
    "recorte by itself": ("recorte", ()),
    "recorte": ("recorte", BOTH_WAYS),
    "rmbg": ("isnet", ()),
    "rmbg in batches": ("batches", ()),
    "sam": ("sam", BOTH_WAYS),
    "sam, two objects": ("sam", TWO),
    "sam 2": ("sam2", BOTH_WAYS),
    "sam 2, two objects": ("sam2", TWO),
    "sums": ("remembering", (*TWO, box(12, object=2))),
}


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    for card in CARDS:
        monkeypatch.setitem(models.cards(), card.key, card)


def stopped(job: Job, after: int) -> bool:
    """Close the run after so many frames; whether it was still going."""
    with closing(process(job)) as steps:
        return any(step.done >= after for step in steps)


def made(job: Job) -> tuple[np.ndarray, bytes, tuple[float, ...]]:
    """The mattes, the pictures and the checks of a run to its end."""
    with closing(process(job)) as steps:
        *_, last = steps
    assert job.matte is not None
    assert (last.done, last.left) == (last.total, 0)
    return ffprobe.frames(job.matte, "gray"), job.output.read_bytes(), last.checks


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_equals_an_uninterrupted_one(
    family: None, path: Path, tmp_path: Path, kind: str
) -> None:
    key, prompts = KINDS[kind]
    job = Job(
        path,
        tmp_path / "out.zip",
        model=key,
        prompts=prompts,
        format="png",
        background=Blur(),
        sound="none",
        matte=tmp_path / "m.mkv",
    )
    mattes, result, checks = made(replace(job, output=tmp_path / "whole.zip", matte=tmp_path / "w.mkv"))
    assert len(np.unique(mattes)) > 2
    random = np.random.default_rng(list(KINDS).index(kind))
    for after in sorted(random.integers(3, 14, 2)):
        assert stopped(job, int(after))
        assert not job.output.exists() and not (tmp_path / "m.mkv").exists()
        assert resume.can_resume(job, probe_clip(job.source))
    again = made(job)
    assert np.array_equal(again[0], mattes)
    assert again[1:] == (result, checks)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.mkv", "out.zip", "w.mkv", "whole.zip"]


ALONE = {
    "grabcut by itself": ("grabcut", ()),
    "grabcut": ("grabcut", (box(0), points(4, keep=False))),
    "recorte by itself": ("recorte", ()),
    "recorte": ("recorte", (box(0), points(4, keep=False), points(12))),
    "rmbg": ("isnet", ()),
    "rmbg in batches": ("batches", ()),
    "sam": ("sam", (box(0), points(4, keep=False), points(12))),
    "sam 2": ("sam2", (box(0), points(4, keep=False))),
    "sums": ("remembering", (box(0), points(12))),
}
"""A stream forward, from the first frame on; the scene ends with the tenth."""


@pytest.mark.parametrize("kind", ALONE)
def test_a_stream_continues_from_its_state_alone(family: None, path: Path, tmp_path: Path, kind: str) -> None:
    """Also what it knows is the same from there on, which a short clip's mattes need not show."""
    key, prompts = ALONE[kind]
    stream = create_stream(Job(path, tmp_path / "o.mp4", model=key, prompts=prompts))
    marks = prompts_by_frame(prompts, probe_clip(path))
    frames = list(read_frames(path))

    def run(first: int, known: State | None) -> list[tuple[Any, ...]]:
        """Return the prediction of each frame and, as bytes, the state behind it."""
        told: list[tuple[Any, ...]] = []
        for n, (frame, prediction) in enumerate(stream(iter(frames[first:]), marks, known), first):
            assert frame is frames[n]
            data = None
            if prediction.state is not None:
                stream_state.save(tmp_path / f"{n}.state", prediction.state())
                data = (tmp_path / f"{n}.state").read_bytes()
            told.append((prediction.matte.tobytes(), prediction.confidence, prediction.prompted, data))
        return told

    whole = run(0, None)
    assert len(whole) == 16
    for n in (0, 2, 5, 9, 12):
        if whole[n][-1] is None:  # in the middle of a batch
            continue
        (tmp_path / "from.state").write_bytes(whole[n][-1])
        assert run(n + 1, stream_state.load(tmp_path / "from.state")) == whole[n + 1 :]


def test_stored_predictions_are_not_computed_again(path: Path, tmp_path: Path) -> None:
    job = Job(path, tmp_path / "o.mp4", model="remembering", prompts=(box(4),), matte=tmp_path / "m.mkv")
    model: Any = models.load("remembering", "auto")
    assert stopped(job, 8)
    before, model.frames = model.frames, 0
    with closing(process(job)) as steps:
        *_, last = steps
    assert last.done == last.total == 16  # the box's own frame is in both of its streams, and counts once
    # Five backward and six forward; nobody says what is in the other scene.
    assert before >= 8 and model.frames <= 11 - 8 + 2


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """No segment is closed for its age."""
    monkeypatch.setattr(spool, "CHUNK_SECONDS", 1e9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_stopped_early_keeps_its_predictions(
    family: None, seldom: None, path: Path, tmp_path: Path, kind: str
) -> None:
    """Cancelled before a segment was due; and what goes on from there is bit for bit the same."""
    key, prompts = KINDS[kind]
    job = Job(path, tmp_path / "o.zip", model=key, prompts=prompts, format="png", matte=tmp_path / "m.mkv")
    expected = made(replace(job, output=tmp_path / "whole.zip", matte=tmp_path / "w.mkv"))
    assert stopped(job, 7)
    assert resume.can_resume(job, probe_clip(job.source))
    with closing(process(job)) as steps:
        kept = max((step.done for step in steps if not step.rate), default=0)
    assert kept >= 6
    assert (ffprobe.frames(tmp_path / "m.mkv", "gray") == expected[0]).all()
    assert job.output.read_bytes() == expected[1]


def test_resumed_frames_do_not_count_for_the_rate(path: Path, tmp_path: Path) -> None:
    job = Job(path, tmp_path / "o.mp4", model="dwelling", matte=tmp_path / "m.mkv")
    assert stopped(job, 5)
    with closing(process(job)) as steps:
        told = list(steps)
    assert [step.done for step in told] == sorted(step.done for step in told)
    kept = [step for step in told if not step.rate]
    assert len(kept) >= 3 and all(step.left is None for step in kept)
    assert 0 < told[-1].rate < 40  # the model does 25 in a second, and kept ones come by the hundred
    assert told[-1].done == told[-1].total == 16
