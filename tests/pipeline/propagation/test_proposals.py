"""Marks proposed for clips that have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import masked
from pipeline import models, preview, process
from pipeline.job import Job
from pipeline.keys import pts_range
from pipeline.models.recorte.proposals import Movement
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation import proposals, scenes
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.probe import probe_clip
from tests.rendered import overlap, subject_over_background, write_clip

SIZE = 256, 160
EMPTY = 12
"""Frames before the subject comes in."""


def job(path: Path, *marks: Prompt, model: str = "recorte") -> Job:
    return Job(path, path.with_name("out.mp4"), model=model, device="cpu", prompts=marks)


def returned(started: Job) -> tuple[list[int], tuple[Prompt, ...]]:
    """The scenes and marks that a run of the job starts from."""
    clip = probe_clip(started.source)
    inputs = masked.return_value(scenes.find_scenes(started, clip, pts_range(started, clip)))
    return list(inputs.scenes), inputs.prompts


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A clip whose subject is not to be seen at first, and its alphas."""
    frames, alphas = subject_over_background(20, *SIZE)
    wall = np.full_like(frames[0], 90)
    path = write_clip(tmp_path_factory.mktemp("late") / "late.mp4", [wall] * EMPTY + list(frames))
    return path, [np.zeros_like(alphas[0])] * EMPTY + list(alphas)


def inside(box: Box, alpha: np.ndarray) -> float:
    """Intersection over union of the box and the tight one around the subject."""
    rows, columns = (np.flatnonzero((alpha > 127).any(axis)) for axis in (1, 0))
    own = np.zeros(alpha.shape, bool)
    own[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = True
    true = np.zeros(alpha.shape, bool)
    true[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return np.count_nonzero(own & true) / np.count_nonzero(own | true)


def test_a_subject_that_appears_later_is_initialised_where_it_is_visible(
    late: tuple[Path, list[np.ndarray]],
) -> None:
    path, alphas = late
    clip = probe_clip(path)
    _, asked = returned(job(path))
    assert asked
    for prompt in asked:
        number = round(prompt.time * float(clip.rate))
        assert number >= EMPTY
        assert prompt.box is not None and inside(prompt.box, alphas[number]) > 0.8


def test_a_run_without_prompts_mattes_frames_before_the_proposal_too(
    late: tuple[Path, list[np.ndarray]], tmp_path: Path
) -> None:
    path, alphas = late
    wanted = replace(job(path), output=tmp_path / "out.mkv", format="matte-lossless")
    list(process.process(wanted))
    mattes = [frame.image[..., 0] for frame in read_frames(wanted.output)]
    assert max((matte > 127).mean() for matte in mattes[: EMPTY - 1]) < 0.01
    assert min(overlap(m, a) for m, a in zip(mattes[EMPTY:], alphas[EMPTY:], strict=True)) > 0.85


def test_a_preview_starts_where_a_run_does(late: tuple[Path, list[np.ndarray]]) -> None:
    path, alphas = late
    ((_, found),) = preview.predict_frames(job(path), [(EMPTY + 2) / 24])
    assert overlap(found.matte, alphas[EMPTY + 2]) > 0.85
    clip = probe_clip(path)
    assert proposals.prompts_for_preview(job(path), clip) == returned(job(path))[1]


def test_each_scene_gets_its_own_proposal(tmp_path: Path) -> None:
    frames, _ = subject_over_background(16, *SIZE)
    other = [255 - frame[:, ::-1] for frame in frames]
    path = write_clip(tmp_path / "two.mp4", [*frames, *other])
    scenes, asked = returned(job(path))
    assert len(scenes) == 1
    border = scenes[0] * probe_clip(path).time_base
    assert {prompt.time >= border for prompt in asked} == {False, True}


def test_a_background_prompt_is_merged_with_the_proposal(late: tuple[Path, list[np.ndarray]]) -> None:
    removed = Prompt(1.0, (Point(3, 3, keep=False),), object=2)
    _, asked = returned(job(late[0], removed))
    assert removed in asked and any(prompt.box for prompt in asked)
    assert {prompt.object for prompt in asked} == {2}


@pytest.mark.parametrize("marks", [(Prompt(box=Box(9, 9, 90, 90)),), (Prompt(points=(Point(40, 40),)),)])
def test_the_users_prompts_are_unchanged(late: tuple[Path, list[np.ndarray]], marks: tuple[Prompt]) -> None:
    assert returned(job(late[0], *marks)) == ([], marks)


def test_models_without_proposals_get_no_prompts(
    late: tuple[Path, list[np.ndarray]],
) -> None:
    assert not proposals.needs_proposals(job(late[0], model="grabcut"))
    assert returned(job(late[0], model="grabcut")) == ([], ())


def test_an_empty_scene_gets_no_proposal(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mp4", [np.full((*SIZE[::-1], 3), 128, np.uint8)] * 5)
    model = models.load("recorte", "cpu")
    assert isinstance(model, models.Proposer)
    assert model.propose(iter(())) == []
    assert returned(job(path))[1] == ()


def test_motion_is_measured_relative_to_the_camera() -> None:
    random = np.random.default_rng(0)
    ground = np.repeat(np.repeat(random.integers(0, 256, (40, 56, 3), np.uint8), 8, 0), 8, 1)
    patch = np.repeat(np.repeat(random.integers(0, 256, (8, 8, 3), np.uint8), 8, 0), 8, 1)

    def picture(step: int) -> np.ndarray:
        view = ground[32:256, 32 + 4 * step : 352 + 4 * step].copy()  # the camera pans by four pixels
        view[80:144, 120 + 6 * step : 184 + 6 * step] = patch
        return view

    movement = Movement(picture(0), picture(1))
    mask, still = np.zeros((2, 224, 320), np.float32)
    mask[84:140, 126:180] = 1
    still[20:70, 20:90] = 1
    assert movement.share(mask) > 0.8 > 0.5 > movement.share(still)
    prior = movement.prior()
    assert prior[90:134, 132:176].mean() > 0.7 and prior[:60].mean() < 0.1
