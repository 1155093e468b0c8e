"""Which frames reach the model from which prompt, in which direction."""

import itertools
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
    numbers = itertools.count()
    came: list[int] = []
    streams: list[int] = []
    steps = 0
    for piece in stretches.pieces(clip, model, plan, lambda: folder / f"{next(numbers)}.mkv", thinned):
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
    assert (stream.prompt, stream.prior, stream.numbers) == (None, None, list(range(5, 30)))


def test_a_prompt_in_the_middle_runs_both_ways(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(15)])
    assert came == list(range(40))
    back, forth = model.streams
    assert back.numbers == list(range(15, -1, -1)) and forth.numbers == list(range(15, 40))
    assert back.prompt == forth.prompt == box(15)
    assert back.prior is None and forth.prior is None
    assert streams == [1] * 15 + [2] * 25


def test_two_boxes_meet_half_way(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(30), box(10)])
    assert came == list(range(40))
    assert [stream.prompt for stream in model.streams] == [box(10), box(10), box(30), box(30)]
    assert all(stream.prior is None for stream in model.streams)
    assert streams == [1] * 10 + [2] * 11 + [3] * 9 + [4] * 10


def test_points_on_a_later_frame_correct_what_was_carried_there(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(0), points(20)])
    assert came == list(range(40))
    first, back, forth = model.streams
    assert first.numbers == list(range(21)) and first.prior is None
    for stream in (back, forth):
        assert stream.prompt == points(20)
        assert stream.prior is not None and stream.prior[0, 0] == 1
    assert back.numbers == list(range(20, 10, -1)) and forth.numbers == list(range(20, 40))
    assert streams == [1] * 11 + [2] * 9 + [3] * 20


def test_points_alone_on_the_first_marked_frame_have_no_prior(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [points(7)])
    assert came == list(range(40))
    assert all(stream.prior is None for stream in model.streams)


@pytest.mark.parametrize("second", [box(16), points(16)])
def test_neighbouring_marked_frames(counted_path: Path, tmp_path: Path, second: Prompt) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(15), second])
    assert came == list(range(40))
    assert streams == [1] * 15 + [2] + [3] * 24
    assert len(model.streams) == 3


def test_every_frame_marked(counted_path: Path, tmp_path: Path) -> None:
    model, came, streams = run(counted_path, tmp_path, [box(n) for n in range(40)])
    assert came == list(range(40))
    assert [stream.numbers for stream in model.streams] == [[n] for n in range(40)]
    assert streams == list(range(1, 41))


def test_marks_at_two_times_on_one_frame_are_joined(counted_path: Path, tmp_path: Path) -> None:
    model, came, _ = run(counted_path, tmp_path, [Prompt(0.0, (Point(5, 5),)), Prompt(0.02, (Point(9, 9),))])
    assert came == list(range(40))
    assert model.streams[0].prompt is not None
    assert model.streams[0].prompt.points == (Point(5, 5), Point(9, 9))


@pytest.mark.parametrize(("lo", "hi"), [(12, 30), (0, 8), (33, 40), (19, 21), (20, 21), (9, 40)])
@pytest.mark.parametrize(
    "prompts",
    [
        [box(0)],
        [box(20)],
        [box(39)],
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
    marks = {round(prompt.time / STEP): prompt for prompt in prompts}
    for n, stream in zip(came, streams, strict=True):
        given = model.streams[stream - 1]
        assert given.prompt is not None
        mark = round(given.prompt.time / STEP)
        # From the nearest mark; half-way between two, from either. Before the range's end a later mark
        # may be left out only if an earlier one is as near.
        nearest = min(abs(mark_ - n) for mark_ in marks)
        assert abs(mark - n) <= nearest + 1
    for given in model.streams:
        assert given.prompt is not None
        mark = round(given.prompt.time / STEP)
        assert given.numbers[0] == mark
        steps = np.diff(given.numbers)
        assert (steps == 1).all() or (steps == -1).all()
        if given.prompt.box is not None:
            assert given.prior is None
        elif mark != min(marks):
            assert given.prior is not None


def test_marks_far_before_a_cut_cost_nothing(counted_path: Path, tmp_path: Path) -> None:
    model, _, _ = run(counted_path, tmp_path, [box(0), box(3), box(6)], 30, 40)
    assert [stream.numbers for stream in model.streams] == [list(range(6, 40))]


def test_a_thinned_clip(counted_path: Path, tmp_path: Path) -> None:
    only = {0, 4, 9, 10, 20, 21, 39}
    model, came, _ = run(counted_path, tmp_path, [box(10), points(20)], only=only)
    assert came == sorted(only)
    assert [stream.numbers for stream in model.streams] == [[10, 9, 4, 0], [10, 20], [20, 21, 39]]


@pytest.mark.parametrize(
    ("model", "word"),
    [(Short(), "fewer mattes"), (Greedy(), "fewer mattes"), (Small(), "belongs to no frame")],
)
def test_a_model_that_breaks_one_for_one_is_found_out(counted_path: Path, model: Short, word: str) -> None:
    with pytest.raises(RunError, match=word):
        list(stretches.pairs(model, video.read(counted_path), None, None))
