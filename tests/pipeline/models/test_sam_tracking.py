"""SAM's masks carried through clips whose truth is known: an occlusion, a cut, corrections.

There are no real weights here, and a random network has no idea of things. Its place takes `Hues`: to it a
thing is a connected region of one broad hue, and it answers marks as SAM does, on a small square of logits.
It is always sure of itself, and finds something wherever it is asked, so that all doubt has to come from the
carrying. All else is what runs in the product.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import models
from pipeline.arrays import Floats, Image
from pipeline.job import Job
from pipeline.models import LOW_CONFIDENCE, Prediction, PromptedFrame
from pipeline.models.sam import Sam
from pipeline.networks.decoder_output import DecoderOutput
from pipeline.process import process
from pipeline.prompts import Box, Point, Prompt, Stroke
from pipeline.video.reading.frames import read_frames
from tests.rendered import write_clip

GRID = 256
"""The side of the square of logits, as SAM's."""


@dataclass
class Seen:
    """Embedding by `Hues`: the number of each pixel's thing, `[h, w]`, on the grid of the logits."""

    things: np.ndarray

    @property
    def nbytes(self) -> int:
        return self.things.nbytes


class Hues:
    """Takes the place of SAM's network."""

    def __init__(self, score: float = 0.95) -> None:
        self.score = score
        self.embedded = 0
        self.asked: list[Prompt] = []

    def embed(self, image: Image) -> Seen:
        self.embedded += 1
        small = cv2.resize(image, self._fit(image.shape[:2])[::-1], interpolation=cv2.INTER_AREA)
        red, green, blue = (small[..., n].astype(int) for n in range(3))
        hue = np.where(red > blue + 25, 1, np.where(green > np.maximum(red, blue) + 25, 2, 0))
        things, count = np.zeros(hue.shape, int), 0
        for value in range(3):
            n, parts = cv2.connectedComponents((hue == value).astype(np.uint8))
            things[parts > 0] = parts[parts > 0] + count
            count += n - 1
        return Seen(things)

    def decode(
        self,
        embedding: Seen,
        size: tuple[int, int],
        points: Sequence[Point] = (),
        box: Box | None = None,
        mask: Floats | None = None,
        several: bool = False,
    ) -> DecoderOutput:
        self.asked.append(Prompt(points=tuple(points), box=box))
        things = embedding.things
        scale = things.shape[1] / size[1]
        allowed = np.ones(things.shape, bool)
        if box is not None:  # a tenth beyond it is still the box's
            corners = np.array([(box.x0, box.y0), (box.x1, box.y1)]) * scale
            margin = 0.1 * (corners[1] - corners[0])
            x0, y0 = np.maximum(corners[0] - margin, 0).astype(int)
            x1, y1 = np.ceil(corners[1] + margin).astype(int)
            allowed[:] = False
            allowed[y0:y1, x0:x1] = True
        there = {True: set[int](), False: set[int]()}
        for p in points:
            y, x = (min(int(v * scale), n - 1) for v, n in zip((p.y, p.x), things.shape, strict=True))
            there[p.keep].add(int(things[y, x]))
        meant = there[True] or {self._filling(things, allowed)}
        if mask is not None:
            prior = (mask[: things.shape[0], : things.shape[1]] > 0) & allowed
            meant |= {n for n in np.unique(things[prior]) if prior[things == n].mean() > 0.5}
        selected = np.isin(things, list(meant - there[False])) & allowed
        square = np.full((GRID, GRID), -10, np.float32)
        square[: things.shape[0], : things.shape[1]] = np.where(selected, 10, -10)
        square = cv2.GaussianBlur(square, (0, 0), 0.7)
        if not several:
            return DecoderOutput(square[None], np.array([self.score], np.float32))
        parts = [
            np.minimum(square, cv2.erode(square, np.ones((9, 9)))),
            square,
            cv2.dilate(square, np.ones((9, 9))),
        ]
        return DecoderOutput(np.stack(parts), np.array([0.6, self.score, 0.7], np.float32))

    def upscale(self, logits: Floats, size: tuple[int, int]) -> Floats:
        height, width = self._fit(size)
        return np.asarray(cv2.resize(logits[:height, :width], size[::-1], interpolation=cv2.INTER_LINEAR))

    def reduce(self, logits: Floats, size: tuple[int, int]) -> Floats:
        height, width = self._fit(size)
        square = np.full((GRID, GRID), -10, np.float32)
        square[:height, :width] = cv2.resize(logits, (width, height), interpolation=cv2.INTER_AREA)
        return square

    def _filling(self, things: np.ndarray, allowed: np.ndarray) -> int:
        """The thing that fills the box best."""
        numbers, inside = np.unique(things[allowed], return_counts=True)
        whole = np.array([(things == n).sum() for n in numbers])
        return int(numbers[np.argmax(inside / (whole + allowed.sum() - inside))])

    def _fit(self, size: tuple[int, int]) -> tuple[int, int]:
        scale = GRID / max(size)
        return round(size[0] * scale), round(size[1] * scale)


WIDTH, HEIGHT = 320, 180


@dataclass(frozen=True)
class Scene:
    """A warm figure before a cool wall; a hand holds the camera."""

    pillar: tuple[int, int] | None = None
    """Left and right edge of something green that stands before both."""
    seed: int = 0

    def draw(self, x: float, n: int) -> tuple[Image, np.ndarray]:
        """The frame `[H, W, 3]` with the figure's middle at `x`, and where the figure is to be seen."""
        wall = self._texture(0, (25, 60, 90), (90, 130, 190))
        cloth = self._texture(1, (150, 60, 30), (250, 190, 90))
        shake = np.array([2 * np.sin(0.7 * n), 1.5 * np.sin(0.5 * n + 1)])
        frame = self._moved(wall, shake)
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        middle = round(16 * (x + shake[0])), round(16 * (105 + shake[1]))
        cv2.ellipse(truth, middle, (16 * 26, 16 * 40), 8 * np.sin(0.4 * n), 0, 360, 255, -1, cv2.LINE_AA, 4)
        figure = self._moved(cloth, shake + np.array([x - 160, 0]))
        share = truth[..., None] / 255
        frame = share * figure + (1 - share) * frame
        if self.pillar is not None:
            left, right = (round(edge + shake[0]) for edge in self.pillar)
            frame[:, left:right] = self._moved(self._texture(2, (20, 90, 20), (70, 190, 60)), shake)[
                :, left:right
            ]
            truth[:, left:right] = 0
        noise = np.random.default_rng(n).normal(0, 2, frame.shape)
        return np.clip(frame + noise, 0, 255).astype(np.uint8), truth > 127

    def clip(self, places: Sequence[float]) -> tuple[list[Image], list[np.ndarray]]:
        drawn = [self.draw(x, n) for n, x in enumerate(places)]
        return [frame for frame, _ in drawn], [truth for _, truth in drawn]

    @cache  # noqa: B019
    def _texture(self, which: int, dark: tuple[int, ...], light: tuple[int, ...]) -> np.ndarray:
        random = np.random.default_rng(10 * self.seed + which)
        coarse, fine = (
            cv2.resize(
                random.random((n, 2 * n), np.float32), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC
            )
            for n in (12, 60)
        )
        share = np.clip(0.6 * coarse + 0.4 * fine, 0, 1)[..., None]
        return (1 - share) * np.array(dark, float) + share * np.array(light, float)

    def _moved(self, texture: np.ndarray, by: np.ndarray) -> np.ndarray:
        x, y = WIDTH / 2 - by[0], HEIGHT / 2 - by[1]
        return cv2.warpAffine(
            texture,
            np.array([[1, 0, x], [0, 1, y]]),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )


def box_around(truth: np.ndarray, object: int = 1, time: float = 0) -> Prompt:
    x, y, width, height = cv2.boundingRect(truth.astype(np.uint8))
    return Prompt(time, box=Box(x, y, x + width, y + height), object=object)


def overlap(matte: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of what is more than half covered."""
    mask = matte > 127
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def run(frames: list[Image], marks: dict[int, Prompt], network: Hues | None = None) -> list[Prediction]:
    stills = (PromptedFrame(frame, marks.get(n)) for n, frame in enumerate(frames))
    return list(Sam(network or Hues()).predict(stills))


def doubted(predictions: list[Prediction]) -> list[int]:
    return [n for n, f in enumerate(predictions) if f.confidence < LOW_CONFIDENCE]


def overlaps(predictions: list[Prediction], truths: list[np.ndarray]) -> np.ndarray:
    return np.array([overlap(f.matte, truth) for f, truth in zip(predictions, truths, strict=True)])


def shares(truths: list[np.ndarray]) -> np.ndarray:
    """Return the share of the figure to be seen on each frame, of the first's."""
    return np.array([truth.sum() / truths[0].sum() for truth in truths])


def test_a_box_is_tracked_through_the_clip() -> None:
    frames, truths = Scene(seed=2).clip(np.linspace(60, 260, 30))
    network = Hues()
    predictions = run(frames, {0: box_around(truths[0])}, network)
    assert overlaps(predictions, truths).min() > 0.97
    assert not doubted(predictions)
    assert network.embedded == len(frames)
    assert [f.matte.dtype for f in predictions] == [np.uint8] * len(frames)


def test_each_frame_is_prompted_with_box_mask_and_inner_points() -> None:
    frames, truths = Scene().clip(np.linspace(60, 90, 6))
    network = Hues()
    run(frames, {0: box_around(truths[0])}, network)
    assert network.asked[0] == Prompt(box=box_around(truths[0]).box)
    for asked, truth in zip(network.asked[1:], truths[1:], strict=True):
        inner = cv2.erode(truth.astype(np.uint8), np.ones((9, 9)))
        assert asked.box is not None and 1 <= len(asked.points) <= 3
        assert all(p.keep and inner[int(p.y), int(p.x)] for p in asked.points)
        around = box_around(truth).box
        assert around is not None
        assert 0 < around.x0 - asked.box.x0 < 8 and 0 < asked.box.y1 - around.y1 < 8


@pytest.mark.parametrize("seed", [0, 3])
def test_confidence_is_low_only_during_the_occlusion(seed: int) -> None:
    frames, truths = Scene(pillar=(120, 200), seed=seed).clip(np.linspace(40, 290, 44))
    predictions = run(frames, {0: box_around(truths[0])})
    seen = shares(truths)
    doubts = doubted(predictions)
    assert all(seen[n] < 0.25 for n in doubts)
    assert all(n in doubts for n in np.flatnonzero(seen < 0.02))
    assert all(b - a == 1 for a, b in pairwise(doubts))  # one run, and so one place to look at
    assert not any(predictions[n].matte.any() for n in np.flatnonzero(seen < 0.01))  # none on the pillar
    there = seen > 0.25
    assert overlaps(predictions, truths)[there].min() > 0.95  # before, and once it came out again


@pytest.mark.parametrize("seed", [0, 2])
def test_both_parts_beside_a_partial_occlusion_are_kept(seed: int) -> None:
    frames, truths = Scene(pillar=(155, 170), seed=seed).clip(np.linspace(80, 250, 34))
    predictions = run(frames, {0: box_around(truths[0])})
    assert shares(truths).min() < 0.75
    assert overlaps(predictions, truths).min() > 0.8
    assert not doubted(predictions)


def test_a_subject_that_left_is_redetected() -> None:
    places = [*np.linspace(160, 360, 20), *[360] * 4, *np.linspace(360, 160, 20)]
    frames, truths = Scene().clip(places)
    predictions = run(frames, {0: box_around(truths[0])})
    seen = shares(truths)
    doubts = doubted(predictions)
    assert doubts == list(range(doubts[0], doubts[-1] + 1))
    assert set(np.flatnonzero(seen < 0.02)) <= set(doubts)
    assert overlaps(predictions, truths)[seen > 0.25].min() > 0.9


def test_an_occluded_subject_is_not_replaced_by_a_similar_one() -> None:
    def with_another(frame: Image) -> Image:
        frame = frame.copy()
        cv2.circle(frame, (290, 40), 25, (220, 120, 50), cv2.FILLED)
        return frame

    frames, truths = Scene(pillar=(130, 210)).clip([*np.linspace(60, 170, 20), *[170] * 10])
    predictions = run([with_another(frame) for frame in frames], {0: box_around(truths[0])})
    assert doubted(predictions)[-10:] == list(range(20, 30))
    assert not any(f.matte.any() for f in predictions[-10:])


class Straying(Hues):
    """From its sixth frame to its tenth it takes the wall for whatever it is asked."""

    def decode(self, embedding: Seen, size: tuple[int, int], *marks: Any, **more: Any) -> DecoderOutput:
        answer = super().decode(embedding, size, *marks, **more)
        return (
            answer
            if self.embedded not in range(6, 11)
            else DecoderOutput(self.stray(answer.logits), answer.scores)
        )

    def stray(self, logits: Floats) -> Floats:
        return -logits


class Shrinking(Straying):
    """On those frames it finds the upper quarter of the figure and no more."""

    def stray(self, logits: Floats) -> Floats:
        rows = np.flatnonzero((logits[0] > 0).any(axis=1))
        cropped = logits.copy()
        cropped[:, rows[0] + len(rows) // 4 :] = -10
        return cropped


@pytest.mark.parametrize("network", [Straying(), Shrinking()], ids=["another thing", "a part"])
def test_a_bad_prediction_has_low_confidence_and_is_not_tracked(network: Hues) -> None:
    frames, truths = Scene().clip(np.linspace(60, 160, 16))
    predictions = run(frames, {0: box_around(truths[0])}, network)
    assert doubted(predictions) == [5, 6, 7, 8, 9]
    assert overlaps(predictions, truths).min() > 0.8
    assert overlaps(predictions, truths)[-5:].min() > 0.99


def test_low_predicted_iou_lowers_confidence_and_keeps_the_masks() -> None:
    frames, truths = Scene().clip(np.linspace(60, 160, 8))
    predictions = run(frames, {0: box_around(truths[0])}, Hues(score=0.3))
    assert doubted(predictions) == list(range(8))
    assert max(f.confidence for f in predictions) <= 0.3 + 1e-6
    assert overlaps(predictions, truths).min() > 0.95


@pytest.mark.parametrize(
    "light", [lambda n: 1 - 0.5 * n / 24, lambda n: 0.6 if n > 12 else 1.0], ids=["fading", "switched"]
)
def test_lighting_changes_are_tolerated(light: Callable[[int], float]) -> None:
    frames, truths = Scene().clip(np.linspace(60, 180, 24))
    predictions = run(
        [(frame * light(n)).astype(np.uint8) for n, frame in enumerate(frames)], {0: box_around(truths[0])}
    )
    assert overlaps(predictions, truths).min() > 0.95
    assert not doubted(predictions)


@pytest.mark.parametrize("size", [(1280, 720), (361, 641)])
def test_frames_of_any_size_are_tracked(size: tuple[int, int]) -> None:
    frames, truths = Scene(pillar=(120, 200)).clip(np.linspace(40, 290, 36))
    if size[1] > size[0]:
        frames, truths = ([np.ascontiguousarray(np.rot90(i)) for i in images] for images in (frames, truths))
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames]
    truths = [cv2.resize(truth.astype(np.float32), size) > 0.5 for truth in truths]
    predictions = run(frames, {0: box_around(truths[0])})
    doubts = doubted(predictions)
    assert set(np.flatnonzero(shares(truths) < 0.02)) <= set(doubts)
    assert doubts == list(range(doubts[0], doubts[-1] + 1))
    assert overlaps(predictions, truths)[shares(truths) > 0.25].min() > 0.93


def patched(frames: list[Image]) -> list[Image]:
    """Something of the figure's hue hangs in a corner."""
    changed = [frame.copy() for frame in frames]
    for frame in changed:
        cv2.rectangle(frame, (10, 10), (60, 45), (220, 120, 50), cv2.FILLED)
    return changed


def test_points_correct_from_their_frame_on() -> None:
    frames, truths = Scene().clip(np.linspace(160, 200, 12))
    frames = patched(frames)
    start = box_around(truths[0])
    add, take = Point(35, 28), Point(35, 28, keep=False)
    predictions = run(frames, {0: start, 4: Prompt(points=(add,)), 8: Prompt(points=(take,))})
    patch = [(f.matte[15:40, 15:55] > 127).mean() for f in predictions]
    assert patch[:4] == [0] * 4 and min(patch[4:8]) > 0.9 and patch[8:] == [0] * 4
    figure = [(f.matte[truth] > 127).mean() for f, truth in zip(predictions, truths, strict=True)]
    assert min(figure) > 0.95
    plain = run(frames, {0: start})
    assert all(np.array_equal(a.matte, b.matte) for a, b in zip(predictions[:4], plain[:4], strict=True))


def test_a_point_reinitialises_a_lost_subject() -> None:
    frames, truths = Scene(pillar=(100, 180)).clip([*np.linspace(40, 140, 12), *np.linspace(270, 290, 6)])
    lost = run(frames, {0: box_around(truths[0])})
    assert not lost[-1].matte.any()  # it came out where nobody looked for it
    click = Prompt(points=(Point(277, 105),))
    predictions = run(frames, {0: box_around(truths[0]), 14: click})
    assert [f.matte.any() for f in predictions[12:14]] == [False, False]
    assert overlaps(predictions, truths)[14:].min() > 0.95
    assert not set(doubted(predictions)) & {14, 15, 16, 17}


def test_a_chosen_candidate_is_tracked() -> None:
    frames, truths = Scene().clip(np.linspace(60, 120, 5))
    model = Sam(Hues())
    y, x = np.argwhere(cv2.erode(truths[0].astype(np.uint8), np.ones((25, 25)))).mean(0)
    areas = []
    for candidate in (0, 1, 2, None):
        prompt = Prompt(points=(Point(x, y),), candidate=candidate)
        predictions = list(
            model.predict(PromptedFrame(f, None if n else prompt) for n, f in enumerate(frames))
        )
        areas.append((predictions[0].matte > 127).sum())
        assert overlap(predictions[0].matte, truths[0]) > 0.5
    assert areas[0] < areas[1] < areas[2] and areas[3] == areas[1]
    given = model.candidates(PromptedFrame(frames[0], prompt))
    assert [(c.matte > 127).sum() for c in given] == areas[:3]
    assert [c.score for c in given] == pytest.approx([0.6, 0.95, 0.7])


def test_a_candidate_chosen_at_a_correction_replaces_the_mask() -> None:
    frames, truths = Scene().clip(np.linspace(60, 120, 5))
    y, x = np.argwhere(truths[3]).mean(0)
    areas = []
    for candidate in (0, 2, None):
        click = Prompt(points=(Point(x, y),), candidate=candidate)
        predictions = run(frames, {0: box_around(truths[0]), 3: click})
        areas.append((predictions[3].matte > 127).sum())
    assert areas[0] < areas[2] < areas[1]


def test_mattes_are_empty_before_the_first_prompt() -> None:
    frames, truths = Scene().clip(np.linspace(60, 100, 5))
    away = Prompt(points=(Point(5, 5, keep=False),))
    predictions = run(frames, {0: away, 2: box_around(truths[2])})
    assert [f.matte.any() for f in predictions] == [False, False, True, True, True]
    assert doubted(predictions) == [0, 1]
    assert run([], {}) == []


def test_streams_share_only_frame_embeddings() -> None:
    frames, truths = Scene().clip(np.linspace(60, 120, 6))
    network = Hues()
    model = Sam(network)
    box, wall = box_around(truths[0]), Prompt(points=(Point(300, 20),))
    one, two = (
        model.predict(iter([PromptedFrame(frames[0], prompt), *map(PromptedFrame, frames[1:])]))
        for prompt in (box, wall)
    )
    mixed = list(zip(one, two, strict=True))
    assert network.embedded == len(frames)
    alone = run(frames, {0: box}), run(frames, {0: wall})
    for pair, *expected in zip(mixed, *alone, strict=True):
        assert all(np.array_equal(a.matte, b.matte) for a, b in zip(pair, expected, strict=True))


@pytest.fixture
def registered() -> Iterator[None]:
    """SAM among the models, with `Hues` for its network."""
    card = replace(
        models.card("sam-vit-b"), key="hues", weights=None, load=lambda _device, _files: Sam(Hues())
    )
    models.cards()["hues"] = card
    yield
    models.cards().pop("hues")
    models.unload()


@pytest.mark.usefixtures("registered")
def test_review_points_are_at_the_occlusion_and_the_cut(tmp_path: Path) -> None:
    frames, truths = Scene(pillar=(120, 200)).clip(np.linspace(40, 290, 36))
    there = [np.ascontiguousarray(255 - frame[::-1]) for frame in frames[:6]]
    path = write_clip(tmp_path / "clip.mp4", [*frames, *there], rate=24)
    middle = 6  # marked here, it is carried both ways
    job = Job(
        path,
        tmp_path / "out.mp4",
        model="hues",
        prompts=(box_around(truths[middle], time=middle / 24),),
        matte=tmp_path / "matte.mkv",
    )
    *_, last = process(job)
    hidden = shares(truths) < 0.25
    occlusion, cut = last.checks
    assert hidden[round(occlusion * 24)] and not hidden[round(occlusion * 24) - 2]
    assert cut == pytest.approx(36 / 24)
    mattes = [frame.image for frame in read_frames(tmp_path / "matte.mkv", pixel_format="gray")]
    good = [
        overlap(matte, truth) for matte, truth, gone in zip(mattes, truths, hidden, strict=False) if not gone
    ]
    assert min(good) > 0.85  # a file has its hues at half the size, and so `Hues` has its edges
    assert np.median(good) > 0.97
    assert not any((matte > 127).any() for matte in mattes[36:])


def test_a_stroke_is_given_as_points_and_tracked_on_as_it_was_painted() -> None:
    frames, truths = Scene().clip(np.linspace(100, 120, 6))
    rows, columns = truths[2].nonzero()
    x, y = float(columns.mean()), float(rows.mean())
    network = Hues()
    erased = Stroke(((x, float(rows.min()) - 5), (x, y)), 14.0, keep=False)
    kept = Stroke(((x - 8, y), (x + 8, y)), 8.0)
    plain = run(frames, {0: box_around(truths[0])})
    painted = run(frames, {0: box_around(truths[0]), 2: Prompt(strokes=(erased, kept))}, network)
    assert all(np.array_equal(a.matte, b.matte) for a, b in zip(painted[:2], plain, strict=False))
    assert {point.keep for point in network.asked[2].points} == {True, False}
    on_erased, on_kept = (int(rows.min()) + 8, int(x)), (int(y), int(x))
    assert plain[2].matte[on_erased] > 127 and painted[2].matte[on_erased] < 128
    assert painted[2].matte[on_kept] > 127
    assert not np.array_equal(painted[3].matte, plain[3].matte)


def test_a_chosen_candidate_is_that_of_the_click_beside_a_stroke() -> None:
    frames, truths = Scene().clip([100.0])
    rows, columns = truths[0].nonzero()
    click = Prompt(points=(Point(float(columns.mean()), float(rows.mean())),), candidate=2)
    stroke = Stroke(((5.0, 5.0), (30.0, 5.0)), 6.0)
    network = Hues()
    run(frames, {0: replace(click, strokes=(stroke,))}, network)
    assert network.asked[0].points == click.points
