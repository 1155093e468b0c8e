"""Scenes of a few frames: the alpha that is told is that of the picture that is shown."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.training import made
from training import synthesis
from training.photos import KINDS, Photo, Photos
from training.synthesis import SceneSpec

SIDE = 64
SEEDS = range(60)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The colours stay as they are, and every shape is one inside the photographs'."""

    def as_they_are(frames: Sequence[Photo], _: np.random.Generator) -> list[Photo]:
        return list(frames)

    monkeypatch.setattr(synthesis, "_apply_camera", as_they_are)
    monkeypatch.setattr(synthesis, "_match_light", lambda subject, *_: subject)
    monkeypatch.setattr(
        synthesis, "_random_shape", lambda shape, _: cv2.erode(made.disc(*shape), np.ones((19, 19)))
    )


def warm(picture: np.ndarray) -> np.ndarray:
    """Return the places at which some subject is to be seen."""
    return np.asarray(picture[..., 0] > 128)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("automatic", [True, False])
def test_alpha_matches_the_picture(plain: None, learnt: Photos, automatic: bool, moving: bool) -> None:
    """Of filmed, photographed and composed scenes; with others beside, behind and before the subject."""
    kinds, others = set(), 0
    for seed in SEEDS:
        # A scene begins with the draw of a photograph.
        kind, name = learnt.draw(np.random.default_rng(seed), marked=not automatic)
        kinds.add(kind)
        frames = synthesis.make_scene(learnt, SceneSpec(SIDE, automatic, moving), np.random.default_rng(seed))
        assert len(frames) == (synthesis.FRAMES if moving else 1)
        for picture, alpha in frames:
            assert picture.shape == (SIDE, SIDE, 3) and alpha.shape == (SIDE, SIDE)
            assert picture.dtype == alpha.dtype == np.uint8
            apart = np.abs(picture.astype(int) - made.colour(name)).max(2)
            assert (apart[alpha == 255] < 12).mean() > 0.98 if (alpha == 255).any() else True
            others += int((warm(picture) & (alpha == 0)).sum() > 20)
    assert kinds == {"ecssd", "ccp", "cat", "horse", "davis"}
    # A subject that is to be found without a mark is the only one.
    assert not others if automatic else others > 10


def test_motion_is_largest_to_the_second_frame(plain: None, learnt: Photos) -> None:
    far, near = [], []
    for seed in SEEDS:
        frames = synthesis.make_scene(learnt, SceneSpec(SIDE, False, True), np.random.default_rng(seed))
        first, second, *rest = (frame.alpha > 127 for frame in frames)
        far.append((first ^ second).mean())
        near += [(one ^ other).mean() for one, other in pairwise((second, *rest))]
    assert np.mean(far) > 2 * np.mean(near) > 0.01


def test_scenes_are_reproducible(learnt: Photos) -> None:
    wish = SceneSpec(SIDE, False, True)
    one, same, another = (
        synthesis.make_scene(learnt, wish, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a.picture, b.picture) for a, b in zip(one, another, strict=True))


def test_extended_colours_contain_no_old_background() -> None:
    subject = np.array([230, 40, 20])
    alpha = made.disc(300, 400)
    extended = synthesis.extend_colours(Photo(made.painted(alpha, subject), alpha))
    assert np.abs(extended.astype(int) - subject).max() <= 1


def test_colours_are_extended_from_the_nearest_pixels() -> None:
    """A disc that is red on its left and yellow on its right stays so beyond its edge."""
    alpha = made.disc(100, 100)
    picture = made.painted(alpha, np.array([200, 0, 0]))
    picture[:, 50:, 1] = np.where(alpha[:, 50:] > 0, 200, picture[:, 50:, 1])
    extended = synthesis.extend_colours(Photo(picture, alpha))
    assert np.abs(extended[50, 20].astype(int) - (200, 0, 0)).max() <= 1
    assert np.abs(extended[50, 80].astype(int) - (200, 200, 0)).max() <= 1


def test_colours_of_an_empty_mask_can_be_extended() -> None:
    empty = np.zeros((40, 50), np.uint8)
    assert synthesis.extend_colours(Photo(made.painted(empty, made.GROUND), empty)).shape == (40, 50, 3)


def test_colours_and_alpha_are_blurred_alike() -> None:
    alpha = np.asarray(made.disc(64, 64) / 255, np.float32)
    softened = 0
    for seed in range(20):
        soft = synthesis._random_blur(SIDE, np.random.default_rng(seed))
        blurred, flat = soft(alpha), soft(np.full((64, 64, 3), 7, np.float32))
        assert flat == pytest.approx(7, abs=1e-3)
        assert blurred.min() >= -1e-6 and blurred.max() <= 1 + 1e-6
        assert blurred.sum() == pytest.approx(alpha.sum(), rel=0.02)
        assert np.array_equal(soft(np.dstack([alpha] * 3))[..., 1], blurred)
        softened += int(((blurred > 0.1) & (blurred < 0.9)).sum() > 20)
    assert 5 < softened < 15


def test_hair_leaves_the_outline() -> None:
    alpha = made.disc(200, 200)
    hair = synthesis._draw_hair(alpha, np.random.default_rng(0))
    outside = hair[alpha == 0]
    assert 50 < (outside > 0).sum() < 0.5 * outside.size and ((outside > 0) & (outside < 255)).any()
    root = cv2.dilate(alpha, np.ones((3, 3), np.uint8)) > 0
    assert hair[root & (alpha == 0)].any()
    assert not synthesis._draw_hair(np.zeros((50, 50), np.uint8), np.random.default_rng(0)).any()


def test_a_random_shape_fills_a_part_of_the_picture() -> None:
    for seed in range(20):
        shape = synthesis._random_shape((60, 90), np.random.default_rng(seed))
        assert set(np.unique(shape)) <= {0, 255} and 0.01 < (shape > 0).mean() < 0.6


def test_all_frames_of_a_scene_have_one_camera() -> None:
    alpha = made.disc()
    photo = Photo(made.painted(alpha, np.array([180, 90, 60])), alpha)
    looks = []
    for seed in range(20):
        frames = synthesis._apply_camera([photo] * 3, np.random.default_rng(seed))
        means = np.array([frame.picture.mean((0, 1)) for frame in frames])
        assert np.ptp(means, 0).max() < 2
        assert all(np.array_equal(frame.alpha, alpha) for frame in frames)
        looks.append(means[0])
    assert np.std(looks, 0).min() > 8


def test_a_subject_matches_the_light_of_its_background() -> None:
    alpha = made.disc()
    subject = made.painted(alpha, np.array([150, 150, 150]))
    dusk = np.full((30, 30, 3), (20, 20, 60), np.uint8)
    for seed in range(10):
        inside = synthesis._match_light(subject, alpha, dusk, np.random.default_rng(seed))[alpha > 0].mean(0)
        assert inside[0] <= inside[2] <= 150
    assert inside[0] < 140


def test_the_crop_follows_the_subject(learnt: Photos) -> None:
    photos = [learnt.read(name) for name in learnt.scenes["davis"]["scene-0"]]
    way = np.array([[0.8, 0, 1], [0, 0.8, 2]])
    moved = synthesis._follow_subject(way, photos[0].alpha, photos[3].alpha)
    here, there = synthesis._warp_photo(photos[0], way, SIDE), synthesis._warp_photo(photos[3], moved, SIDE)
    assert np.abs(synthesis._centroid(here.alpha) - synthesis._centroid(there.alpha)).max() < 1
    nothing = np.zeros_like(photos[0].alpha)
    assert np.array_equal(synthesis._follow_subject(way, photos[0].alpha, nothing), way)


@pytest.mark.parametrize("at", [0, 2, 9])
def test_video_frames_are_consecutive_and_reverse_at_the_ends(learnt: Photos, at: int) -> None:
    names = [f"davis_scene-0_{n:03}" for n in range(10)]
    most = KINDS["davis"].step
    for seed in range(30):
        times = synthesis._choose_frames(
            names, names[at], "davis", SceneSpec(SIDE, False, True), np.random.default_rng(seed)
        )
        numbers = [names.index(name) for name in times]
        assert len(numbers) == synthesis.FRAMES and numbers[0] == at
        gaps = {abs(one - other) for one, other in pairwise(numbers[1:])}
        assert min(gaps) > 0 and max(gaps) <= most
    still = SceneSpec(SIDE, False, False)
    assert synthesis._choose_frames(names, names[at], "davis", still, np.random.default_rng(0)) == [names[at]]


def test_a_distractor_may_look_like_the_subject(
    plain: None, learnt: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    class Other(synthesis._Distractor):
        def __init__(self, photo: Photo, *rest: object) -> None:
            taken.append(photo.picture[photo.alpha > 127].mean(0))
            super().__init__(photo, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis, "_Distractor", Other)
    name = learnt.names["ecssd"][0]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        synthesis._compose_scene(learnt, learnt.read(name), SceneSpec(SIDE, False, True), rng)
    alike = np.mean([np.abs(colour - made.colour(name)).max() < 3 for colour in taken])
    assert len(taken) > 20 and 0.2 < alike < 0.8
