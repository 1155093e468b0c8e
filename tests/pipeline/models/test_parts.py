"""The things that a single click may mean, found by stand-in models, and by those that offer them."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import models
from pipeline.arrays import Image, Matte
from pipeline.models import Candidate, FindsThings, OffersCandidates, PromptedFrame, parts
from pipeline.models.base import CandidateName
from pipeline.prompts import Point, Prompt
from pipeline.stream_state import State
from pipeline.video.reading.frames import read_frames
from tests.rendered import overlap, subject_over_background

CLIPS = Path(os.environ.get("RECORTE_CLIPS", Path(__file__).resolve().parents[3].parent / "shared" / "clips"))
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason=f"the real clips are not here ({CLIPS}); RECORTE_CLIPS names their folder"
)
CLICK = Point(300, 200)


def disc(size: tuple[int, int], x: float, y: float, radius: int) -> Matte:
    matte = np.zeros(size, np.uint8)
    return np.asarray(cv2.circle(matte, (round(x), round(y)), radius, 255, cv2.FILLED), np.uint8)


def frame() -> Image:
    return np.zeros((400, 600, 3), np.uint8)


def segment_discs(*by_width: tuple[int, int]) -> parts.Segment:
    """Return a model that finds a disc of the first radius whose width in pixels the crop does not exceed."""

    def segment(image: Image, point: Point) -> Matte:
        radius = next((radius for width, radius in by_width if image.shape[1] <= width), 1)
        return disc(image.shape[:2], point.x, point.y, radius)

    return segment


def found(segment: parts.Segment, everything: int) -> list[tuple[CandidateName, int]]:
    """Return the names and the radii of the candidates."""
    whole = disc((400, 600), CLICK.x, CLICK.y, everything)
    candidates = parts.find_candidates(segment, frame(), CLICK, whole)
    assert [c.score for c in candidates if c.name == "all" or c.matte is whole] == [1.0]
    assert all(c.score < 1 for c in candidates if c.matte is not whole)
    return [(c.name, round(float(np.sqrt((c.matte > 127).sum() / np.pi)))) for c in candidates]


def test_the_thing_that_most_crops_agree_on_is_the_first_candidate() -> None:
    # Crops are 60, 84, 120, 168, 240, 336 and 400 pixels or so wide.
    small_in_two, large_in_four = (90, 20), (340, 45)
    assert found(segment_discs(small_in_two, large_in_four), 150) == [("one", 45), ("part", 20), ("all", 150)]


def test_all_is_the_first_candidate_where_it_is_the_only_one() -> None:
    assert found(segment_discs((9999, 100)), 101) == [("one", 101)]


def test_a_thing_that_holds_the_first_one_comes_between_it_and_all() -> None:
    assert found(segment_discs((250, 22), (9999, 60)), 150) == [("one", 22), ("more", 60), ("all", 150)]


def test_a_mask_that_is_cut_by_its_crop_is_left_out() -> None:
    def fill(image: Image, point: Point) -> Matte:
        return np.full(image.shape[:2], 255, np.uint8)

    whole = np.full((400, 600), 255, np.uint8)
    assert [c.name for c in parts.find_candidates(fill, frame(), CLICK, whole)] == ["one"]


def test_only_the_connected_part_under_the_click_is_taken() -> None:
    both = np.maximum(disc((400, 600), 100, 100, 30), disc((400, 600), 300, 200, 50))
    part = parts.part_at(both, Point(300, 210))
    assert part is not None and np.array_equal(part, disc((400, 600), 300, 200, 50))
    assert parts.part_at(both, Point(10, 10)) is None


@pytest.mark.parametrize("key", ["recorte", "grabcut"])
def test_a_run_begins_with_the_chosen_candidate_and_tracks_it(key: str) -> None:
    frames, alphas = subject_over_background(3)
    model = models.load(key, "cpu")
    assert isinstance(model, OffersCandidates) and models.card(key).candidates
    depth = cv2.distanceTransform((alphas[0] > 127).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    click = Prompt(points=(Point(float(x), float(y)),))
    offered = model.candidates(PromptedFrame(frames[0], click))
    assert offered[0].name == "one" and 1 <= len(offered) <= 3
    for number in (0, 2):
        chosen = Prompt(points=click.points, candidate=number)
        stream = list(model.predict(PromptedFrame(f, None if n else chosen) for n, f in enumerate(frames)))
        expected = offered[min(number, len(offered) - 1)].matte
        assert np.array_equal(stream[0].matte, expected)
        assert overlap(stream[1].matte, expected) > 0.4
        # The state behind the chosen frame leads to the same mattes.
        first = next(model.predict(iter([PromptedFrame(frames[0], chosen)])))
        assert first.state is not None
        state: State = first.state()
        rest = [p.matte for p in model.predict((PromptedFrame(f) for f in frames[1:]), state)]
        assert all(np.array_equal(a.matte, b) for a, b in zip(stream[1:], rest, strict=True))


def test_a_candidate_that_is_chosen_later_replaces_what_was_tracked() -> None:
    frames, alphas = subject_over_background(3)
    model = models.load("recorte", "cpu")
    assert isinstance(model, OffersCandidates)
    depth = cv2.distanceTransform((alphas[2] > 127).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    chosen = Prompt(points=(Point(float(x), float(y)),), candidate=0)
    marks = {0: Prompt(points=(Point(3, 3),)), 2: chosen}
    stream = list(model.predict(PromptedFrame(f, marks.get(n)) for n, f in enumerate(frames)))
    offered = model.candidates(PromptedFrame(frames[2], chosen))
    assert np.array_equal(stream[2].matte, offered[0].matte)


def test_marks_other_than_a_single_click_have_no_candidates() -> None:
    model = models.load("recorte", "cpu")
    assert isinstance(model, OffersCandidates)
    for prompt in (None, Prompt(), Prompt(points=(CLICK, CLICK)), Prompt(points=(Point(3, 3, keep=False),))):
        assert model.candidates(PromptedFrame(frame(), prompt)) == []


@needs_clips
def test_the_dog_is_told_from_the_woman() -> None:
    image = next(read_frames(CLIPS / "01_dog.mp4")).image
    model = models.load("recorte", "cpu")
    assert isinstance(model, OffersCandidates)
    one, *_, everything = model.candidates(PromptedFrame(image, Prompt(points=(Point(600, 430),))))
    assert everything.matte[300, 330] > 127, "the network takes the woman for a part of the subject"
    assert one.matte[430, 600] > 127 and one.matte[410, 480] > 127, "trunk and head"
    assert not (one.matte[:, :380] > 127).any(), "nothing of the woman"


def test_a_thing_is_clear_where_crops_agree_and_most_of_it_lies_at_the_point() -> None:
    size = (200, 300)
    thing, other = disc(size, 150, 100, 40), disc(size, 30, 30, 20)
    both = np.maximum(thing, other)
    at, beside = Point(150, 100), Point(30, 30)
    one, all = Candidate(thing, 0.5, "one"), Candidate(both, 1.0, "one")
    assert parts.clear_thing([one, all], at) is thing
    assert parts.clear_thing([all], at) is both
    assert parts.clear_thing([all], beside) is None, "a click there takes another thing, for the most part"
    assert parts.clear_thing([one], beside) is None
    assert parts.clear_thing([one._replace(score=0.25)], at) is None, "few crops agree"
    assert parts.clear_thing([], at) is None


@needs_clips
def test_the_thing_under_a_pointer_is_what_a_click_takes() -> None:
    image = next(read_frames(CLIPS / "01_dog.mp4")).image
    model = models.load("recorte", "cpu")
    assert isinstance(model, FindsThings) and isinstance(model, OffersCandidates)
    steps = model.find_thing(image, Point(600, 430))
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            thing = end.value
            break
        count += 1
    assert count >= 5, "short turns"
    first, *_ = model.candidates(PromptedFrame(image, Prompt(points=(Point(600, 430),))))
    assert np.array_equal(thing, first.matte)


def test_a_point_to_remove_takes_away_the_thing_that_it_lies_on() -> None:
    size = (200, 400)
    large, small = disc(size, 100, 100, 60), disc(size, 220, 100, 50)
    both = np.maximum(large, small)
    keep, away = Point(100, 100), Point(220, 100, keep=False)
    rest = parts.remove_thing(both, small, Prompt(points=(keep, away)), away)
    assert rest is not None
    assert not rest[100, 180:].any() and rest[100, 60] == 255
    assert np.count_nonzero(rest) > 0.9 * np.count_nonzero(both & ~small)


def test_remains_along_a_removed_thing_go_with_it() -> None:
    size = (300, 600)
    stays, thing = disc(size, 100, 150, 70), disc(size, 400, 150, 60)
    shadow, apart, leg = np.zeros((3, *size), np.uint8)
    shadow[213:219, 380:420] = 255  # 1.5 % of what stays, beside the thing
    apart[250:256, 380:420] = 255
    leg[100:107, 463:530] = 255  # it touches the thing, and reaches out
    matte = np.maximum.reduce([stays, thing, shadow, apart, leg])
    away = Point(400, 150, keep=False)
    rest = parts.remove_thing(matte, thing, Prompt(points=(Point(100, 150), away)), away)
    assert rest is not None and not rest[shadow > 0].any()
    assert np.array_equal(rest, np.maximum.reduce([stays, apart, leg]))
    marks = Prompt(points=(Point(100, 150), Point(400, 216), away))
    kept = parts.remove_thing(matte, thing, marks, away)
    assert kept is not None and np.array_equal(kept, np.maximum(rest, shadow))


def test_what_cannot_be_told_from_the_rest_is_left_to_the_model() -> None:
    size = (200, 400)
    both, small = disc(size, 150, 100, 90), disc(size, 200, 100, 36)
    away = Point(200, 100, keep=False)
    inside, beside = Point(205, 100), Point(120, 100)
    assert parts.remove_thing(both, small, Prompt(points=(inside, away)), away) is None
    assert parts.remove_thing(both, small, Prompt(points=(beside, away)), away) is not None
    assert parts.remove_thing(both, both, Prompt(points=(away,)), away) is None
    elsewhere = disc(size, 350, 100, 20)
    assert parts.remove_thing(both, elsewhere, Prompt(points=(away,)), away) is None


@needs_clips
def test_one_point_removes_the_woman_from_beside_the_dog() -> None:
    image = next(read_frames(CLIPS / "01_dog.mp4")).image
    model = models.load("recorte", "cpu")
    marks = Prompt(points=(Point(600, 430), Point(330, 300, keep=False, whole=True)))
    (first,) = model.predict(iter([PromptedFrame(image, marks)]))
    assert first.matte[430, 600] > 127 and not (first.matte[:, :380] > 127).any()
    begun = Prompt(points=(Point(600, 430, whole=True),))
    (alone,) = model.predict(iter([PromptedFrame(image, begun)]))
    assert alone.matte[430, 600] > 127 and not (alone.matte[:, :380] > 127).any()
