"""Fixtures of several packages' tests."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

# Neither found nor left behind in the folders of whoever runs the tests: weights, what was measured, caches.
# Before anything is imported, for some libraries read these when they are.
_HOME = tempfile.mkdtemp(prefix="recorte-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "TORCH_HOME",
    "RECORTE_COMPILE",
    "RECORTE_TENSORRT",
):
    os.environ.pop(_name, None)
# The command line speaks the language that these name.
for _name in ("LC_ALL", "LC_MESSAGES", "LANG"):
    os.environ.pop(_name, None)
os.environ["LANG"] = "C.UTF-8"
os.environ["XDG_CACHE_HOME"] = f"{_HOME}/cache"
os.environ["RECORTE_WEIGHTS"] = f"{_HOME}/weights"

from db.engine import Database  # noqa: E402
from pipeline.video.priority import realtime_threads  # noqa: E402
from tests.pipeline import stand_in  # noqa: E402
from tests.postgres import administrator  # noqa: E402

RACING = [Path(__file__).parent / folder for folder in ("ui", "pipeline/cluster", "pipeline/jobs")]
"""Folders of the tests in which servers, processes and threads run beside each other."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder of its own, and not one below pytest's of all runs.

    Each pytest that starts closes that to all others than its user; PostgreSQL of a run as root is another's.
    """
    if config.option.basetemp is None:
        config.option.basetemp = f"{_HOME}/pytest"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that drive a browser, so that they can be left out: `-m "not browser"`.

    Their modules come first, for they take longest: of several processes none is left with one at the end.
    On a machine that is busy otherwise one in some hundred fails by chance, and of those in which servers,
    processes and threads race one in some thousand; such a test has a second try, and the summary of the run
    names it.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "chrome" in item.fixturenames:
            item.add_marker("browser")
            item.add_marker(pytest.mark.flaky(reruns=1))
        elif any(item.path.is_relative_to(folder) for folder in RACING):
            item.add_marker(pytest.mark.flaky(reruns=1))
    long = {item.path for item in items if item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def no_priority() -> Iterator[None]:
    """Check that no test leaves a thread of real-time priority to the next one and its browsers."""
    yield
    assert not realtime_threads()


@pytest.fixture
def stand_ins() -> Iterator[None]:
    """Models whose mattes are known beforehand, among the others."""
    with stand_in.registered():
        yield


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real PostgreSQL with its tables, for the whole run: who commits to it tidies up."""
    with Database.open(None, tmp_path_factory.mktemp("database")) as database:
        yield database


@pytest.fixture
def own(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database that nobody else has anything in, on the same server."""
    name = f"own_{uuid4().hex}"
    with administrator(database) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        address = database.engine.url.set(database=name).render_as_string(hide_password=False)
        with Database.open(address, tmp_path_factory.mktemp("unused")) as made:
            yield made
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
