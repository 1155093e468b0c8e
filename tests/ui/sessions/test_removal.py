"""Accounts and their folders go together, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

import app
from db import repository
from db.engine import Database
from db.errors import AccountError
from db.ledger import Ledger
from db.models import User
from tests.ui import line
from tests.waiting import DEADLINE, until
from ui.sessions.removal import remove_user

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make(own: Database, small_clip: Path, tmp_path: Path) -> Callable[..., str]:
    return line.session_maker(tmp_path, own, small_clip)


def account(database: Database, name: str = "Ana") -> Any:
    with database.begin() as tx:
        tx.add(user := User(name=name, password=""))
    return user.id


def folders(home: Path) -> set[str]:
    return {path.name for path in (home / "sessions").iterdir()}


def uploaded(home: Path, owner: Any) -> Path:
    file = home / "uploads" / str(owner) / "abc" / "clip.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"video")
    return file


def test_removing_a_user_deletes_folders_and_uploads(own: Database, make: Any, tmp_path: Path) -> None:
    ana, ben = account(own), account(own, "Ben")
    gone, kept = {make(ana), make(ana)}, {make(ben), make()}
    files = [uploaded(tmp_path, owner) for owner in (ana, ben)]
    assert remove_user(own, tmp_path, "ANA") == "Ana"
    assert folders(tmp_path) == kept and gone
    assert [file.exists() for file in files] == [False, True]
    with own.begin() as tx:
        assert {str(row.id) for row in repository.list_all(tx)} == kept
    with pytest.raises(AccountError, match="no user called 'Ana'"):
        remove_user(own, tmp_path, "Ana")


def test_the_command_removes_a_user(own: Database, make: Any, tmp_path: Path, monkeypatch: Any) -> None:
    gone = make(account(own))
    monkeypatch.setenv("RECORTE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", own.engine.url.render_as_string(hide_password=False))
    assert gone in folders(tmp_path)
    assert app.main(["user", "remove", "Ana"]) == 0
    assert folders(tmp_path) == set()


KILLED = """
import os, sys
from pathlib import Path
from db import users
from db.engine import Database
from ui.sessions import removal
if sys.argv[3] == "before":
    users.remove = lambda *_, **__: os._exit(9)
else:
    removal.shutil.rmtree = lambda *_, **__: os._exit(9)
with Database.open(sys.argv[1], Path(sys.argv[2])) as database:
    removal.remove_user(database, Path(sys.argv[2]), "Ana")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_removal_is_undone_or_finished(own: Database, make: Any, tmp_path: Path, when: str) -> None:
    ids = {make(account(own)) for _ in range(1)}
    url = own.engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(tmp_path), when], cwd=ROOT)
    assert done.returncode == 9 and not folders(tmp_path) & ids
    line.make_service(tmp_path, own, line.ManualRunner(None)).recover()
    assert folders(tmp_path) == (ids if when == "before" else set())
    with own.begin() as tx:
        assert {str(row.id) for row in repository.list_all(tx)} == folders(tmp_path)


def test_a_failed_removal_restores_the_folders(
    own: Database, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = make(account(own))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("db.users.remove", fail)
    with pytest.raises(RuntimeError):
        remove_user(own, tmp_path, "Ana")
    assert folders(tmp_path) == {id}


def test_a_session_created_during_a_removal_is_refused(own: Database, make: Any, tmp_path: Path) -> None:
    """It would have a row of nobody's, or a folder that stays for ever."""
    ana = account(own)
    make(ana)
    ends: list[str] = []
    ended = threading.Event()

    def creates() -> None:
        try:
            make(ana)
            ends.append("made")
        except IntegrityError:
            ends.append("refused")
        ended.set()

    with own.begin() as tx:
        from db import users

        users.lock(tx, name="Ana")
        thread = threading.Thread(target=creates)
        thread.start()
        assert not ended.wait(0.5)  # it waits to see whether the account stays
        users.remove(tx, name="Ana")
    thread.join(DEADLINE)
    assert ends == ["refused"]


def test_a_run_of_a_removed_session_is_stopped(own: Database, make: Any, tmp_path: Path) -> None:
    id = make(account(own))
    with own.begin() as tx:
        repository.queue(tx, id=id, owner=repository.get_any(tx, id=id).owner_id)
    stopped: list[str] = []
    with closing(Ledger(own, on_missing_session=stopped.append)) as ledger:
        ledger.started(id)
        ledger.progressed(id, line.progress_of(1))
        until(lambda: not ledger._entries.qsize())
        assert stopped == []
        remove_user(own, tmp_path, "Ana")
        ledger.progressed(id, line.progress_of(2))
        until(lambda: stopped)
    assert stopped == [id]
