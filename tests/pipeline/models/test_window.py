"""The part of a frame that a network looks at."""

import numpy as np
import pytest

from pipeline.models import window
from pipeline.prompts import Box, Point

SIZE = 720, 1280


def matte(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros(SIZE, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 255
    return image


@pytest.mark.parametrize(
    "box", [(500, 200, 700, 500), (0, 0, 40, 40), (1270, 3, 1280, 700), (0, 0, 1280, 720)]
)
def test_a_window_contains_its_subject_and_is_inside_the_frame(box: tuple[int, int, int, int]) -> None:
    place = window.around(Box(*box), 0.3, SIZE, 61440)
    assert 0 <= place.left <= box[0] and box[2] <= place.left + place.width <= 1280
    assert 0 <= place.top <= box[1] and box[3] <= place.top + place.height <= 720
    assert place.columns % 32 == place.rows % 32 == 0 and 0.5 < place.columns * place.rows / 61440 < 1.6


def test_the_window_of_a_thin_subject_is_not_too_thin() -> None:
    place = window.around(Box(600, 100, 620, 500), 0.3, SIZE, 61440)
    assert place.height <= 2.01 * place.width


def test_a_window_in_a_corner_is_shifted_and_not_cropped() -> None:
    middle, corner = (window.around(Box(x, x, x + 100, x + 100), 0.3, SIZE, 61440) for x in (300, 0))
    assert (corner.width, corner.height) == (middle.width, middle.height)


def test_a_full_frame_window_keeps_its_aspect_ratio() -> None:
    place = window.whole(SIZE, 320 * 192)
    assert place[:4] == (0, 0, 1280, 720) and (place.columns, place.rows) == (320, 192)


def test_prompts_are_mapped_to_window_coordinates() -> None:
    place = window.around(Box(400, 200, 800, 600), 0.25, SIZE, 61440)
    image = np.zeros((*SIZE, 3), np.uint8)
    image[290:311, 490:511] = 255
    on_grid = place.point(Point(500, 300, keep=False))
    y, x = (place.crop(image)[..., 0] > 127).nonzero()
    assert abs(x.mean() + 0.5 - on_grid.x) < 1 and abs(y.mean() + 0.5 - on_grid.y) < 1 and not on_grid.keep
    box = place.box(Box(490, 290, 511, 311))
    assert box.x0 < on_grid.x < box.x1 and box.y0 < on_grid.y < box.y1


def test_crop_and_paste_round_trip() -> None:
    whole = matte((500, 200, 700, 500))
    place = window.around(Box(500, 200, 700, 500), 0.3, SIZE, 61440)
    image = np.repeat(whole[..., None], 3, 2)
    back = place.to_frame(place.crop(whole).astype(np.float32) / 255, image)
    assert np.mean(np.abs(back.astype(float) - whole)) < 1
    assert not back[:, : place.left].any() and not back[: place.top].any()


def test_a_window_is_kept_while_it_fits() -> None:
    old = window.around(Box(500, 200, 700, 500), 0.35, SIZE, 61440)
    assert window.follow(old, Box(510, 205, 705, 500), 0.35, SIZE, 61440) is old
    moved, grown, shrunk = Box(640, 200, 840, 500), Box(400, 100, 800, 600), Box(580, 300, 640, 400)
    for extent in (moved, grown, shrunk):
        assert window.follow(old, extent, 0.35, SIZE, 61440) == window.around(extent, 0.35, SIZE, 61440)


def test_distant_specks_do_not_enlarge_the_window() -> None:
    box = window.extent(matte((500, 200, 700, 500), (10, 10, 18, 18)))
    assert box is not None and abs(box.x0 - 500) <= 5 and abs(box.y1 - 500) <= 5
    two = window.extent(matte((500, 200, 700, 500), (100, 200, 200, 300)))
    assert two is not None and abs(two.x0 - 100) <= 5
    assert window.extent(matte()) is None
