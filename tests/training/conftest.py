"""A data folder of made photographs, small enough to learn from in a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training import made
from training import photos
from training.photos import Photos


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only read from."""
    return made.folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="package", autouse=True)
def few_held_out() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "HELD_OUT", {"ecssd": 1, "ccp": 1, "cat": 1, "davis": 1})
        yield


@pytest.fixture(scope="package")
def learnt(data: Path) -> Photos:
    return Photos(data)
