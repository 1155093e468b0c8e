"""A tiny network that draws, and a folder of the user's own, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pipeline.generation import cards, loading
from tests.pipeline.generation import tiny
from tests.pipeline.hub import apart


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Path]:
    """The folder of a user who has no weights and no pictures yet."""
    yield apart(monkeypatch, tmp_path / "user")
    loading.unload()


@pytest.fixture
def card(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cards.Generator:
    """The card of the tiny network, whose weights are there."""
    return tiny.install(tmp_path / "weights", monkeypatch)
