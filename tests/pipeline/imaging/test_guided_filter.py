"""Small masks are brought to full size along the edges of the picture."""

import cv2
import numpy as np
import pytest

from pipeline.imaging import guided_filter


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    """The exact coverage of a disc, `[height, width]`, 0 to 1."""
    down, across = np.mgrid[:height, :width]
    away = np.hypot(across + 0.5 - x, down + 0.5 - y)
    return np.asarray(np.clip(radius + 0.5 - away, 0, 1), np.float32)


def painted(alpha: np.ndarray, noise: float = 3) -> np.ndarray:
    """A warm figure of this alpha before a cool ground, uint8 RGB."""
    random = np.random.default_rng(1)
    picture = alpha[..., None] * (220, 120, 40) + (1 - alpha[..., None]) * (40, 90, 130)
    return np.clip(picture + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def test_box_is_the_mean_of_the_square() -> None:
    image = np.random.default_rng(0).random((20, 30), np.float32)
    assert guided_filter.box(image, 2)[10, 15] == pytest.approx(image[8:13, 13:18].mean(), abs=1e-6)


def test_guided_filter_equals_the_published_formula() -> None:
    """Each window's coefficients by a plain solve, as the paper writes them."""
    random = np.random.default_rng(2)
    picture = random.integers(0, 256, (16, 16, 3), np.uint8)
    image = random.random((16, 16), np.float32)
    radius, eps = 2, 1e-2
    a, b = guided_filter.Guide(picture, radius, eps).coefficients(image)

    def window(y: int, x: int) -> np.ndarray:
        near = slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1)
        colours, values = picture[near].reshape(-1, 3) / 255, image[near].ravel()
        sigma = np.cov(colours.T, bias=True) + eps * np.eye(3)
        slope = np.linalg.solve(sigma, (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean())
        return np.append(slope, values.mean() - slope @ colours.mean(0))

    expected = np.mean([window(y, x) for y in range(6, 11) for x in range(6, 11)], axis=0)
    assert np.append(a[8, 8], b[8, 8]) == pytest.approx(expected, abs=1e-3)


def test_filter_follows_edges_of_the_picture_and_keeps_flat_areas() -> None:
    alpha = disc(90, 120, 60, 45, 30)
    guide = guided_filter.Guide(painted(alpha, noise=1), radius=4, eps=1e-4)
    off = disc(90, 120, 61, 46, 30)  # by a pixel each way
    wrong = [((mask > 0.5) != (alpha > 0.5)).mean() for mask in (off, guide.filter(off))]
    assert wrong[1] < 0.3 * wrong[0]
    assert guide.filter(np.full((90, 120), 0.7, np.float32)) == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("size", [(360, 640), (359, 641), (720, 405)])
def test_upsampling_follows_edges_of_the_full_picture(size: tuple[int, int]) -> None:
    height, width = size
    truth = disc(height, width, 0.45 * width, 0.5 * height, 0.3 * min(size))
    shape = round(width / 4), round(height / 4)
    small = cv2.resize(truth, shape, interpolation=cv2.INTER_AREA)
    matte = guided_filter.upsample((small > 0.5).astype(np.float32), painted(truth))
    assert matte.shape == size and matte.dtype == np.uint8
    apart = np.abs(matte / 255 - truth)
    stairs = np.abs(cv2.resize((small > 0.5).astype(np.float32), (width, height)) - truth)
    assert apart.mean() < 0.5 * stairs.mean()
    off = np.hypot(*(np.mgrid[:height, :width] - np.array([[[0.5 * height]], [[0.45 * width]]])))
    assert (matte[off < 0.3 * min(size) - 25] == 255).all()
    assert (matte[off > 0.3 * min(size) + 25] == 0).all()


@pytest.mark.parametrize("value", [0, 1])
def test_a_mask_without_edge_stays_hard(value: int) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
    assert (guided_filter.upsample(np.full((20, 30), value, np.float32), frame) == 255 * value).all()


def test_the_smallest_picture_is_accepted() -> None:
    assert guided_filter.upsample(np.ones((1, 1), np.float32), np.zeros((1, 1, 3), np.uint8)).tolist() == [
        [255]
    ]


def strands(height: int, width: int) -> np.ndarray:
    """Fine, half-transparent hair and a pane of glass, `[height, width]`, 0 to 1."""
    random = np.random.default_rng(4)
    drawn = np.zeros((height, width), np.uint8)
    drawn[height // 2 :, : width // 3] = 110
    for x in np.linspace(0.4 * width, 0.95 * width, 14):
        path = [(x + 8 * np.sin(y / 40 + x), y) for y in range(0, height, 8)]
        opacity, thick = int(random.integers(90, 255)), int(random.integers(1, 5))
        cv2.polylines(drawn, [np.array(path, np.int32)], False, opacity, thick, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.8), np.float32) / 255


@pytest.mark.parametrize("grid", [(180, 240), (360, 240)])
def test_soft_upsampling_keeps_soft_edges_and_recovers_fine_detail(grid: tuple[int, int]) -> None:
    truth = strands(360, 640)
    frame = painted(truth, noise=1)
    small = cv2.resize(truth, grid[::-1], interpolation=cv2.INTER_AREA)
    soft, hard = guided_filter.upsample_soft(small, frame) / 255, guided_filter.upsample(small, frame) / 255
    plain = cv2.resize(small, (640, 360))
    apart = {"soft": soft - truth, "hard": hard - truth, "plain": plain - truth}
    wrong = {name: np.abs(difference).mean() for name, difference in apart.items()}
    assert wrong["soft"] < 0.5 * wrong["plain"] and wrong["soft"] < 0.2 * wrong["hard"]
    pane = np.s_[200:340, 20:190]
    assert np.abs(apart["soft"][pane]).max() < 0.03


def test_soft_upsampling_adds_no_texture() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8)
    for value in (0, 0.4, 1):
        matte = guided_filter.upsample_soft(np.full((45, 60), value, np.float32), frame)
        assert matte.shape == (90, 120) and matte.dtype == np.uint8
        assert np.abs(matte - 255 * value).max() < 1
    mask = np.random.default_rng(3).random((90, 120), np.float32)
    assert np.array_equal(guided_filter.upsample_soft(mask, frame), np.rint(255 * mask))


def test_erosion_keeps_pixels_at_the_picture_border() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5:, 4:16] = 1
    assert guided_filter.erode(mask, 3)[-1].tolist() == [0] * 7 + [1] * 6 + [0] * 7
    assert guided_filter.dilate(mask, 2).sum() > mask.sum()


def test_what_is_far_from_a_soft_edge_does_not_change_it() -> None:
    """The filter sees no more of the picture than it needs for the edges: the values are the same."""
    random = np.random.default_rng(5)
    frame = random.integers(0, 255, (360, 640, 3), np.uint8)
    y, x = np.mgrid[:180, :320].astype(np.float32)
    alone = np.clip(1 - (np.hypot(x - 70, y - 60) - 30) / 8, 0, 1)
    corners = [np.clip(1 - (np.hypot(x - at, y - top) - 3) / 4, 0, 1) for at, top in ((315, 175), (315, 4))]
    together = np.maximum.reduce([alone, *corners])
    one, all_of_them = (guided_filter.upsample_soft(mask, frame) for mask in (alone, together))
    assert len(np.unique(one)) > 100 and not one[240:].any()
    assert np.array_equal(one[:, :440], all_of_them[:, :440])
    assert all_of_them[350, 630] > 0
