"""The embedded server: any folder, any user, whatever happened before."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from db import engine, repository
from db.embedded import EmbeddedServer
from db.engine import Database
from db.errors import DatabaseAway
from tests import children
from tests.waiting import DEADLINE, until

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from db import repository
from db.engine import Database
database = Database.open(None, Path(sys.argv[1]))
with database.begin() as tx:
    repository.create(tx, name="kept", source="a.mp4", clip={}, job={})
print("open", flush=True)
sys.stdin.read()
database.close()
"""


def names(database: Database) -> list[str]:
    with database.begin() as tx:
        return [row.name for row in repository.list_page(tx)]


def note(folder: Path) -> Path:
    """Path of the file in which the running server writes its process number."""
    return folder / "data" / "postmaster.pid"


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int(note(folder).read_text().splitlines()[0]))


@contextmanager
def hold(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open, with one session in it, until its input ends."""
    with children.running(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "open\n"
        yield process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that holds a session, and whose user and server were both killed."""
    folder = tmp_path_factory.mktemp("embedded")
    with hold(folder) as process:
        process.send_signal(signal.SIGKILL)
    postmaster(folder).kill()
    yield folder
    assert not note(folder).exists()


def test_the_server_restarts_after_everything_was_killed(folder: Path) -> None:
    with Database.open(None, folder) as database:
        assert names(database) == ["kept"]


def test_a_server_whose_user_was_killed_is_joined(folder: Path) -> None:
    with hold(folder) as process:
        process.send_signal(signal.SIGKILL)
    running = postmaster(folder)
    with Database.open(None, folder) as database:
        assert postmaster(folder) == running
        assert names(database)[0] == "kept"
    assert not note(folder).exists()


def test_a_stale_pid_of_another_process_is_ignored(folder: Path) -> None:
    for file in (note(folder), folder / "data" / ".s.PGSQL.5432.lock"):
        file.write_text(f"{os.getpid()}\n{folder}/data\n1\n5432\n\n\n1 1\nready\n")
    with Database.open(None, folder) as database:
        assert names(database)


def test_a_truncated_state_file_is_ignored(folder: Path) -> None:
    note(folder).write_text("")
    with Database.open(None, folder) as database:
        assert names(database)


def test_a_second_start_is_faster_than_the_first(tmp_path: Path) -> None:
    """That makes the server's files; of three later ones one is not held up by others' work."""

    def start() -> float:
        began = time.monotonic()
        with EmbeddedServer(tmp_path):
            return time.monotonic() - began

    first = start()
    assert min(start() for _ in range(3)) < first / 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
def test_a_server_that_ends_while_in_use_is_restarted(tmp_path: Path, how: signal.Signals) -> None:
    with Database.open(None, tmp_path) as database:
        with database.begin() as tx:
            repository.create(tx, name="kept", source="a.mp4", clip={}, job={})
        for _ in range(2):
            first = postmaster(tmp_path)
            first.send_signal(how)
            first.wait(DEADLINE)
            with pytest.raises(DatabaseAway, match=r"It is started again .* try again in a moment"):
                names(database)
            until(lambda: answers(database))
            assert names(database) == ["kept"] and postmaster(tmp_path) != first
    assert not note(tmp_path).exists()


def answers(database: Database) -> bool:
    try:
        names(database)
    except DatabaseAway:
        return False
    return True


def test_failed_restarts_are_attempted_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "_REVIVAL_SECONDS", 0.01)
    tried: list[int] = []

    def fails(self: EmbeddedServer) -> None:
        tried.append(1)
        raise OSError("no room")

    with Database.open(None, tmp_path) as database:
        first = postmaster(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddedServer, "_launch", fails)
            first.kill()
            first.wait(DEADLINE)
            until(lambda: not answers(database) and len(tried) > 2)
            assert "could not be started again" in caplog.text
        until(lambda: answers(database))


def test_the_last_user_to_close_stops_the_server(folder: Path) -> None:
    with hold(folder) as other:
        with Database.open(None, folder):
            pass
        with Database.open(None, folder) as database:
            other.communicate("")
            assert names(database)
    assert not note(folder).exists()


def test_closing_twice_is_allowed(folder: Path) -> None:
    with Database.open(None, folder) as database:
        database.close()


def test_two_simultaneous_starts_in_a_long_path_with_odd_characters(tmp_path: Path) -> None:
    deep = tmp_path / "a, b 'c' \"d\" %e $f" / ("deep" * 20) / "ñ"
    with ThreadPoolExecutor(2) as both:
        one, two = both.map(lambda _: Database.open(None, deep), range(2))
    with two:
        with one:
            assert names(one) == []
        assert names(two) == []
        socket = Path(str(two.engine.url.query["host"]))
        assert socket.stat().st_mode & 0o777 == 0o700
    assert not note(deep).exists()
    assert not socket.exists()


def test_an_interrupted_initialisation_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18")
    with EmbeddedServer(tmp_path):
        assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == ["data"]


def test_other_users_cannot_connect(database: Database) -> None:
    data = Path(str(database.engine.url.query["host"]))
    assert data.stat().st_mode & 0o777 == 0o700
    with database.begin() as tx:
        assert tx.scalar(text("SHOW listen_addresses")) == ""


def test_an_unusable_folder_raises_database_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseAway, match="DATABASE_URL"):
        Database.open(None, tmp_path / "file" / "folder")


def test_unreadable_data_raises_database_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with pytest.raises(DatabaseAway, match=r"could not be started \(.+\): choose") as caught:
        Database.open(None, tmp_path)
    assert "non-zero exit" not in str(caught.value)


def test_the_server_runs_as_an_ordinary_user(folder: Path, tmp_path: Path) -> None:
    """And then as root, who leaves the files to their owner."""
    if os.geteuid() != 0:
        pytest.skip("every other test shows it")
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in ROOT.parents):
        pytest.skip("the repository is closed to others")
    nobody = pwd.getpwnam("nobody")
    tmp_path.chmod(0o711)
    (theirs := tmp_path / "theirs").mkdir()
    os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    become = f"import os; os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})"
    # First as root: Python itself may lie where nobody cannot load any more of it.
    script = f"{HOLD}\n{become}\nsys.argv[1] = sys.argv[2]\n{HOLD}"
    subprocess.run(
        [sys.executable, "-c", script, str(folder), str(theirs)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    with Database.open(None, theirs) as database:
        assert names(database) == ["kept"]
        assert postmaster(theirs).uids().real == nobody.pw_uid
