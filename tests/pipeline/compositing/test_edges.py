"""The cut made wider, narrower and softer."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compositing.edges import CLEAN, Edges, adjust_edges
from pipeline.errors import InputError
from tests.pipeline.compositing.test_composite import noise


def step(width: int = 200, height: int = 720, soft: float = 0.0) -> np.ndarray:
    """The right half is kept; in a frame 720 high a pixel is a pixel."""
    matte = np.zeros((height, width), np.uint8)
    matte[:, width // 2 :] = 255
    return cv2.GaussianBlur(matte, (0, 0), soft) if soft else matte


def covered(matte: np.ndarray) -> float:
    """By how many pixels a row is covered."""
    return float(matte.mean(0).sum() / 255)


def test_default_edge_options_return_the_matte_itself() -> None:
    matte = noise(30, 40)
    assert adjust_edges(matte, CLEAN) is matte


@pytest.mark.parametrize("grow", [-7.3, -1, -0.25, 0.1, 0.5, 1, 2.75, 12])
@pytest.mark.parametrize("soft", [0.0, 2.0])
def test_edges_move_by_fractions_of_a_pixel(grow: float, soft: float) -> None:
    before = step(soft=soft)
    after = adjust_edges(before, Edges(grow=grow))
    assert covered(after) - covered(before) == pytest.approx(grow, abs=0.02)


def test_shifting_an_edge_keeps_its_softness() -> None:
    before = step(soft=3)
    after = adjust_edges(before, Edges(grow=4))
    assert np.array_equal(after[:, 80:100], before[:, 84:104])


def test_a_circle_stays_round() -> None:
    matte = np.zeros((720, 720), np.uint8)
    cv2.circle(matte, (360, 360), 200, 255, cv2.FILLED, cv2.LINE_AA)
    for grow in (20, -20):
        after = adjust_edges(matte, Edges(grow=grow))
        edge = cv2.findContours((after > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0][0]
        radii = np.hypot(*(edge[:, 0] - 360).T)
        assert np.abs(radii - (200 + grow)).max() < 2.5


def test_shrinking_leaves_the_subject_at_the_frame_border() -> None:
    assert adjust_edges(step(), Edges(grow=-5))[:, -1].min() == 255
    assert adjust_edges(step(), Edges(feather=8))[:, -1].min() == 255


@pytest.mark.parametrize("feather", [0.4, 1, 6, 30])
def test_feathering_is_symmetric_and_bounded(feather: float) -> None:
    before = step()
    after = adjust_edges(before, Edges(feather=feather))
    row = after[0].astype(int)
    reach = int(np.ceil(feather))
    assert row[: 100 - reach].max() == 0 and row[100 + reach :].min() == 255
    assert covered(after) == pytest.approx(covered(before), abs=0.02)
    assert np.all(np.diff(row) >= 0)
    assert np.abs(row + row[::-1] - 255).max() <= 2
    assert 0 < row[99] < 128


def test_lengths_scale_with_the_frame() -> None:
    small, large = step(200, 360), step(400, 720)
    for edges in (Edges(grow=6), Edges(feather=6), Edges(grow=-3, feather=2)):
        assert covered(adjust_edges(large, edges)) == pytest.approx(
            2 * covered(adjust_edges(small, edges)), abs=0.05
        )


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.floats(-50, 50),
    st.floats(0, 50),
    st.integers(0, 99),
)
def test_mattes_of_any_size_are_accepted(
    size: tuple[int, int], grow: float, feather: float, seed: int
) -> None:
    matte = noise(*size, seed=seed)
    before = matte.copy()
    edges = Edges(grow=grow, feather=feather)
    edges.check()
    result = adjust_edges(matte, edges)
    assert result.shape == matte.shape and result.dtype == np.uint8
    assert np.array_equal(matte, before)
    if not feather:
        assert (result >= matte).all() if grow >= 0 else (result <= matte).all()


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("edges", [Edges(grow=50), Edges(grow=-50), Edges(feather=50)])
def test_fully_opaque_and_transparent_mattes_are_unchanged(level: int, edges: Edges) -> None:
    matte = np.full((200, 300), level, np.uint8)
    assert np.array_equal(adjust_edges(matte, edges), matte)


@pytest.mark.parametrize(
    "edges",
    [Edges(grow=51), Edges(grow=float("nan")), Edges(feather=-1), Edges(feather=51), Edges(despill="red")],
)
def test_edge_options_out_of_range_are_refused(edges: Edges) -> None:
    with pytest.raises(InputError):
        edges.check()
