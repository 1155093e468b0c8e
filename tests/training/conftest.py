"""A data folder of made photographs, small enough to learn from in a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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
        for kind, known in photos.KINDS.items():
            few = known._replace(held_out=min(1, known.held_out))
            patch.setitem(photos.KINDS, kind, few)
        yield


@pytest.fixture(scope="package")
def learnt(data: Path) -> Photos:
    return Photos(data)


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures are so small here that threads wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
