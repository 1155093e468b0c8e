"""What tests of several packages share."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import text

# Neither found nor left behind in the folders of whoever runs the tests: weights, what was measured, caches.
# Before anything is imported, for some libraries read these when they are.
_HOME = tempfile.mkdtemp(prefix="recorte-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in ("HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "TORCH_HOME", "RECORTE_COMPILE"):
    os.environ.pop(_name, None)
os.environ["XDG_CACHE_HOME"] = f"{_HOME}/cache"
os.environ["RECORTE_WEIGHTS"] = f"{_HOME}/weights"

from db.engine import Database  # noqa: E402
from pipeline.video.priority import real_time  # noqa: E402
from tests.postgres import administrator  # noqa: E402


@pytest.fixture(autouse=True)
def no_priority() -> Iterator[None]:
    """What a test leaves to the next, and to the browsers it starts, keeps the machine to nobody."""
    yield
    assert not real_time()


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
