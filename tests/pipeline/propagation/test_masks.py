"""Masks of other tools as the prompt of a frame, which each model follows from there."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from pipeline import models
from pipeline.__main__ import main
from pipeline.errors import InputError, PromptError
from pipeline.imaging import strokes
from pipeline.job import Job
from pipeline.keys import matte_key
from pipeline.models import Model
from pipeline.models.grabcut import GrabCut
from pipeline.models.isnet import Isnet
from pipeline.models.sam import Sam
from pipeline.models.sam2 import Sam2
from pipeline.networks import sam2
from pipeline.process import process
from pipeline.prompts import Box, MaskFile, Point, Prompt, Stroke
from pipeline.propagation.plan import plan_segments
from pipeline.propagation.stream import run_model
from pipeline.video.reading.frames import Frame
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests import ffprobe
from tests.pipeline.models import test_edgetam, test_sam2
from tests.pipeline.models.test_sam_tracking import Hues, Scene
from tests.rendered import overlap, subject_over_background, write_clip


def write(path: Path, matte: np.ndarray) -> MaskFile:
    assert cv2.imwrite(str(path), matte)
    return MaskFile(path)


class Greenless(nn.Module):
    """Network that finds the figure of `Scene` by its colour."""

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return 20 * (picture[:, :1] - picture[:, 1:2] - 0.2)


Clip = tuple[list[np.ndarray], list[np.ndarray]]
SUBJECT: Clip = subject_over_background(8)


def hues() -> Clip:
    frames, truths = Scene(seed=2).clip(np.linspace(60, 100, 8))
    return frames, [255 * truth.astype(np.uint8) for truth in truths]


def recorte() -> Model:
    return models.load("recorte", "cpu")


def isnet() -> Model:
    return Isnet(Greenless(), torch.device("cpu"), recorte)


MODELS: dict[str, tuple[Callable[[], Model], Callable[[], Clip]]] = {
    "recorte": (recorte, lambda: SUBJECT),
    "grabcut": (GrabCut, lambda: SUBJECT),
    "isnet": (isnet, hues),
    "sam": (lambda: Sam(Hues()), hues),
}


def run(model: Model, frames: list[np.ndarray], marks: dict[int, Prompt]) -> list[np.ndarray]:
    stills = (Frame(n, frame) for n, frame in enumerate(frames))
    return [prediction.matte for _, prediction in run_model(model, stills, marks)]


def small_tracker(module: Callable[[float], nn.Module]) -> Model:
    """SAM 2's session around a small network of random weights."""
    return Sam2(sam2.Network(module(test_sam2.SEEN), torch.device("cpu")))


EVERY: dict[str, tuple[Callable[[], Model], Callable[[], Clip]]] = MODELS | {
    "sam2": (lambda: small_tracker(test_sam2.module), lambda: SUBJECT),
    "edgetam": (lambda: small_tracker(test_edgetam.module), lambda: SUBJECT),
}


@pytest.mark.parametrize("every", EVERY)
def test_strokes_hold_to_the_pixel_in_every_model(every: str) -> None:
    create, clip = EVERY[every]
    frames, truths = clip()
    height, width = truths[0].shape
    kept = Stroke(((5.0, 8.25), (width / 2, 12.0)), 7.5)
    removed = Stroke(((width / 2, 3.0), (width / 2, height - 5.0)), 9.0, keep=False)
    x, y, across, down = cv2.boundingRect((truths[0] > 127).astype(np.uint8))
    prompt = Prompt(box=Box(x, y, x + across, y + down), strokes=(kept, removed))
    (matte,) = run(create(), frames[:1], {0: prompt})
    lowest, highest = strokes.bounds(prompt.strokes, height, width)
    assert (lowest == 255).any() and (highest == 0).any()
    assert (matte[lowest == 255] == 255).all() and (matte[highest == 0] == 0).all()
    assert ((lowest <= matte) & (matte <= highest)).all()


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_mask_holds_to_the_pixel_and_is_followed_from_there(name: str, tmp_path: Path) -> None:
    create, clip = MODELS[name]
    frames, truths = clip()
    soft = cv2.GaussianBlur(truths[0], (0, 0), 2)
    mattes = run(create(), frames, {0: Prompt(mask=write(tmp_path / "mask.png", soft))})
    assert np.array_equal(mattes[0], soft)
    assert min(overlap(m, t) for m, t in zip(mattes[1:], truths[1:], strict=True)) > 0.85


def test_points_and_strokes_correct_a_mask(name: str, tmp_path: Path) -> None:
    """Half of the subject is missing in the mask."""
    create, clip = MODELS[name]
    frames, truths = clip()
    half = truths[0].copy()
    columns = np.flatnonzero((truths[0] > 127).any(0))
    middle = int(columns.mean())
    half[:, middle:] = 0
    mask = write(tmp_path / "mask.png", half)
    rows = np.flatnonzero(truths[0][:, middle + 10] > 127)
    missed = middle + 10.5, float(rows.mean()) + 0.5
    stroke = Stroke((missed,), 7.0)
    (painted,) = run(create(), frames[:1], {0: Prompt(mask=mask, strokes=(stroke,))})
    assert painted[int(missed[1]), int(missed[0])] == 255
    assert np.array_equal(painted[:, :middle], half[:, :middle])
    (pointed,) = run(create(), frames[:1], {0: Prompt(mask=mask, points=(Point(*missed),))})
    assert pointed[int(missed[1]), int(missed[0])] > 127
    assert overlap(pointed, truths[0]) >= overlap(half, truths[0])


def test_a_mask_starts_streams_both_ways(tmp_path: Path) -> None:
    frames, truths = SUBJECT
    video = write_clip(tmp_path / "clip.mp4", frames, rate=24)
    clip = probe_clip(video)
    times = load_index(video).pts
    mask = write(tmp_path / "mask.png", truths[4])
    at = float(times[4] * clip.time_base)
    prompts = (Prompt(0.0, points=(Point(5, 5),)), Prompt(at, mask=mask))
    ((segment,),) = plan_segments(prompts, clip, times[0], times[-1] + 1)
    assert segment.initial_pts == times[4] and segment.directions == ("backward", "forward")
    job = Job(video, tmp_path / "out.mp4", "recorte", prompts[1:], matte=tmp_path / "matte.mkv")
    for _ in process(job):
        pass
    mattes = ffprobe.frames(tmp_path / "matte.mkv", "gray")
    assert np.array_equal(mattes[4], truths[4])
    assert min(overlap(m, t) for m, t in zip(mattes, truths, strict=True)) > 0.85


def test_masks_are_part_of_the_job_and_of_its_key_by_content(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", SUBJECT[0][:2], rate=24)
    one = write(tmp_path / "one.png", SUBJECT[1][0])
    same = write(tmp_path / "same.png", SUBJECT[1][0])
    other = write(tmp_path / "other.png", SUBJECT[1][1])
    job = Job(video, tmp_path / "out.mp4", "recorte", (Prompt(mask=one, object=2),))
    data = job.to_json(tmp_path)
    assert data["prompts"] == [{"time": 0.0, "object": 2, "mask": {"file": "one.png"}}]
    assert Job.from_json(data, tmp_path) == job

    def key(mask: MaskFile | None) -> str:
        return matte_key(replace(job, prompts=(Prompt(box=Box(1, 1, 9, 9), mask=mask),)))

    assert key(one) == key(same)
    assert len({key(None), key(one), key(other), key(replace(one, invert=True))}) == 4
    moved = Job.from_json(data, tmp_path / "elsewhere")
    assert moved.prompts[0].mask == MaskFile(tmp_path / "elsewhere" / "one.png")


@pytest.mark.parametrize(
    "mask", [{"file": 3}, {}, {"file": "a.png", "invert": 1}, {"file": ""}, {"file": "a\0b"}, [1]]
)
def test_a_malformed_mask_is_refused(mask: object) -> None:
    with pytest.raises(PromptError):
        Prompt.from_json({"mask": mask or {"invert": True}})


def test_a_model_that_takes_no_box_takes_no_mask(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", SUBJECT[0][:2], rate=24)
    mask = write(tmp_path / "mask.png", SUBJECT[1][0])
    job = Job(video, tmp_path / "out.mp4", "classes", (Prompt(mask=mask),), classes=("dog",))
    with pytest.raises(PromptError):
        job.check(probe_clip(video))


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Path]:
    write_clip(tmp_path / "clip.mp4", SUBJECT[0], rate=24)
    write(tmp_path / "mask@2.png", SUBJECT[1][0])
    yield tmp_path


def cut(folder: Path, *options: str) -> int:
    paths = str(folder / "clip.mp4"), str(folder / "out.mp4")
    return main(["run", *paths, "--model", "recorte", "--matte", str(folder / "matte.mkv"), *options])


def test_the_command_line_takes_masks_with_and_without_a_time(example: Path) -> None:
    assert cut(example, "--mask-in", str(example / "mask@2.png")) == 0
    assert np.array_equal(ffprobe.frames(example / "matte.mkv", "gray")[0], SUBJECT[1][0])
    write(example / "later.png", 255 - SUBJECT[1][6])
    assert cut(example, "--mask-in", f"{example / 'later.png'}@0.25", "--mask-in-invert") == 0
    assert np.array_equal(ffprobe.frames(example / "matte.mkv", "gray")[6], SUBJECT[1][6])


def test_a_file_of_marks_names_masks_beside_it(example: Path) -> None:
    (example / "marks.json").write_text('[{"time": 0, "mask": {"file": "mask@2.png"}}]')
    assert cut(example, "--prompts", str(example / "marks.json")) == 0
    assert np.array_equal(ffprobe.frames(example / "matte.mkv", "gray")[0], SUBJECT[1][0])


def test_the_command_line_refuses_what_is_no_mask_in_a_sentence(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cut(example, "--mask-in", str(example / "clip.mp4")) != 0
    assert "cannot be read as a picture of a mask" in capsys.readouterr().err
    assert cut(example, "--mask-in-invert") != 0
    assert "--mask-in-invert needs --mask-in FILE" in capsys.readouterr().err
    assert not (example / "out.mp4").exists()


def test_a_run_never_writes_over_a_mask(example: Path) -> None:
    mask = MaskFile(example / "mask@2.png")
    job = Job(example / "clip.mp4", mask.path, "recorte", (Prompt(mask=mask),), format="png")
    with pytest.raises(InputError) as caught:
        list(process(job))
    assert caught.value.message.key == "writing.overwrites"
