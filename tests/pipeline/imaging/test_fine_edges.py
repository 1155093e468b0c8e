"""Fine edges: the band, the tiles, and hair of known alpha found anew by closed-form matting."""

import cv2
import numpy as np
import pytest

from pipeline.imaging import fine_edges
from pipeline.imaging.fine_edges import SIDE, band, refine


def hair(height: int = 360, width: int = 420, strands: int = 260) -> tuple[np.ndarray, np.ndarray]:
    """A head with strands of hair before a wall: the picture `[H, W, 3]` uint8, and its alpha, 0 to 1."""
    random = np.random.default_rng(3)
    scale, shift = 4, 4
    drawn = np.zeros((height * scale, width * scale), np.uint8)
    centre = np.array([width / 2, height * 0.62]) * scale
    cv2.ellipse(drawn, centre.astype(int).tolist(), (90 * scale, 100 * scale), 0, 0, 360, 255, cv2.FILLED)
    for angle in random.uniform(-np.pi, 0, strands):
        outward = np.array([np.cos(angle), np.sin(angle)])
        bend = random.uniform(-0.5, 0.5)
        steps = np.linspace(80, random.uniform(96, 112), 12)[:, None] * scale
        turned = np.stack(
            [outward + bend * t * np.array([-outward[1], outward[0]]) for t in np.linspace(0, 0.5, 12)]
        )
        path = np.rint((centre + steps * turned) * (1 << shift)).astype(np.int32)
        cv2.polylines(drawn, [path], False, 255, int(random.integers(3, 7)), cv2.LINE_AA, shift)
    alpha = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    fur = np.array([70, 45, 30]) + random.normal(0, 4, (height, width, 1))
    down = np.linspace(0, 1, height)[:, None, None]
    wall = np.array([150, 190, 210]) * (1 - 0.3 * down) + random.normal(0, 2, (height, width, 1))
    picture = alpha[..., None] * fur + (1 - alpha[..., None]) * wall
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), alpha


def hard(alpha: np.ndarray) -> np.ndarray:
    """The mask that a tracker finds: the head with the thick of the hair, without strands."""
    smooth = cv2.GaussianBlur(alpha, (0, 0), 3)
    return np.where(smooth > 0.5, 255, 0).astype(np.uint8)


def error(matte: np.ndarray, alpha: np.ndarray, within: np.ndarray) -> float:
    """The mean difference in the band, 0 to 1."""
    return float(np.abs(matte.astype(np.float32) / 255 - alpha)[within].mean())


@pytest.mark.filterwarnings("ignore")  # of what compiles pymatting
def test_the_error_in_the_band_of_rendered_hair_falls_to_less_than_half() -> None:
    from pymatting import estimate_alpha_cf

    image, alpha = hair()
    matte = hard(alpha)

    def closed_form(picture: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        return np.asarray(estimate_alpha_cf(picture / 255, trimap / 255), np.float32)

    refined, found = refine(image, matte, closed_form)
    within = band(matte)
    before, after = error(matte, alpha, within), error(refined, alpha, within)
    print(f"error in the band: {before:.4f} before, {after:.4f} after")
    assert found.any() and after < before / 2
    assert np.array_equal(refined[~within], matte[~within])


def test_a_sharp_edge_is_left_to_itself() -> None:
    alpha = np.zeros((300, 400), np.uint8)
    cv2.circle(alpha, (200, 150), 80, 255, cv2.FILLED, cv2.LINE_AA)
    share = alpha[..., None] / 255
    picture = np.rint(share * (200, 60, 40) + (1 - share) * (30, 90, 140)).astype(np.uint8)

    def unused(_image: np.ndarray, _trimap: np.ndarray) -> np.ndarray:
        raise AssertionError("the edge is sharp already")

    refined, found = refine(picture, alpha, unused)
    assert np.array_equal(refined, alpha) and not found.any()
    for empty in (np.zeros_like(alpha), np.full_like(alpha, 255)):
        refined, found = refine(picture, empty, unused)
        assert np.array_equal(refined, empty) and not found.any()


def test_large_pictures_are_worked_on_in_tiles_of_one_size_that_leave_no_gap() -> None:
    """The band gets one value all along, whichever tile it lies in."""
    random = np.random.default_rng(2)
    picture = random.integers(0, 256, (1100, 1500, 3), np.uint8)
    matte = np.zeros((1100, 1500), np.uint8)
    matte[200:900, 250:1300] = 255
    shapes = set()

    def constant(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        assert image.shape[:2] == trimap.shape and set(np.unique(trimap)) <= {0, 128, 255}
        shapes.add(trimap.shape)
        return np.full(trimap.shape, 0.4, np.float32)

    refined, found = refine(picture, matte, constant)
    assert shapes == {(SIDE, SIDE)}
    assert np.array_equal(found, band(matte))
    assert (refined[found] == 102).all() and np.array_equal(refined[~found], matte[~found])


def test_what_a_tile_finds_is_taken_from_its_own_place() -> None:
    random = np.random.default_rng(4)
    picture = random.integers(0, 256, (700, 900, 3), np.uint8)
    matte = np.zeros((700, 900), np.uint8)
    matte[100:600, 100:800] = 255
    refined, found = refine(picture, matte, lambda image, _: image[..., 0].astype(np.float32) / 255)
    assert np.array_equal(refined[found], picture[..., 0][found])


def test_the_band_reaches_round_edges_and_soft_parts() -> None:
    matte = np.zeros((500, 500), np.uint8)
    matte[100:400, 100:250] = 255
    matte[200:260, 350:400] = 100  # smoke
    within = band(matte)
    assert within[105, 240] and within[95, 250] and within[230, 375]
    assert not within[250, 150] and not within[50, 50]
    assert fine_edges.band(np.zeros((8, 8), np.uint8)).sum() == 0
