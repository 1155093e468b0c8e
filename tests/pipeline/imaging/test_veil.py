"""Veils of a matte: they are cleared, and everything else stays."""

import cv2
import numpy as np
import pytest

from pipeline.imaging.veil import clear_veil


def scene(veil: float) -> np.ndarray:
    """A soft disc on a ground with a veil, `[400, 600]` float32."""
    disc = cv2.circle(np.zeros((400, 600), np.float32), (150, 200), 80, 1.0, cv2.FILLED)
    return np.asarray(np.maximum(cv2.GaussianBlur(disc, (0, 0), 4), veil), np.float32)


@pytest.mark.parametrize("veil", [0.0, 0.01, 0.04, 0.08, 0.12])
def test_a_veil_far_from_the_subject_is_removed(veil: float) -> None:
    cleared = clear_veil(scene(veil))
    assert cleared.dtype == np.float32 and not cleared[:, 300:].any()
    assert cleared[200, 150] == 1


def test_the_edge_stays_as_soft_as_it_is() -> None:
    before = scene(0)
    after = clear_veil(before)
    edge = (before > 0.1) & (before < 0.9)
    assert edge.sum() > 1000 and np.abs(after - before)[edge].max() < 0.05


def test_strands_beside_the_subject_stay() -> None:
    mask = scene(0)
    mask[198:202, 234:241] = 0.2
    after = clear_veil(mask)
    assert (after[198:202, 234:241] > 0.12).all()


def test_what_is_clearly_visible_stays_anywhere() -> None:
    mask = scene(0)
    mask[100:140, 450:500] = 0.45
    assert np.abs(clear_veil(mask)[100:140, 450:500] - 0.45).max() < 0.03


def test_without_a_subject_faint_values_are_removed() -> None:
    assert not clear_veil(np.full((30, 40), 0.1, np.float32)).any()


def test_the_change_is_continuous_and_monotonic_in_value() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    far = np.array([clear_veil(np.full((8, 8), v, np.float32))[0, 0] for v in values])
    assert (np.diff(far) >= 0).all() and np.diff(far[values < 0.49]).max() < 0.01
    assert far[0] == 0 and far[-1] == 1
