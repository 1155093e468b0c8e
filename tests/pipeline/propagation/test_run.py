"""Plans and their runs: frames that reach the model from each prompt, in each direction."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline import models
from pipeline.errors import RunError
from pipeline.imaging import scene_cuts
from pipeline.job import Job
from pipeline.matte import MatteFile
from pipeline.models import Prediction, PromptedFrame
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt
from pipeline.propagation.plan import count_frames, plan_segments
from pipeline.propagation.run import run_plan
from pipeline.propagation.stream import run_model
from pipeline.video.reading.frames import read_frames
from pipeline.video.reading.index_cache import load_index
from pipeline.video.reading.probe import probe_clip
from tests.pipeline import stand_in
from tests.pipeline.stand_in import Carrying, Greedy, Short, Small, number
from tests.rendered import subject_over_background, write_clip

STEP = 1 / 20  # of the counted clip


def box(n: float) -> Prompt:
    return Prompt(n * STEP, box=Box(1, 1, 60, 60))


def points(n: float) -> Prompt:
    return Prompt(n * STEP, (Point(5, 5),))


def run(
    path: Path, folder: Path, prompts: list[Prompt], lo: int = 0, hi: int = 40, only: set[int] | None = None
) -> tuple[Carrying, list[int], list[int]]:
    """The model, the numbers of the frames that came out, and which of its streams each matte is from."""
    clip = probe_clip(path)
    pts = [*load_index(path).pts, load_index(path).pts[-1] + 1]
    plan = plan_segments(prompts, clip, pts[lo], pts[hi])
    model = Carrying()
    thinned = None if only is None else {pts[n] for n in only}
    came: list[int] = []
    streams: list[int] = []
    work = 0
    stream = partial(run_model, model, has_memory=True)  # these frames are no scene
    for step in run_plan(clip, stream, plan, folder, thinned):
        assert step.frames or step.pair  # a step is never for nothing
        work += step.frames
        if step.pair is not None:
            frame, prediction = step.pair
            assert frame.image.shape == (64, 64, 3)
            assert len(np.unique(prediction.matte)) == 1
            came.append(number(frame.image))
            streams.append(int(prediction.matte[0, 0]))
    given = sum(len(stream.numbers) for stream in model.streams)
    given -= sum(one.numbers[0] == other.numbers[0] for one, other in pairwise(model.streams))  # both ways
    assert given == work == count_frames(plan, clip, thinned)  # so that progress can be counted
    assert not list(folder.glob("*/*"))  # what was turned round is gone when it was read
    return model, came, streams


def test_without_prompts_the_clip_is_one_stream(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [], 5, 30)
    assert came == list(range(5, 30))
    (stream,) = model.streams
    assert (stream.marks, stream.numbers) == ({}, list(range(5, 30)))


def test_a_prompt_in_the_middle_runs_both_ways(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(15)])
    assert came == list(range(40))
    back, forth = model.streams
    assert back.numbers == list(range(15, -1, -1)) and forth.numbers == list(range(15, 40))
    assert back.marks == forth.marks == {15: box(15)}
    assert streams == [1] * 15 + [2] * 25


def test_segments_between_two_boxes_meet_half_way(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(30), box(10)])
    assert came == list(range(40))
    assert [list(stream.marks) for stream in model.streams] == [[10], [10], [30], [30]]
    assert streams == [1] * 10 + [2] * 11 + [3] * 9 + [4] * 10


def test_points_on_a_later_frame_correct_the_stream(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [box(0), points(20)])
    assert came == list(range(40))
    (stream,) = model.streams
    assert stream.numbers == list(range(40))
    assert stream.marks == {0: box(0), 20: points(20)}


def test_points_before_the_only_box_correct_the_stream_backward(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [points(5), box(20)])
    assert came == list(range(40))
    back, forth = model.streams
    assert back.numbers == list(range(20, -1, -1)) and list(back.marks) == [20, 5]
    assert forth.numbers == list(range(20, 40)) and list(forth.marks) == [20]


def test_the_first_foreground_points_initialise_without_a_box(counted_path: Path, tmp_path: Path) -> None:
    away = Prompt(3 * STEP, (Point(9, 9, keep=False),))
    model, came, _ = run(counted_path, tmp_path, [away, points(7), points(12)])
    assert came == list(range(40))
    back, forth = model.streams
    assert list(back.marks) == [7, 3] and list(forth.marks) == [7, 12]


def test_background_points_alone_correct_an_automatic_model(counted_path: Path, tmp_path: Path) -> None:
    away = Prompt(3 * STEP, (Point(9, 9, keep=False),))
    model, came, _ = run(counted_path, tmp_path, [away], 2, 30)
    assert came == list(range(2, 30))
    (stream,) = model.streams
    assert stream.numbers == list(range(2, 30)) and stream.marks == {3: away}


@pytest.mark.parametrize(
    ("second", "expected"), [(box(16), [1] * 15 + [2] + [3] * 24), (points(16), [1] * 15 + [2] * 25)]
)
def test_prompts_on_neighbouring_frames(
    counted_path: Path, tmp_path: Path, second: Prompt, expected: list[int]
) -> None:
    _, came, streams = run(counted_path, tmp_path, [box(15), second])
    assert came == list(range(40))
    assert streams == expected


def test_prompts_on_every_frame(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(n) for n in range(40)])
    assert came == list(range(40))
    assert [stream.numbers for stream in model.streams] == [[n] for n in range(40)]
    assert streams == list(range(1, 41))


def test_prompts_at_two_times_of_one_frame_are_merged(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [Prompt(0.0, (Point(5, 5),)), Prompt(0.02, (Point(9, 9),))])
    assert came == list(range(40))
    assert model.streams[0].marks[0].points == (Point(5, 5), Point(9, 9))


@pytest.mark.parametrize(("lo", "hi"), [(12, 30), (0, 8), (33, 40), (19, 21), (20, 21), (9, 40)])
@pytest.mark.parametrize(
    "prompts",
    [
        [box(0)],
        [box(20)],
        [box(39)],
        [points(20)],
        [box(5), box(35)],
        [box(5), points(10)],
        [box(5), points(25), points(35)],
        [box(0), box(3), box(6)],
        [box(34), points(38)],
        [points(2), box(8), points(22), box(37)],
    ],
)
def test_a_trimmed_clip_gets_each_frame_once_and_in_order(
    counted_path: Path, tmp_path: Path, prompts: list[Prompt], lo: int, hi: int
) -> None:
    model, came, streams = run(counted_path, tmp_path, prompts, lo, hi)
    assert came == list(range(lo, hi))
    starts = [round(p.time / STEP) for p in prompts if p.box] or [round(prompts[0].time / STEP)]
    for n, stream in zip(came, streams, strict=True):
        start = model.streams[stream - 1].numbers[0]
        # From the nearest start; half-way between two, from either.
        assert abs(start - n) <= min(abs(other - n) for other in starts) + 1
    for given in model.streams:
        assert given.numbers[0] in starts
        steps = np.diff(given.numbers)
        assert (steps == 1).all() or (steps == -1).all()
        marked = {round(p.time / STEP): p for p in prompts}
        assert given.marks == {n: marked[n] for n in given.numbers if n in marked}


def test_prompts_far_outside_the_range_cost_nothing(counted_path: Path, tmp_path: Path) -> None:
    model, _, _ = run(counted_path, tmp_path, [box(0), box(3), box(6)], 30, 40)
    assert [stream.numbers for stream in model.streams] == [list(range(6, 40))]


def test_every_nth_frame_of_a_clip(counted_path: Path, tmp_path: Path) -> None:
    only = {0, 4, 9, 10, 20, 21, 39}
    model, came, _ = run(counted_path, tmp_path, [box(10), points(20)], only=only)
    assert came == sorted(only)
    assert [stream.numbers for stream in model.streams] == [[10, 9, 4, 0], [10, 20, 21, 39]]


@pytest.mark.parametrize(
    ("model", "word"),
    [(Short(), "fewer mattes"), (Greedy(), "fewer mattes"), (Small(), "belongs to no frame")],
)
def test_a_model_that_is_not_one_for_one_raises_run_error(
    counted_path: Path, model: Short, word: str
) -> None:
    with pytest.raises(RunError, match=word):
        list(run_model(model, read_frames(counted_path), {}))


def lanes(clip: Path, folder: Path, prompts: list[Prompt]) -> tuple[Carrying, dict[int, int]]:
    """The model and the lane, a stream's number, that the union shows on each frame."""
    model = Carrying()
    read = probe_clip(clip)
    plan = plan_segments(prompts, read, 0, load_index(clip).pts[-1] + 1)
    steps = run_plan(read, partial(run_model, model, has_memory=True), plan, folder)
    union = {number(s.pair[0].image): int(s.pair[1].matte[0, 0]) for s in steps if s.pair is not None}
    return model, union


def test_each_object_has_a_stream_and_the_matte_is_their_union(counted_path: Path, tmp_path: Path) -> None:
    marks = [box(0), replace(box(25), object=2)]
    model, union = lanes(counted_path, tmp_path, marks)
    assert list(union) == list(range(40))
    by_start = {tuple(stream.numbers[:2]): n + 1 for n, stream in enumerate(model.streams)}
    first, back, forth = by_start[0, 1], by_start[25, 24], by_start[25, 26]
    assert [union[n] for n in (0, 24, 25, 39)] == [
        max(first, back), max(first, back), max(first, forth), max(first, forth)
    ]  # fmt: skip
    assert model.streams[first - 1].numbers == list(range(40))
    assert model.streams[first - 1].marks == {0: marks[0]}
    assert model.streams[forth - 1].marks == {25: marks[1]}


def test_objects_prompted_on_one_frame_are_propagated_together(counted_path: Path, tmp_path: Path) -> None:
    given: list[int] = []

    class Noting(Carrying):
        def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
            for still in stills:
                given.append(number(still.image))
                yield Prediction(np.zeros(still.image.shape[:2], np.uint8))

    clip = probe_clip(counted_path)
    plan = plan_segments([box(20), replace(points(20), object=2)], clip, 0, 10**9)
    list(run_plan(clip, partial(run_model, Noting(), has_memory=True), plan, tmp_path))
    # One after the other on each frame, so that what is known of it serves both.
    back, forth = list(range(20, -1, -1)), list(range(20, 40))
    assert given == [n for n in back + forth for _ in range(2)]


def test_an_object_that_no_prompt_initialises_is_left_out(counted_path: Path, tmp_path: Path) -> None:
    away = Prompt(0, (Point(9, 9, keep=False),), object=2)
    model, _ = lanes(counted_path, tmp_path, [box(0), away])
    assert len(model.streams) == 1


@pytest.fixture(scope="module")
def cut_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of one scene, eight of another, and eight of the first again."""
    here, _ = subject_over_background(8, 320, 180)
    there = [np.ascontiguousarray(255 - frame[::-1]) for frame in here]
    return write_clip(tmp_path_factory.mktemp("clips") / "cut.mp4", here + there + here)


def seen(path: Path, folder: Path, prompts: list[Prompt], *, has_memory: bool = False) -> list[Prediction]:
    clip = probe_clip(path)
    plan = plan_segments(prompts, clip, 0, load_index(path).pts[-1] + 1)
    stream = partial(run_model, Carrying(), has_memory=has_memory)
    return [s.pair[1] for s in run_plan(clip, stream, plan, folder) if s.pair is not None]


def tops(predictions: list[Prediction]) -> list[int]:
    return [int(f.matte.max()) for f in predictions]


def test_propagation_ends_at_a_scene_cut(cut_path: Path, tmp_path: Path) -> None:
    start = Prompt(0, box=Box(1, 1, 60, 60))
    predictions = seen(cut_path, tmp_path, [start])
    assert tops(predictions) == [1] * 8 + [0] * 16
    assert [f.confidence for f in predictions] == [1] * 8 + [0] * 16  # somebody should look
    assert tops(seen(cut_path, tmp_path, [start], has_memory=True)) == [1] * 24


def test_an_object_prompted_elsewhere_does_not_lower_the_confidence(cut_path: Path, tmp_path: Path) -> None:
    predictions = seen(cut_path, tmp_path, [Prompt(0, box=Box(1, 1, 60, 60)), replace(box(10), object=2)])
    assert [f.confidence for f in predictions] == [1] * 16 + [0] * 8


def test_prompts_after_a_scene_cut_start_a_new_segment(cut_path: Path, tmp_path: Path) -> None:
    later = Prompt(11 / 24, (Point(5, 5),))
    predictions = seen(cut_path, tmp_path, [Prompt(0, box=Box(1, 1, 60, 60)), later])
    assert tops(predictions) == [1] * 8 + [0] * 3 + [2] * 5 + [0] * 8


def test_backward_propagation_ends_at_a_scene_cut(cut_path: Path, tmp_path: Path) -> None:
    predictions = seen(cut_path, tmp_path, [Prompt(12 / 24, box=Box(1, 1, 60, 60))])
    assert tops(predictions) == [0] * 8 + [1] * 4 + [2] * 4 + [0] * 8


def test_an_automatic_model_restarts_in_each_scene(cut_path: Path, tmp_path: Path) -> None:
    predictions = seen(cut_path, tmp_path, [])
    assert tops(predictions) == [1] * 8 + [2] * 8 + [3] * 8
    assert {f.confidence for f in predictions} == {1}


def known_cuts(path: Path) -> list[int]:
    pts = load_index(path).pts
    return [at for at in scene_cuts.scan(path, pts[0], pts[-1]) if at is not None]


def met(path: Path, folder: Path, prompts: list[Prompt]) -> list[int]:
    """Return the stream that each frame is from where the cuts are known."""
    clip = probe_clip(path)
    plan = plan_segments(prompts, clip, 0, load_index(path).pts[-1] + 1, known_cuts(path))
    steps = run_plan(clip, partial(run_model, Carrying()), plan, folder)
    return tops([s.pair[1] for s in steps if s.pair is not None])


def test_scene_cuts_are_detected(cut_path: Path) -> None:
    pts = load_index(cut_path).pts
    assert known_cuts(cut_path) == [pts[8], pts[16]]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([box(0), box(9)], [1] * 8 + [2] + [3] * 7 + [0] * 8),  # half-way would be the fifth
        ([box(7), box(15)], [1] * 7 + [2] + [3] * 7 + [4] + [0] * 8),
        ([box(0), points(14)], [1] * 8 + [2] * 6 + [3] * 2 + [0] * 8),  # a click is enough behind a cut
        ([points(0), points(4), points(14)], [1] * 8 + [2] * 6 + [3] * 2 + [0] * 8),
        ([box(2), box(20)], [1] * 2 + [2] * 6 + [0] * 8 + [3] * 4 + [4] * 4),
    ],
)
def test_segments_meet_at_a_scene_cut(
    cut_path: Path, tmp_path: Path, marks: list[Prompt], expected: list[int]
) -> None:
    at24 = [replace(mark, time=mark.time * 20 / 24) for mark in marks]
    assert met(cut_path, tmp_path, at24) == expected


def test_a_run_detects_scene_cuts_between_prompts(cut_path: Path, tmp_path: Path) -> None:
    marks = (Prompt(0, box=Box(1, 1, 60, 60)), Prompt(14 / 24, (Point(5, 5),)))
    with stand_in.registered():
        models.cards()["plain"] = stand_in.card("plain", Carrying)
        job = Job(cut_path, tmp_path / "o.mp4", model="plain", prompts=marks, matte=tmp_path / "m.mkv")
        *_, last = process(job)
        del models.cards()["plain"]
    mattes = [matte for _, matte in MatteFile.open(tmp_path / "m.mkv").read(probe_clip(cut_path))]
    assert [int(m.max()) for m in mattes] == [1] * 8 + [2] * 6 + [3] * 2 + [0] * 8
    assert last.checks == pytest.approx([16 / 24], abs=1e-3)


def test_closing_ends_the_streams_of_every_object(counted_path: Path, tmp_path: Path) -> None:
    ended: list[int] = []

    class Ending(Carrying):
        def predict(self, stills: Iterator[PromptedFrame]) -> Iterator[Prediction]:
            try:
                yield from super().predict(stills)
            finally:
                ended.append(1)

    clip = probe_clip(counted_path)
    plan = plan_segments([box(0), replace(box(0), object=2)], clip, 0, 10**9)
    steps = run_plan(clip, partial(run_model, Ending(), has_memory=True), plan, tmp_path)
    next(steps)
    steps.close()
    assert len(ended) == 2
