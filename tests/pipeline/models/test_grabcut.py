"""The model without weights, on a rendered subject whose alpha is known."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from pipeline.arrays import Matte
from pipeline.models import PromptedFrame, card
from pipeline.models.grabcut import GrabCut
from pipeline.prompts import Box, Point, Prompt, Stroke
from tests.rendered import box_around, overlap, subject_over_background


def run(frames: list[np.ndarray], prompt: Prompt | None, **later: Prompt) -> list[Matte]:
    """The mattes of a stream with marks on its first frame, and `at5=...` on the one of that number."""
    marks = {0: prompt} | {int(name.removeprefix("at")): marks for name, marks in later.items()}
    stills = (PromptedFrame(frame, marks.get(n)) for n, frame in enumerate(frames))
    return [prediction.matte for prediction in GrabCut().predict(stills)]


@pytest.fixture(scope="module")
def clip() -> tuple[list[np.ndarray], list[np.ndarray]]:
    return subject_over_background(16)


Clip = tuple[list[np.ndarray], list[np.ndarray]]


@pytest.fixture(scope="module")
def mattes(clip: Clip) -> list[Matte]:
    return run(clip[0], box_around(clip[1][0]))


def test_a_box_on_the_first_frame_mattes_every_frame(clip: Clip, mattes: list[Matte]) -> None:
    assert [m.shape for m in mattes] == [a.shape for a in clip[1]]
    assert all(m.dtype == np.uint8 for m in mattes)
    assert min(overlap(m, a) for m, a in zip(mattes, clip[1], strict=True)) >= 0.97


def test_only_the_edge_is_soft(clip: Clip, mattes: list[Matte]) -> None:
    for matte, alpha in zip(mattes, clip[1], strict=True):
        soft = (matte > 0) & (matte < 255)
        assert 0 < soft.mean() < 0.06
        assert np.abs(matte.astype(float) - alpha).mean() < 1.5


def test_the_same_input_gives_the_same_output(clip: Clip, mattes: list[Matte]) -> None:
    again = run(clip[0][:4], box_around(clip[1][0]))
    assert all(np.array_equal(a, b) for a, b in zip(again, mattes, strict=False))


def test_streams_are_independent(clip: Clip, mattes: list[Matte]) -> None:
    model = GrabCut()
    starts = {n: box_around(clip[1][n]) for n in (0, 8)}
    one, two = (
        model.predict(iter([PromptedFrame(clip[0][n + k], None if k else start) for k in range(3)]))
        for n, start in starts.items()
    )
    mixed = [m for pair in zip(one, two, strict=True) for m in pair]
    assert all(np.array_equal(a.matte, b) for a, b in zip(mixed[::2], mattes, strict=False))


def test_a_subject_that_left_is_redetected() -> None:
    random = np.random.default_rng(4)
    wall = cv2.resize(random.random((12, 20), np.float32), (320, 180), interpolation=cv2.INTER_CUBIC)
    frames, truths = [], []
    for x in (*range(160, 401, 24), 400, 400, *range(360, 159, -24)):  # out to the right and back
        truth = cv2.circle(np.zeros((180, 320), np.uint8), (x, 90), 36, 255, cv2.FILLED, cv2.LINE_AA)
        share = truth[..., None] / 255
        behind = wall[..., None] * (30, 90, 60) + (20, 60, 90)
        noise = random.normal(0, 3, (180, 320, 3))
        frames.append(np.clip(share * (210, 110, 40) + (1 - share) * behind + noise, 0, 255).astype(np.uint8))
        truths.append(truth)
    mattes = run(frames, box_around(truths[0]))
    gone = [n for n, truth in enumerate(truths) if not truth.any()]
    assert len(gone) > 2
    assert not any(mattes[n].any() for n in gone)
    assert min(overlap(m, t) for m, t in zip(mattes[-4:], truths[-4:], strict=True)) > 0.95


def test_streams_are_read_lazily(clip: Clip) -> None:
    taken = []

    def stills() -> Iterator[PromptedFrame]:
        for n, frame in enumerate(clip[0]):
            taken.append(n)
            yield PromptedFrame(frame, box_around(clip[1][0]))

    next(GrabCut().predict(stills()))
    assert taken == [0]


def spoilt(frames: list[np.ndarray]) -> list[np.ndarray]:
    """A still patch of the subject's colours hangs in the background, which the box takes in."""
    patch = frames[0][60:150, 480:600].copy()
    patch[:] = (205, 90, 40)
    changed = [frame.copy() for frame in frames]
    for frame in changed:
        frame[60:150, 480:600] = patch
    return changed


def test_a_background_click_removes_its_region_from_then_on(clip: Clip) -> None:
    frames, alphas = spoilt(clip[0][:10]), clip[1]
    x, y, width, height = cv2.boundingRect((alphas[0] > 127).astype(np.uint8))
    start = Prompt(points=(Point(x + width / 2, y + height / 2), Point(540, 105)))
    before = run(frames, start)
    after = run(frames, start, at4=Prompt(points=(Point(540, 105, keep=False),)))
    assert all(np.array_equal(a, b) for a, b in zip(before[:4], after[:4], strict=True))
    assert min((m[70:140, 490:590] > 127).mean() for m in before[4:]) > 0.9
    assert max((m[70:140, 490:590] > 127).mean() for m in after[4:]) < 0.05
    assert min(overlap(m, b) for m, b in zip(after[4:], before[4:], strict=True)) > 0.5


def test_a_foreground_click_adds_its_region_from_then_on(clip: Clip) -> None:
    frames, alphas = spoilt(clip[0][:10]), clip[1]
    before = run(frames, box_around(alphas[0]))
    after = run(frames, box_around(alphas[0]), at4=Prompt(points=(Point(540, 105),)))
    assert all(np.array_equal(a, b) for a, b in zip(before[:4], after[:4], strict=True))
    assert max((m[70:140, 490:590] > 127).mean() for m in before) < 0.05
    assert min((m[70:140, 490:590] > 127).mean() for m in after[4:]) > 0.9


def test_background_points_alone_correct_the_proposal(clip: Clip) -> None:
    frame = clip[0][0]
    (proposed,) = run([frame], None)
    y, x = np.argwhere(cv2.erode(proposed, np.ones((25, 25))) > 250)[0]
    (mended,) = run([frame], Prompt(points=(Point(x, y, keep=False),)))
    assert proposed[y, x] == 255 and mended[y, x] == 0


def test_foreground_points_alone_select_the_subject(clip: Clip) -> None:
    frame, alpha = clip[0][0], clip[1][0]
    left, top, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    x, y = left + width // 2, top + 2 * height // 3
    (matte,) = run([frame], Prompt(points=(Point(x, y),)))
    assert overlap(matte, alpha) > 0.6


def test_without_a_prompt_the_moving_subject_is_proposed(clip: Clip) -> None:
    mattes = run(clip[0], None)
    assert len(mattes) == len(clip[0])
    assert overlap(mattes[-1], clip[1][-1]) > 0.8


@pytest.mark.parametrize("prompt", [None, Prompt(points=(Point(0, 0),)), Prompt(box=Box(0, 0, 1, 1))])
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (33, 17)])
def test_the_smallest_frames_are_accepted(size: tuple[int, int], prompt: Prompt | None) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(4)]
    assert [m.shape for m in run(frames, prompt)] == [size] * 4


def test_an_empty_stream_has_no_mattes() -> None:
    assert run([], None) == []


def test_the_card_names_the_model() -> None:
    assert isinstance(card("grabcut").load("cpu", []), GrabCut)


def test_a_stroke_is_surely_subject_or_background_and_is_tracked_on(clip: Clip, mattes: list[Matte]) -> None:
    """A bar beside the subject is painted to it on the fifth frame, and one through it erased."""
    height = clip[0][0].shape[0]
    rows, columns = (clip[1][5] > 127).nonzero()
    middle = float(rows.mean()), float(columns.mean())
    line = ((middle[1] - 20, middle[0]), (middle[1] + 20, middle[0]))
    beside = ((8.0, height - 12.0), (40.0, height - 12.0))
    assert mattes[5][int(middle[0]), int(middle[1])] == 255 and mattes[5][height - 12, 24] == 0
    for stroke, place in (
        (Stroke(beside, 12.0), (height - 12, 24)),
        (Stroke(line, 12.0, keep=False), (int(middle[0]), int(middle[1]))),
    ):
        changed = run(clip[0][:8], box_around(clip[1][0]), at5=Prompt(strokes=(stroke,)))
        assert all(np.array_equal(a, b) for a, b in zip(changed[:5], mattes, strict=False))
        assert (changed[5][place] > 127) == stroke.keep
        assert not np.array_equal(changed[6], mattes[6])
