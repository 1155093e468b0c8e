"""Compositors that are kept open between pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.background import Colour, Picture
from pipeline.compositing.edges import CLEAN, Edges
from pipeline.compositing.light import NONE, Light
from tests.waiting import until
from ui.sessions.rendering import composers
from ui.sessions.rendering.composers import ComposerPool

GREEN = Colour(0, 255, 0)
IMAGE = np.full((8, 16, 3), 200, np.uint8)
NOTHING = np.zeros((8, 16), np.uint8)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect what compositors are opened with."""
    asked: list[Any] = []
    real = composers.open_composer

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(composers, "open_composer", counted)
    return asked


def test_one_is_used_again_for_the_same_background_size_edges_and_light(opened: list[Any]) -> None:
    pool = ComposerPool()
    for _ in range(3):
        with pool.use(GREEN, 16, 8, CLEAN, NONE) as compose:
            assert (compose(IMAGE, NOTHING, 0.0) == (0, 255, 0)).all()
    assert len(opened) == pool.idle_count == 1
    others = ((16, 9), CLEAN, NONE), ((16, 8), Edges(grow=3), NONE), ((16, 8), CLEAN, Light(wrap=0.5))
    for size, edges, light in others:
        with pool.use(GREEN, *size, edges, light):
            pass
    assert len(opened) == 4


def test_two_at_once_are_two(opened: list[Any]) -> None:
    pool = ComposerPool()
    with pool.use(GREEN, 16, 8, CLEAN, NONE) as one, pool.use(GREEN, 16, 8, CLEAN, NONE) as other:
        assert one is not other
    assert len(opened) == pool.idle_count == 2


def test_a_replaced_picture_is_opened_again(tmp_path: Path, opened: list[Any]) -> None:
    pool, path = ComposerPool(), tmp_path / "a.png"
    for colour in ((255, 0, 0), (0, 0, 255)):
        Image.new("RGB", (32 + colour[0], 16), colour).save(path)
        with pool.use(Picture(path), 16, 8, CLEAN, NONE) as compose:
            assert (compose(IMAGE, NOTHING, 0.0) == colour).all()
    assert len(opened) == 2


def test_one_that_failed_is_not_used_again(opened: list[Any]) -> None:
    pool = ComposerPool()
    with pytest.raises(ZeroDivisionError), pool.use(GREEN, 16, 8, CLEAN, NONE):
        raise ZeroDivisionError
    assert pool.idle_count == 0


def test_few_are_kept_and_none_for_long() -> None:
    pool = ComposerPool(idle_seconds=0.05)
    for width in range(8, 8 + 2 * composers._MAX_IDLE):
        with pool.use(GREEN, width, 8, CLEAN, NONE):
            pass
        assert pool.idle_count <= composers._MAX_IDLE
    until(lambda: pool.idle_count == 0)
