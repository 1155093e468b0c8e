"""Which frames reach the model from which prompt, in which direction."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import stretches, video
from pipeline.errors import RunError
from pipeline.prompts import Box, Point, Prompt
from tests.pipeline.stand_in import Carrying, Greedy, Short, Small, number

STEP = 1 / 20  # of the counted clip


def box(n: float) -> Prompt:
    return Prompt(n * STEP, box=Box(1, 1, 60, 60))


def points(n: float) -> Prompt:
    return Prompt(n * STEP, (Point(5, 5),))


def run(
    path: Path, folder: Path, prompts: list[Prompt], lo: int = 0, hi: int = 40, only: set[int] | None = None
) -> tuple[Carrying, list[int], list[int]]:
    """The model, the numbers of the frames that came out, and which of its streams each matte is from."""
    clip = video.probe(path)
    pts = [*video.index(path).pts, video.index(path).pts[-1] + 1]
    plan = stretches.plan(prompts, clip, pts[lo], pts[hi])
    model = Carrying()
    thinned = None if only is None else {pts[n] for n in only}
    came: list[int] = []
    streams: list[int] = []
    steps = 0
    for piece in stretches.pieces(clip, model, plan, folder, thinned):
        steps += 1
        for frame, matte in piece:
            assert frame.image.shape == (64, 64, 3)
            assert len(np.unique(matte)) == 1
            came.append(number(frame.image))
            streams.append(int(matte[0, 0]))
    given = sum(len(stream.numbers) for stream in model.streams)
    assert given == stretches.work(plan, clip, thinned)
    assert steps == given  # a piece for each, so that progress can be counted
    assert not list(folder.iterdir())  # what was turned round is gone when it was read
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


def test_two_boxes_meet_half_way(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(30), box(10)])
    assert came == list(range(40))
    assert [list(stream.marks) for stream in model.streams] == [[10], [10], [30], [30]]
    assert streams == [1] * 10 + [2] * 11 + [3] * 9 + [4] * 10


def test_points_on_a_later_frame_lie_in_the_stream(counted_path: Path, tmp_path: Path) -> None:
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


def test_without_a_box_the_first_points_to_keep_start(counted_path: Path, tmp_path: Path) -> None:
    away = Prompt(3 * STEP, (Point(9, 9, keep=False),))
    model, came, _ = run(counted_path, tmp_path, [away, points(7), points(12)])
    assert came == list(range(40))
    back, forth = model.streams
    assert list(back.marks) == [7, 3] and list(forth.marks) == [7, 12]


def test_points_to_remove_alone_correct_what_the_model_finds(counted_path: Path, tmp_path: Path) -> None:
    away = Prompt(3 * STEP, (Point(9, 9, keep=False),))
    model, came, _ = run(counted_path, tmp_path, [away], 2, 30)
    assert came == list(range(2, 30))
    (stream,) = model.streams
    assert stream.numbers == list(range(2, 30)) and stream.marks == {3: away}


@pytest.mark.parametrize(
    ("second", "expected"), [(box(16), [1] * 15 + [2] + [3] * 24), (points(16), [1] * 15 + [2] * 25)]
)
def test_neighbouring_marked_frames(
    counted_path: Path, tmp_path: Path, second: Prompt, expected: list[int]
) -> None:
    _, came, streams = run(counted_path, tmp_path, [box(15), second])
    assert came == list(range(40))
    assert streams == expected


def test_every_frame_marked(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(n) for n in range(40)])
    assert came == list(range(40))
    assert [stream.numbers for stream in model.streams] == [[n] for n in range(40)]
    assert streams == list(range(1, 41))


def test_marks_at_two_times_on_one_frame_are_joined(counted_path: Path, tmp_path: Path) -> None:
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
def test_a_cut_clip_gets_each_of_its_frames_once_and_in_order(
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


def test_marks_far_before_a_cut_cost_nothing(counted_path: Path, tmp_path: Path) -> None:
    model, _, _ = run(counted_path, tmp_path, [box(0), box(3), box(6)], 30, 40)
    assert [stream.numbers for stream in model.streams] == [list(range(6, 40))]


def test_a_thinned_clip(counted_path: Path, tmp_path: Path) -> None:
    only = {0, 4, 9, 10, 20, 21, 39}
    model, came, _ = run(counted_path, tmp_path, [box(10), points(20)], only=only)
    assert came == sorted(only)
    assert [stream.numbers for stream in model.streams] == [[10, 9, 4, 0], [10, 20, 21, 39]]


@pytest.mark.parametrize(
    ("model", "word"),
    [(Short(), "fewer mattes"), (Greedy(), "fewer mattes"), (Small(), "belongs to no frame")],
)
def test_a_model_that_breaks_one_for_one_is_found_out(counted_path: Path, model: Short, word: str) -> None:
    with pytest.raises(RunError, match=word):
        list(stretches.pairs(model, video.read(counted_path), {}))
